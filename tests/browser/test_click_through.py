"""From the network to a layer, a channel, its maps and its kernel by clicks; back by the breadcrumb; and without a
mouse."""

import pytest
from visitor import SHOWING, Visitor

LAYER = "layer2.0.conv1"
TABS = 120  # presses of the Tab key within which a control of a page must be reached


def is_layer(point: dict) -> bool:
    return point["custom"][0] == LAYER


@pytest.mark.parametrize(("page", "chart", "trace"), [("overview", "strip", 0), ("heatmaps", "cells_map", -1)])
def test_a_click_on_a_layer_leads_to_its_channels(server, visit, page, chart, trace):
    visitor = visit(server, f"{page}?dataset=digits&sparsity=0.9")
    trace = trace if trace >= 0 else len(visitor.traces(chart)) - 1
    visitor.click_point(chart, trace, is_layer)
    visitor.arrive("variance", layer=LAYER)
    assert LAYER in visitor.crumbs and any(LAYER in label for label in visitor.charts)
    assert not visitor.broken()


def test_a_channel_leads_to_its_maps_and_kernel_and_the_breadcrumb_back(own_server, visit):
    visitor = visit(own_server, f"variance?dataset=digits&sparsity=0.9&layer={LAYER}")
    marks = next(i for i, trace in enumerate(visitor.traces("scatter")) if trace["mode"] == "markers")
    channel = int(visitor.click_point("scatter", marks)[0])
    visitor.arrive("maps", layer=LAYER, channel=channel)
    assert visitor.crumbs[1:] == [LAYER, f"channel {channel}"]
    if not visitor.page.locator(".st-key-maps").count():  # not stored: computed on demand
        visitor.page.get_by_role("button", name="Compute", exact=True).click()
        assert visitor.appears(visitor.page.locator(".st-key-maps .main-svg"))
        visitor.finish()
    about = "\n".join(visitor.charts)
    visitor.see("kernel")
    assert visitor.page.locator(".st-key-kernel .main-svg").count()
    assert f"channel {channel}" in about.lower() and LAYER in about
    visitor.page.locator(".st-key-_crumb_layer button").first.click()
    visitor.arrive("variance", layer=LAYER, channel=channel)
    visitor.page.locator(".st-key-_crumb_network button").first.click()
    visitor.arrive("overview", layer=LAYER, channel=channel)
    assert not visitor.broken()


def test_layer_and_channel_are_the_same_on_all_pages(server, visit):
    visitor = visit(server, f"variance?dataset=digits&sparsity=0.9&layer={LAYER}&channel=7")
    for page in SHOWING:
        visitor.follow(page)
        assert visitor.address.items() >= {"layer": LAYER, "channel": "7", "sparsity": "0.9"}.items()
        assert visitor.crumbs[1:] == [LAYER, "channel 7"]
    assert not visitor.broken()


def test_next_and_previous_channel_by_key(server, visit):
    visitor = visit(server, f"maps?dataset=digits&sparsity=0.9&layer={LAYER}&channel=3&ranked=channel")
    visitor.page.keyboard.press("n")
    visitor.arrive("maps", channel=4)
    visitor.page.keyboard.press("p")
    visitor.arrive("maps", channel=3)
    assert not visitor.broken()


def tab_to(visitor: Visitor, selector: str) -> None:
    """Press Tab until something within `selector` has the focus."""
    for _ in range(TABS):
        visitor.page.keyboard.press("Tab")
        if visitor.page.evaluate("selector => !!document.activeElement.closest(selector)", selector):
            return
    raise AssertionError(f"{selector} was not reached by {TABS} presses of Tab")


def test_sparsity_can_be_changed_without_a_mouse(server, visit):
    visitor = visit(server, "overview?dataset=digits&sparsity=0.9")
    tab_to(visitor, ".st-key-sparsity input")
    visitor.page.keyboard.press("ArrowLeft")
    visitor.arrive("overview", sparsity=0.8)
    assert "80 %" in visitor.crumbs[0] and not visitor.broken()


def test_a_control_of_a_page_and_another_page_can_be_reached_without_a_mouse(server, visit):
    visitor = visit(server, "curves?dataset=digits&sparsity=0.9")
    tab_to(visitor, ".st-key-x [role=radio]")
    visitor.page.keyboard.press("ArrowRight")
    visitor.page.keyboard.press("Enter")
    visitor.arrive("curves", x="images")
    visitor.page.reload()
    visitor.finish()
    tab_to(visitor, "[data-testid=stSidebarNavLink][href$=heatmaps]")
    visitor.page.keyboard.press("Enter")
    visitor.arrive("heatmaps")
    assert not visitor.broken()
