"""What a visitor does and sees: opens pages, clicks points of charts, reads figures, messages and the address."""

from contextlib import suppress
from typing import Literal
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Locator
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from asr_core.store.entries import PROJECT
from benchmarks import dashboard

PATIENCE = 240.0  # seconds: other programs may have the processor
SHORT = 2.0  # seconds until what a click or a key did is seen, else it is done again
TRIES = 10  # keys that open a list, or clicks that choose from it, at most
PAGES = sorted(path.stem for path in (PROJECT / "pages").glob("[!_]*.py"))
QUIET = (
    "glossary",
    "idea",
    "lesson",
    "talk",
)  # these show no setting of the visitor's, and have no sidebar but the pages
SHOWING = [page for page in PAGES if page not in QUIET]
CHARTED = [
    page for page in PAGES if page not in ("glossary", "jobs", "paper", "settings", "talk")
]  # these open on a table or on words
# Where a trace's points are in the window; the chart is brought to its middle first.
POINTS = """([key, trace]) => {
    const plot = document.querySelector(`.st-key-${key} .js-plotly-plot`), data = plot._fullData[trace];
    plot.scrollIntoView({block: 'center', behavior: 'instant'});
    const box = plot.getBoundingClientRect(), layout = plot._fullLayout;
    const x = layout[data.xaxis.replace('x', 'xaxis')], y = layout[data.yaxis.replace('y', 'yaxis')];
    return Array.from(data.x, (value, i) => ({
        x: box.left + x._offset + x.d2p(value),
        y: box.top + y._offset + (data.type === 'bar' ? (y.d2p(0) + y.d2p(data.y[i])) / 2 : y.d2p(data.y[i])),
        inside: x.d2p(value) >= 0 && x.d2p(value) <= x._length
            && y.d2p(data.y[i]) >= 0 && y.d2p(data.y[i]) <= y._length,
        custom: Array.from([data.customdata[i]].flat(),
            v => v?.length === undefined || typeof v === 'string' ? v : Array.from(v)).flat(),
    }));
}"""
# Whether a chart has seen that the mouse is at a point with this customdata: only then it hears a click there.
HOVERED = """([key, custom]) => {
    const first = value => value?.length === undefined || typeof value === 'string' ? value : first(value[0]);
    const seen = document.querySelector(`.st-key-${key} .js-plotly-plot`)._hoverdata ?? [];
    return seen.some(point => first(point.customdata) === custom);
}"""
TRACES = """key => Array.from(document.querySelector(`.st-key-${key} .js-plotly-plot`)._fullData,
    t => ({name: t.name, type: t.type, mode: t.mode, x: Array.from(t.x ?? []), y: Array.from(t.y ?? [])}))"""

LABELS = (
    "charts => charts.map(chart => (chart.closest('[aria-label]') ?? "
    "chart.querySelector('[aria-label]'))?.getAttribute('aria-label'))"
)
# Charts whose margins were too narrow, so that Plotly drew them twice: in pixels [left, right, top, bottom], given and
# found.
WIDENED = """plots => plots.map(({layout, _fullLayout}) => ['l', 'r', 't', 'b']
    .map(side => [layout.margin[side], Math.round(_fullLayout._size[side])]))
    .filter(sides => sides.some(([given, found]) => found > given + 1))"""


