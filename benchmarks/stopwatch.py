"""A stopwatch inside the page: from navigation, click or key until a new chart is painted."""

import time

from benchmarks import dashboard

# Runs before anything else of the page. `__first`: ms from navigation until a chart was painted. `__watch(key)` starts
# to watch a chart; the next click or key starts the clock, which stops when the frame after the one that shows other
# data begins. It waits for what charts say of themselves: asking in every frame would keep ten pages busy that do
# nothing else.
SCRIPT = """(() => {
    const drawn = plot => plot?.querySelector('.main-svg') && plot.data;
    const first = () => {
        if (drawn(document.querySelector('.js-plotly-plot')))
            requestAnimationFrame(() => window.__first = performance.now());
        else requestAnimationFrame(first);
    };
    requestAnimationFrame(first);
    const plotOf = key => document.querySelector(`.st-key-${key} .js-plotly-plot`);
    window.__watch = key => {
        const plot = plotOf(key), data = plot?.data, watch = {began: null, painted: null};
        const seen = new MutationObserver(() => {
            const now = plotOf(key);
            if (watch.began === null || !drawn(now) || (now === plot && now.data === data)) return;
            seen.disconnect();
            requestAnimationFrame(() => requestAnimationFrame(() => watch.painted = performance.now()));
        });
        seen.observe(document.body, {subtree: true, attributes: true, attributeFilter: ['data-drawn']});
        window.__now = watch;
    };
    const begin = event => { if (window.__now && window.__now.began === null) window.__now.began = event.timeStamp; };
    for (const kind of ['click', 'keydown']) window.addEventListener(kind, begin, {capture: true});
})()"""
CLICK_AT = "([selector, moment]) => setTimeout(() => document.querySelector(selector).click(), moment - Date.now())"


def open_page(context, url: str):
    """A page with the stopwatch in it, finished."""
    page = context.new_page()
    page.add_init_script(SCRIPT)
    page.goto(url)
    dashboard.finished(page, 120)
    return page


def first_chart(browser, url: str) -> float:
    """Seconds from typing `url` into a browser with an empty cache until its first chart is painted."""
    context = browser.new_context(viewport=dashboard.SIZE)
    try:
        page = context.new_page()
        page.add_init_script(SCRIPT)
        page.goto(url)
        page.wait_for_function("window.__first", timeout=120_000)
        return page.evaluate("window.__first") / 1000
    finally:
        context.close()


def timed(page, chart: str, act) -> float:
    """Milliseconds from the click or key in `act()` to the chart's new picture."""
    page.evaluate("key => window.__watch(key)", chart)
    act()
    return result(page)


def result(page) -> float:
    """What the running watch says, once the picture and the rest of the page are there."""
    page.wait_for_function("window.__now.painted", timeout=120_000, polling=50)
    dashboard.finished(page, 120)
    return page.evaluate("window.__now.painted - window.__now.began")


def all_at_once(pages: list, chart: str, selector: str) -> list[float]:
    """The same click in all pages at one moment."""
    moment = 1000 * time.time() + 1000
    for page in pages:
        page.evaluate("key => window.__watch(key)", chart)
        page.evaluate(CLICK_AT, [selector, moment])
    return [result(page) for page in pages]
