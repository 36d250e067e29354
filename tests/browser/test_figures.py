"""Figures in the browser: redrawn in place, as wide as the page, over the whole screen, in the page's colours."""

import pytest
from traces import KINDS, NEEDS_MAPS
from visitor import PATIENCE, Visitor

from asr_core.store.entries import PROJECT
from benchmarks import dashboard

PAGE = "variance?dataset=digits&sparsity=0.9&layer=layer1.0.conv1"
PLOT = ".st-key-scatter .figure"
SIZE = "plot => [plot._fullLayout.width, plot._fullLayout.height]"


@pytest.fixture
def visitor(server, visit):
    return visit(server, PAGE)


def size(visitor) -> list[float]:
    """Width and height that the first chart is drawn in."""
    return visitor.page.locator(PLOT).evaluate(SIZE)


def test_a_changed_figure_is_drawn_into_the_plot_that_is_there(visitor):
    before = visitor.traces("scatter")
    visitor.page.locator(PLOT).evaluate("plot => plot.mine = true")
    visitor.page.get_by_role("radio", name="recalibrated").click()
    visitor.until(lambda: visitor.traces("scatter") != before, "other marks")
    visitor.finish()
    assert visitor.page.locator(PLOT).evaluate("plot => plot.mine") and not visitor.broken()


def test_a_figure_is_as_wide_as_its_place_also_when_that_changes(visitor):
    wide, height = size(visitor)
    visitor.page.set_viewport_size({"width": 1000, "height": 900})
    visitor.until(lambda: size(visitor)[0] < wide - 100, "a narrower chart")
    fits = "plot => plot.clientWidth === plot._fullLayout.width"
    visitor.until(lambda: visitor.page.locator(PLOT).evaluate(fits), "a chart as wide as its place")
    assert size(visitor)[1] == height


def test_a_figure_fills_the_screen_and_comes_back(visitor):
    small = size(visitor)
    visitor.page.locator(PLOT).hover()
    visitor.page.locator(PLOT).get_by_role("button", name="Fullscreen").click()
    screen = "document.fullscreenElement && [innerWidth, innerHeight]"
    visitor.until(lambda: size(visitor) == visitor.page.evaluate(screen), "a chart over the whole screen")
    visitor.page.evaluate("document.exitFullscreen()")
    visitor.until(lambda: size(visitor) == small, "the chart in its place")


def test_figures_take_the_page_s_colours_when_these_change(visitor):
    paper = (
        "plot => plot._fullLayout.paper_bgcolor === "
        "getComputedStyle(plot).getPropertyValue('--st-background-color').trim() && plot._fullLayout.paper_bgcolor"
    )
    light = visitor.page.locator(PLOT).evaluate(paper)
    visitor.page.emulate_media(color_scheme="dark")
    visitor.until(lambda: visitor.page.locator(PLOT).evaluate(paper) not in (False, light), "dark charts")


# However much of the page is there yet, and wherever its charts are until then.
OUT_OF_SIGHT = {"viewport": {"width": 1200, "height": 600}, "style": ".st-key-panels {margin-top: 3000px}"}


def drawn(visitor, key: str) -> tuple:
    """What a chart says of itself (yes, no, later), and how many values its last marks have: None before it was
    drawn."""
    count = "plot => [plot.dataset.drawn, plot.data ? plot.data.findLast(trace => trace.customdata).x.length : null]"
    return tuple(visitor.page.locator(f".st-key-{key} .figure").evaluate(count))


def test_a_figure_out_of_sight_is_drawn_when_it_comes_near_with_what_was_chosen_meanwhile(server, visit):
    visitor = visit(server, PAGE, **OUT_OF_SIGHT)
    assert drawn(visitor, "scatter")[0] == "yes"
    assert drawn(visitor, "panels") == ("later", None)
    before = visitor.traces("panels")
    visitor.page.get_by_role("heading", level=1).scroll_into_view_if_needed()
    away = "plot => plot.near === false"
    visitor.until(lambda: visitor.page.locator(".st-key-panels .figure").evaluate(away), "a chart out of sight")
    visitor.page.get_by_role("radio", name="recalibrated").click()
    visitor.until(lambda: drawn(visitor, "panels")[0] == "later", "a chart that waits")
    assert visitor.traces("panels") != before
    assert drawn(visitor, "panels")[0] == "yes"
    assert not visitor.broken()


def test_a_page_that_is_printed_has_all_its_figures(server, visit):
    visitor = visit(server, PAGE, **OUT_OF_SIGHT)
    assert drawn(visitor, "panels")[0] == "later"
    visitor.page.pdf()
    visitor.until(lambda: drawn(visitor, "panels")[0] == "yes", "the last figure")


BROKEN = {
    "aborted": lambda route: route.abort(),
    "404": lambda route: route.fulfill(status=404, body="not here"),
    "500": lambda route: route.fulfill(status=500, body="broken"),
    "another page": lambda route: route.fulfill(status=200, content_type="text/html", body="<p>Sign in"),
}


@pytest.mark.parametrize("answer", BROKEN)
def test_where_plotly_does_not_arrive_streamlit_s_own_charts_stand_in(server, chromium, answer):
    context = chromium.new_context(viewport={"width": 1500, "height": 1000})
    context.route("**/plotly.min.js*", BROKEN[answer])
    visitor = Visitor(context, server.url)
    visitor.page.goto(f"{server.url}/{PAGE}")
    assert visitor.appears(visitor.page.get_by_text("plainer ones stand in"))
    chart = visitor.page.locator("[data-testid=stPlotlyChart] .main-svg")
    assert visitor.appears(chart)
    visitor.finish()
    assert visitor.title == "Channel variance"
    assert visitor.page.locator("[data-testid=stException]").count() == 0
    titles = visitor.page.locator(".modebar-btn").evaluate_all("all => all.map(one => one.dataset.title)")
    assert not any("Share" in title for title in titles if title)
    assert visitor.outside == []
    context.close()


@pytest.fixture(scope="module")
def gallery(chromium, tmp_path_factory):
    """A server whose only page draws each kind of trace that Plotly knows."""
    with dashboard.served(tmp_path_factory.mktemp("traces"), PROJECT / "tests" / "browser" / "traces_app.py") as found:
        yield found


def test_every_kind_of_trace_is_drawn_or_says_why_not_and_the_page_stays(gallery, chromium):
    context = chromium.new_context(viewport={"width": 1000, "height": 900})
    visitor = Visitor(context, gallery.url)
    visitor.page.goto(gallery.url)
    visitor.page.wait_for_function(
        f"document.querySelectorAll('.figure').length === {len(KINDS)}", timeout=1000 * PATIENCE
    )
    visitor.page.evaluate("dispatchEvent(new Event('beforeprint'))")  # those out of sight are drawn too
    visitor.page.wait_for_function(
        f"document.querySelectorAll('[data-drawn=yes]').length === {len(KINDS)}", timeout=1000 * PATIENCE
    )
    words = visitor.page.locator(".figure").evaluate_all("all => all.map(one => one.data ? '' : one.textContent)")
    told = {kind: text for kind, text in zip(KINDS, words, strict=True) if text}
    assert told.keys() <= NEEDS_MAPS
    assert all(text.startswith("The figure could not be drawn: ") for text in told.values())
    assert visitor.page.get_by_test_id("stException").count() == 0
    assert visitor.page.get_by_text("the end").count() == 1
    context.close()