class Visitor:
    """A browser context with one page open; remembers console errors and requests that leave the machine."""

    def __init__(self, context, url: str):
        self.context, self.url = context, url
        context.set_default_timeout(1000 * PATIENCE)
        self.page = context.new_page()
        self.errors: list[str] = []
        self.outside: list[str] = []
        self.page.on(
            "console", lambda m: self.errors.append(f"{m.text} {m.location.get('url')}") if m.type == "error" else None
        )
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self._note(request.url))

    def _note(self, url: str) -> None:
        if not url.startswith((self.url, "data:", "blob:")):
            self.outside.append(url)

    def open(self, path: str) -> None:
        """Type an address, and wait until the page is finished; the front page's is the bare one."""
        self.page.goto(f"{self.url}/{path.removeprefix('idea')}")
        self.finish()

    def finish(self) -> None:
        """Wait until the script has run and everything is drawn."""
        dashboard.finished(self.page, PATIENCE)

    def follow(self, page: str, dataset: str = "digits") -> None:
        """Click a page's link in the sidebar, and wait until it is finished."""
        href = f"{self.url}/{page}".removesuffix("idea")
        if page != self.where:
            self.page.locator(f'[data-testid=stSidebarNavLink][href="{href}"]').click()
        self.arrive(page, dataset=dataset)

    def arrive(self, page: str, **address) -> None:
        """Wait until a click has led to `page` with these parts in the address, and it is finished."""
        self.until(
            lambda: self.where == page and all(self.address.get(k) == str(v) for k, v in address.items()),
            f"{page} {address}",
        )
        self.finish()

    def choose(self, key: str, label: str) -> None:
        """Pick an option of the list of a control, until that is gone. A page that is drawn anew closes a list, a list
        that scrolls to an option takes no click, and one that closes slowly lets a second click wait in vain."""
        option = self.page.get_by_role("option", name=label, exact=True)
        for _ in range(TRIES):
            if not option.is_visible():
                self.opened(key)
                self.page.locator(f".st-key-{key} input").fill(label)  # a long list is drawn in part
            with suppress(PlaywrightTimeout):
                option.click(timeout=1000 * SHORT)
                if self.goes(option, SHORT):
                    return
        raise AssertionError(f"{label!r} cannot be picked; at {self.page.url}")

    def opened(self, key: str) -> Locator:
        """The options of the list of a control, opened. A click opens none where the sidebar still scrolls to it, and a
        page that is drawn anew meanwhile closes it: then a key opens it."""
        box, options = self.page.locator(f".st-key-{key} input"), self.page.get_by_role("option")
        box.evaluate("one => one.scrollIntoView({block: 'center'})")  # at the window's edge a list can open outside it
        box.click()
        for _ in range(TRIES):
            if self.appears(options, SHORT):
                return options
            box.press("ArrowDown")
        options.first.wait_for()
        return options

    def until(self, true, what: str, seconds: float = PATIENCE) -> None:
        """Wait until `true()`; fail with `what` and where the visitor is."""
        left = seconds
        while not true():
            if left <= 0:
                raise AssertionError(f"not within {seconds:g} s: {what}; at {self.page.url}")
            self.page.wait_for_timeout(50)
            left -= 0.05

    @property
    def where(self) -> str:
        """The page in the address bar."""
        return urlsplit(self.page.url).path.strip("/") or "idea"

    @property
    def address(self) -> dict[str, str]:
        """What stands behind the question mark."""
        return {name: values[0] for name, values in parse_qs(urlsplit(self.page.url).query).items()}

    @property
    def title(self) -> str:
        """The page's heading."""
        return self.page.get_by_role("heading", level=1).inner_text()

    @property
    def crumbs(self) -> list[str]:
        """The breadcrumb: network, layer, channel."""
        names = ("_crumb_network", "_crumb_layer", "_crumb_channel")
        found = [self.page.locator(f".st-key-{name} button") for name in names]
        return [crumb.first.inner_text().split("\n")[-1] for crumb in found if crumb.count()]

    @property
    def charts(self) -> list[str]:
        """What the charts on the page say of themselves to who cannot see them."""
        return [label for label in self.page.locator(".figure").evaluate_all(LABELS) if label]  # at one moment

    @property
    def widened(self) -> list:
        """Charts that were drawn twice, because their margins were too narrow for what stands in them."""
        self.page.evaluate("dispatchEvent(new Event('beforeprint'))")  # those out of sight are drawn too
        self.page.wait_for_function(
            "!document.querySelector('.figure:not([data-drawn=yes])')", polling=100, timeout=1000 * PATIENCE
        )
        return self.page.locator(".js-plotly-plot").evaluate_all(WIDENED)

    @property
    def messages(self) -> str:
        """Everything in coloured boxes."""
        return "\n".join(self.page.get_by_test_id("stAlert").all_inner_texts())

    @property
    def offers_to_compute(self) -> bool:
        """Whether the page says what is not stored, with a button."""
        return self.page.get_by_role("button", name="Compute", exact=True).count() > 0

    def broken(self) -> list[str]:
        """Tracebacks, console errors and requests that leave the machine: all must be absent."""
        return [*self.page.get_by_test_id("stException").all_inner_texts(), *self.errors, *self.outside]

    def traces(self, key: str) -> list[dict]:
        """Name, type, mode, x and y of each trace of the chart `key`."""
        self.see(key)
        return self.page.evaluate(TRACES, key)

    def see(self, key: str) -> None:
        """Scroll to the chart `key`, and wait until it is drawn."""
        self.page.locator(f".st-key-{key} .figure").scroll_into_view_if_needed()
        self.page.locator(f".st-key-{key} .figure[data-drawn=yes]").wait_for(timeout=1000 * PATIENCE)

    def click_point(self, key: str, trace: int, want=lambda point: True) -> list:
        """Click the point of a trace that stands farthest from the others; returns its customdata."""
        self.see(key)
        aim = {}

        def aimed() -> bool:
            best = self._loneliest(key, trace, want)
            if aim == best and self.page.evaluate(HOVERED, [key, best["custom"][0]]):
                return True
            aim.update(best)  # a chart that was scrolled to may still move
            self.page.mouse.move(best["x"] - 3, best["y"] - 1)
            self.page.mouse.move(best["x"], best["y"])
            return False

        self.until(aimed, f"a point of {key} under the mouse")
        self.page.mouse.click(aim["x"], aim["y"])
        return aim["custom"]

    def _loneliest(self, key: str, trace: int, want) -> dict:
        """Of the points of a trace that are wanted, the one that stands farthest from the others, where it is now."""
        points = self.page.evaluate(POINTS, [key, trace])

        def room(p) -> float:
            return min((abs(p["x"] - q["x"]) + abs(p["y"] - q["y"]) for q in points if q is not p), default=0)

        return max((point for point in points if point["inside"] and want(point)), key=room)

    def download(self, button: Locator):
        """Click a button that saves a file; returns Playwright's download."""
        with self.page.expect_download(timeout=1000 * PATIENCE) as saved:
            button.click()
        return saved.value

    def goes(self, locator: Locator, seconds: float = PATIENCE) -> bool:
        """Whether something is hidden in time, or is not there."""
        return self._becomes("hidden", locator, seconds)

    def appears(self, locator: Locator, seconds: float = PATIENCE) -> bool:
        """Whether something becomes visible in time."""
        return self._becomes("visible", locator.first, seconds)

    def _becomes(self, state: Literal["hidden", "visible"], locator: Locator, seconds: float) -> bool:
        try:
            locator.wait_for(state=state, timeout=1000 * seconds)
        except PlaywrightTimeout:
            return False
        return True
