"""A browser that shows the dashboard asks its server only, and an address starts nothing, whatever stands in it or in
names."""

from urllib.parse import quote

import psutil
import pytest
from hostile import IMAGE, LINK, TAG, hostile_store
from visitor import PAGES

from benchmarks import dashboard
from pages._frame.address import PARAMS

SETTING = "dataset=digits&sparsity=0.9&layer=layer2.0.conv1&channel=3"
WITHOUT_SETTING = ("glossary", "talk")
BUTTONS = "buttons => [...new Set(buttons.map(button => button.dataset.title))]"
OUT = '[href*="127.0.0.1:9/"], [src*="127.0.0.1:9/"], [*|href*="127.0.0.1:9/"]'
LINKS = "(links, server) => links.map(link => link.href.baseVal ?? link.href).filter(href => !href.startsWith(server))"


@pytest.mark.parametrize("page", PAGES)
def test_no_toolbar_menu_or_link_of_a_page_leads_to_another_server(server, visit, page):
    visitor = visit(server, f"{page}?{SETTING}")
    visitor.page.evaluate("dispatchEvent(new Event('beforeprint'))")  # figures out of sight are drawn too
    visitor.page.wait_for_function("!document.querySelector('.figure:not([data-drawn=yes])')", polling=100)
    titles = visitor.page.locator(".modebar-btn").evaluate_all(BUTTONS)
    assert not any(word in title for title in titles for word in ("Share", "Cloud", "Studio", "Plotly"))
    assert visitor.page.locator("a[href]").evaluate_all(LINKS, server.url) == []
    visitor.page.get_by_test_id("stMainMenuButton").click()
    items = visitor.page.locator("[role=menu] [role=menuitem]").all_inner_texts()
    assert items == ["Print", "Record screen"]
    assert visitor.broken() == []


def test_a_browser_refuses_what_a_text_would_have_it_fetch_elsewhere(server, visit):
    visitor = visit(server, f"overview?{SETTING}")
    asked = (
        "fetch('http://127.0.0.1:9/').catch(error => 0), document.body.append(Object.assign(new Image(), {src: "
        "'http://127.0.0.1:9/t.png'}))"
    )
    visitor.page.evaluate(f"() => {{ {asked} }}")
    visitor.until(lambda: len(visitor.errors) >= 2, "two refusals")
    assert all("Content Security Policy" in error for error in visitor.errors)


@pytest.fixture(scope="module")
def hostile(chromium, tmp_path_factory):
    """A server on results whose images and layers have names that would reach out."""
    cache = tmp_path_factory.mktemp("hostile")
    hostile_store(cache)
    with dashboard.served(cache) as found:
        yield found


def reached(visitor) -> list:
    """What on the page leads, or led, to port 9."""
    return [*visitor.page.locator(OUT).evaluate_all("all => all.map(one => one.outerHTML)"), *visitor.broken()]


@pytest.mark.parametrize("page", PAGES)
def test_names_that_others_chose_make_no_image_and_no_link(hostile, visit, page):
    visitor = visit(hostile, f"{page}?dataset=digits&sparsity=0.9")
    if page not in WITHOUT_SETTING:
        assert "![x](http" in visitor.page.get_by_test_id("stMain").inner_text().replace("\u2060", "")
    assert reached(visitor) == []


@pytest.mark.parametrize("value", [IMAGE, LINK, TAG])
def test_no_part_of_an_address_makes_an_image_or_a_link(server, visit, value):
    visitor = visit(server, "overview?" + "&".join(f"{name}={quote(value)}" for name in [*PARAMS, quote(value)]))
    assert "that is no layer name" in visitor.messages
    assert reached(visitor) == []


def test_opening_addresses_starts_no_process_and_a_click_measures_one_network_at_a_time(fresh_server, visit):
    process = psutil.Process(fresh_server.process.pid)
    visitors = [visit(fresh_server, f"overview?dataset=digits&image_size={size}") for size in (40, 44)]
    passing = visit(fresh_server, "overview?dataset=digits&image_size=48")
    for page in PAGES:
        passing.open(f"{page}?dataset=digits&image_size=52&architecture=resnet34")
    assert process.children(recursive=True) == []
    for visitor in visitors:
        assert "not measured on this machine" in visitor.page.get_by_test_id("stMain").inner_text()
    first, second = (visitor.page.get_by_role("button", name="How long would it take?") for visitor in visitors)
    first.click()
    visitors[0].until(lambda: process.children(), "a process that measures")
    second.click()
    assert visitors[1].appears(visitors[1].page.get_by_text("one at a time. Ask again"))
    assert len(process.children()) == 1
    visitors[0].until(lambda: "about" in visitors[0].page.get_by_test_id("stMain").inner_text(), "the time")
    visitors[0].until(lambda: process.children() == [], "the process's end")
