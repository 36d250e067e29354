"""The report of a shipped setting, opened from disk with the network off: drawn, silent, and asking for nothing."""

import pytest
import shipped
from contrast import CONTRASTS, ENOUGH
from playwright.sync_api import expect
from visitor import PATIENCE

from asr_core.figures import onefile
from asr_core.spec.repairs import repairs
from asr_core.store import results
from asr_core.studies import first

WRITTEN = "h1, h2, p, td, th, label, .xtitle, .ytitle, .legendtext, .xtick text"


@pytest.fixture(scope="module")
def document(tmp_path_factory):
    """The report of the setting that views open with."""
    store = shipped.store()
    result = results.open_results(store, (first.first(store).key,))
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(onefile.html(result, repairs(orders=("simultaneous",), biases=("off",))))
    return path


@pytest.fixture(params=["light", "dark"])
def opened(request, chromium, document):
    """(page, what its console said, what it asked for beyond its own file) of the report without a network."""
    context = chromium.new_context(offline=True, color_scheme=request.param, viewport={"width": 1280, "height": 900})
    page, said, asked = context.new_page(), [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("requestfailed", lambda request: asked.append(f"failed: {request.url[:100]}"))
    page.on("request", lambda request: asked.append(request.url[:100]))
    page.goto(document.as_uri(), timeout=1000 * PATIENCE)
    yield page, said, asked
    context.close()


def test_it_is_drawn_without_a_word_in_the_console_or_a_request(opened, document):
    page, said, asked = opened
    figures = page.locator(".figure")
    for place in range(figures.count()):
        figures.nth(place).scroll_into_view_if_needed()
        expect(figures.nth(place).locator(".main-svg").first).to_be_visible(timeout=1000 * PATIENCE)
    assert figures.count() >= 6
    assert said == []
    assert [url for url in asked if not url.startswith((document.as_uri(), "data:", "blob:"))] == []
    faint = [found["text"] for found in page.evaluate(CONTRASTS, WRITTEN) if found["contrast"] < ENOUGH]
    assert faint == []


def test_another_layer_is_shown_without_a_network(opened):
    page, said, _ = opened
    page.locator("#scatter").scroll_into_view_if_needed()
    expect(page.locator("#scatter[data-drawn]")).to_be_attached(timeout=1000 * PATIENCE)
    before = page.locator("#scatter").get_attribute("data-drawn")
    page.locator("#after").click()
    expect(page.locator("#scatter")).not_to_have_attribute("data-drawn", before, timeout=1000 * PATIENCE)
    assert said == []
