"""The bars of the front page in a real browser: the repairs' own numbers, by pointer, touch and keyboard."""

import json

import pytest
import torch
from contrast import CONTRASTS, ENOUGH
from hypothesis import given, settings
from hypothesis import strategies as st
from visitor import PATIENCE

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
    const look = () => document.querySelector('#root .idea svg.bars') ? setTimeout(() => { painted = true; })
        : requestAnimationFrame(look);
    requestAnimationFrame(look);
    Object.defineProperty(window, 'Plotly', {configurable: true, get: () => plotly, set: (made) => {
        window.__painted = painted;
        plotly = made;
    }});
})()"""
# Place, size and look of what is written and drawn, in the document's own idea or in the page's.
SEEN = """() => {
    const whole = document.querySelector('#early') ?? document.querySelector('[data-testid=stMainBlockContainer]');
    const all = [...whole.querySelectorAll('h1, .idea, .idea *'), ...[...whole.querySelectorAll('p')].slice(0, 3)];
    return all.map(one => {
        const {x, y, width, height} = one.getBoundingClientRect(), look = getComputedStyle(one);
        return [one.tagName, ...[x, y, width, height].map(Math.round), look.fontSize, look.fontWeight, look.color,
            look.fill];
    });
}"""
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


class Early:
    """The front page in a browser which the dashboard's client has not reached yet."""

    def __init__(self, server, context):
        context.set_default_timeout(1000 * PATIENCE)
        self.page = context.new_page()
        self.page.route("**/static/js/index.*.js", lambda route: None)
        self.page.goto(server.url, wait_until="commit")
        self.page.wait_for_selector("#early .idea svg.bars")
        self.page.evaluate("document.fonts.ready.then(() => true)")

    def damages(self) -> list[int]:
        return self.page.evaluate(f"{STATE}.damages")

    def arrive(self) -> None:
        """The client comes, and with it the page."""
        self.page.unroute("**/static/js/index.*.js")  # which lets go what was held
        self.page.wait_for_selector("#root .idea svg.bars")


@pytest.fixture
def early(server, chromium):
    """Opens the front page without the client; context options as keyword arguments."""
    opened = []

    def opening(**options):
        opened.append(chromium.new_context(**options))
        return Early(server, opened[-1])

    yield opening
    for context in opened:
        context.close()


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light"), (768, "dark")])
def test_the_idea_stands_before_the_client_has_come_where_the_page_will_have_it(early, width, scheme):
    visitor = early(viewport={"width": width, "height": 900}, color_scheme=scheme)
    before = visitor.page.evaluate(SEEN)
    visitor.arrive()
    visitor.page.wait_for_selector("[data-testid=stSidebarNavLink]", state="attached")
    visitor.page.wait_for_function(f"before => JSON.stringify(({SEEN})()) === JSON.stringify(before)", arg=before)
    assert visitor.page.locator("#early").count() == 0
    assert visitor.page.locator(".idea").count() == 1


def test_a_bar_that_is_dragged_while_the_page_comes_stays_in_the_hand(early):
    visitor = early(viewport={"width": 1280, "height": 900})
    box = visitor.page.locator(".idea .outline").nth(1).bounding_box()
    x = box["x"] + box["width"] / 2
    visitor.page.mouse.move(x, box["y"] + 2)
    visitor.page.mouse.down()
    visitor.page.mouse.move(x, box["y"] + 0.5 * box["height"], steps=4)
    first = visitor.damages()
    visitor.arrive()
    assert visitor.damages() == first and first[1] > 20
    visitor.page.mouse.move(x, box["y"] + 0.9 * box["height"], steps=4)
    visitor.page.mouse.up()
    assert visitor.damages()[1] > first[1] + 20
    assert visitor.page.evaluate("document.activeElement.ariaLabel") == "Damage of channel 2"


def test_who_comes_back_finds_new_bars(early):
    visitor = early()
    visitor.page.locator(".idea [role=slider]").first.press("End")
    visitor.arrive()
    assert visitor.damages()[0] == 100
    visitor.page.get_by_role("link", name="Glossary").click()
    visitor.page.wait_for_selector(".idea", state="detached")
    visitor.page.get_by_role("link", name="The idea").click()
    visitor.page.wait_for_selector("#root .idea")
    assert visitor.damages() == list(idea.DAMAGES)


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
