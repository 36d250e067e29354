"""Every page on a telephone and in a small window: the page does not scroll sideways, and nothing of it is cut."""

import pytest
from visitor import PAGES

TELEPHONE = {"width": 390, "height": 844}
LAPTOP = {"width": 1280, "height": 800}
ADDRESS = "dataset=digits&sparsity=0.9&layer=layer2.0.conv1&channel=3"
BEYOND = (
    "() => { const main = document.querySelector('[data-testid=stMain]'); return main.scrollWidth - main.clientWidth; }"
)
# Texts that reach over the right edge, but for those in what scrolls by itself: figures, tables, code, equations.
CUT = """() => {
    const scrolls = (one) => one.closest('.figure, table, pre, math, .katex, [data-testid=stDataFrame]');
    const all = [...document.querySelectorAll('[data-testid=stMainBlockContainer] *')];
    return all.filter(one => !one.children.length && one.textContent.trim() && one.getClientRects().length
        && one.getBoundingClientRect().right > innerWidth + 1 && !scrolls(one))
        .map(one => one.textContent.slice(0, 50));
}"""
# Texts that end in dots because their box is too small.
SHORTENED = """() => [...document.querySelectorAll('[data-testid=stMainBlockContainer] :is(p, label, h1, h2, h3)')]
    .filter(one => getComputedStyle(one).textOverflow === 'ellipsis' && one.scrollWidth > one.clientWidth + 1)
    .map(one => one.textContent.slice(0, 60))"""
# Figures that are wider than their place, so that they scroll in it.
SCROLLED = """() => [...document.querySelectorAll('.figure')].filter(one => one.parentElement.scrollWidth
    > one.parentElement.clientWidth + 1).map(one => one.getAttribute('aria-label').slice(0, 60))"""


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_read_on_a_telephone_without_scrolling_sideways(server, visit, page):
    visitor = visit(server, f"{page}?{ADDRESS}", viewport=TELEPHONE)
    assert visitor.page.evaluate(BEYOND) == 0
    assert visitor.page.evaluate(CUT) == []
    assert visitor.page.evaluate(SHORTENED) == []
    assert not visitor.broken()


@pytest.mark.parametrize("page", PAGES)
def test_figures_fit_into_a_window_of_a_laptop(server, visit, page):
    visitor = visit(server, f"{page}?{ADDRESS}", viewport=LAPTOP)
    assert visitor.page.evaluate(SCROLLED) == []
    assert visitor.page.evaluate(BEYOND) == 0


def test_a_sheet_of_maps_is_as_high_as_its_tiles(server, visit):
    stored = "dataset=digits&sparsity=0.8&layer=layer3.2.conv1&channel=3"  # at 90 % no maps are
    visitor = visit(server, f"maps?{stored}", viewport=LAPTOP)
    visitor.see("maps")
    blank = visitor.page.evaluate(
        """() => {
            const plot = document.querySelector('.st-key-maps .js-plotly-plot'), layout = plot._fullLayout;
            return layout.height - layout.margin.t - layout.margin.b - layout.yaxis._length;
        }"""
    )
    assert blank < 60
