"""The bars of the front page in a real browser: the repairs' own numbers, by pointer, touch and keyboard."""

import json

import pytest
import torch
from contrast import CONTRASTS, ENOUGH
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_core.registry import get
from asr_core.store.entries import PROJECT
from pages._frame import idea

SCRIPT = (PROJECT / "pages/_frame/factors.js").read_text()
VARIANCES = st.lists(
    st.tuples(*[st.one_of(st.just(0.0), st.floats(1e-14, 1e4))] * 2), min_size=1, max_size=9
)  # dense, pruned
# Tells, as Plotly is run, whether the bars stood by then, and whether they had been painted.
WATCHED = """(() => {
    let painted = false, plotly;
    const look = () => document.querySelector('.idea svg.bars') ? setTimeout(() => { painted = true; })
        : requestAnimationFrame(look);
    requestAnimationFrame(look);
    Object.defineProperty(window, 'Plotly', {configurable: true, get: () => plotly, set: (made) => {
        window.__painted = painted;
        plotly = made;
    }});
})()"""
STATE = "document.querySelector('.idea-place').idea"


@pytest.fixture(scope="module")
def blank(chromium):
    """An empty page that knows the function of the bars."""
    page = chromium.new_page()
    page.add_script_tag(content=f"{SCRIPT}; window.repairFactors = repairFactors;")
    yield page
    page.close()


def computed(method: str, dense, pruned):
    rule = get("repair method", method)
    return rule.factors(*(torch.tensor(values, dtype=torch.float64) for values in (dense, pruned)), rule.defaults())


@settings(max_examples=40)
@given(channels=VARIANCES)
def test_the_browser_computes_the_factors_of_the_repair_methods(blank, channels):
    dense, pruned = (list(values) for values in zip(*channels, strict=True))
    constants = {"eps": idea.data()["eps"], "floor": idea.data()["floor"]}
    found = blank.evaluate("given => repairFactors(...given)", [dense, pruned, constants])
    assert found["lw"] == pytest.approx(computed("lw_bn", dense, pruned).gamma[0].item(), rel=1e-9)
    assert found["raw"] == pytest.approx(computed("raw_bn", dense, pruned).gamma.tolist(), rel=1e-9)
    assert found["asr"] == pytest.approx(computed("asr_bn", dense, pruned).gamma.tolist(), rel=1e-9)
    assert found["shrinkage"] == pytest.approx(computed("asr_bn", dense, pruned).shrinkage.tolist(), rel=1e-9)


def state(visitor) -> dict:
    return json.loads(visitor.page.evaluate(f"JSON.stringify({STATE})"))


def choose(visitor, label: str) -> None:
    visitor.page.get_by_role("radio", name=label).click()


def drag(visitor, channel: int, share: float) -> None:
    """Drag the bar of a channel (1 to 8) to `share` of the height of its outline."""
    box = visitor.page.locator(".idea .outline").nth(channel - 1).bounding_box()
    visitor.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 2)
    visitor.page.mouse.down()
    visitor.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] * (1 - share), steps=4)
    visitor.page.mouse.up()
    visitor.page.wait_for_timeout(50)


def test_a_dragged_bar_changes_all_numbers_and_asks_the_server_nothing(server, visit):
    visitor = visit(server)
    asked = []
    visitor.page.on("request", lambda request: asked.append(request.url))
    visitor.page.on("websocket", lambda socket: asked.append(socket.url))
    choose(visitor, "One scalar")
    before = state(visitor)
    drag(visitor, 2, 0.25)
    after = state(visitor)
    assert 48 <= after["damages"][1] <= 52 and after["damages"][0] == before["damages"][0]
    assert after["factors"]["lw"] > before["factors"]["lw"]
    assert f"{after['factors']['lw']:.2f}" in visitor.page.locator(".idea .beside").inner_text()
    assert not asked and not visitor.broken()


def test_one_factor_each_reaches_every_outline_and_makes_noise_loud_in_a_dead_channel(server, visit):
    visitor = visit(server)
    drag(visitor, 1, 0.0)
    choose(visitor, "One factor each")
    assert visitor.page.locator(".idea .left").all_text_contents() == ["100 %"] * 8
    assert "noise (hatched), made loud" in visitor.page.locator(".idea .told").inner_text()
    choose(visitor, "Shrinkage")
    shares = [int(text.removesuffix(" %")) for text in visitor.page.locator(".idea .left").all_text_contents()]
    assert shares[0] < 10 and min(shares[1:5]) > 50


def test_bars_and_repairs_are_reached_and_moved_by_keyboard(server, visit):
    visitor = visit(server)
    bar = visitor.page.get_by_role("slider", name="Damage of channel 3")
    bar.focus()
    for key, damage in (("ArrowDown", "47"), ("ArrowUp", "45"), ("PageDown", "65"), ("End", "100"), ("Home", "0")):
        visitor.page.keyboard.press(key)
        visitor.page.wait_for_timeout(50)
        assert bar.get_attribute("aria-valuenow") == damage
    assert bar.get_attribute("aria-valuetext") == "0 % damaged, now 101 % of dense"
    visitor.page.get_by_role("radio", name="Pruned").focus()
    visitor.page.keyboard.press("ArrowRight")
    assert visitor.page.get_by_role("radio", name="One scalar").get_attribute("aria-checked") == "true"


def test_a_finger_drags_a_bar_and_not_the_page(server, visit):
    visitor = visit(server, has_touch=True, viewport={"width": 390, "height": 844})
    visitor.page.locator(".idea .outline").nth(3).scroll_into_view_if_needed()
    box = visitor.page.locator(".idea .outline").nth(3).bounding_box()
    before = visitor.page.evaluate("document.querySelector('[data-testid=stMain]').scrollTop")
    touch = visitor.context.new_cdp_session(visitor.page)
    x, y = box["x"] + box["width"] / 2, box["y"]
    for kind, points in (
        ("touchStart", [{"x": x, "y": y + 2}]),
        ("touchMove", [{"x": x, "y": y + box["height"]}]),
        ("touchEnd", []),
    ):
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    visitor.page.wait_for_timeout(100)
    assert state(visitor)["damages"][3] >= 90
    assert visitor.page.evaluate("document.querySelector('[data-testid=stMain]').scrollTop") == before
    wide = visitor.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert wide[0] <= wide[1]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_written_beside_the_bars_can_be_read(server, visit, scheme):
    visitor = visit(server, color_scheme=scheme)
    found = visitor.page.evaluate(CONTRASTS, ".idea p, .idea button, .idea svg text, .idea math")
    faint = [item for item in found if item["contrast"] < ENOUGH]
    assert len(found) > 20 and not faint and not visitor.broken()


def test_the_bars_are_painted_before_what_draws_figures_is_run(server, chromium):
    """It takes a browser a second, in which nothing else is drawn."""
    context = chromium.new_context()
    context.add_init_script(WATCHED)
    page = context.new_page()
    page.goto(server.url)
    page.wait_for_function("window.Plotly", timeout=60_000)
    assert page.evaluate("window.__painted") is True
    context.close()


def test_figures_of_another_page_do_not_wait_for_the_bars(server, chromium):
    context = chromium.new_context()
    page = context.new_page()
    page.goto(f"{server.url}/curves")
    waits = "Promise.race([ideaFirst.then(() => false), new Promise(done => setTimeout(done, 5000, true))])"
    assert page.evaluate(waits) is False
    assert page.locator(".idea").count() == 0
    context.close()
