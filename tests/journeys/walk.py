"""A seeded random walk through the dashboard in a real browser, looked at after each step.

    python -m tests.journeys --seeds 5

After each step: nothing is broken, nothing complains of what was offered, nothing but the step changed a parameter of
the address, and address and sidebar say the same. Every fourth step the address is opened in a fresh session of
another browser, which must show the same: at every step that would take longer than the walk itself.
"""

import random
from contextlib import suppress

from journeys import seen, steps
from playwright.sync_api import Error as PlaywrightError
from visitor import PATIENCE, Visitor

from asr_core.errors import AsrError
from asr_core.spec.experiment import Setting
from benchmarks import dashboard
from pages._frame.address import DENSE_ID, PARAMS, SELECTION, SETTING, default

COUNT = """new MutationObserver(() => {
    const state = document.querySelector('[data-testid=stApp]')?.dataset.testScriptState;
    if (state !== window.lastState && state === 'running') window.runs = (window.runs ?? 0) + 1;
    window.lastState = state;
}).observe(document, {subtree: true, childList: true, attributes: true, attributeFilter: ['data-test-script-state']})"""
RUNS = "window.runs ?? 0"  # how often the script has run
AS_IT_IS = "is not stored. All below is of another setting"  # no complaint: an offer
# Found by a page in the present result where nothing is chosen, or what is chosen is of another network.
FOUND = {
    *SELECTION,
    "fix",
    "first",
    "second",
    "alone",
    "instead",
    "talk",
}  # a page that needs one takes what is at hand
SILENT = {"methods": PARAMS["methods"].text(default("methods"))}  # said where a fresh browser would choose others
EVERY = 4  # steps between two looks from a fresh browser


class Walk:
    """One walk: `way` holds (page, address) of each entry of the browser's history, `place` where in it the walk is."""

    def __init__(self, browser, url: str, seed: int, tell=lambda words: None):
        self.browser, self.url, self.random, self.tell = browser, url, random.Random(seed), tell
        self.seed, self.log, self.faults = seed, [], []
        self.visitor, self.second = Visitor(self.context(), url), self.context()
        self.visitor.open("")
        self.way, self.place = [self.here], 0
        self.first = self.first_view()

    def context(self):
        """A fresh browser context."""
        context = self.browser.new_context(viewport=dashboard.SIZE)
        context.add_init_script(COUNT)
        return context

    def first_view(self) -> dict[str, str]:
        """What the address says where nobody has chosen anything: in another browser."""
        other = Visitor(self.second, self.url)
        other.open("overview")
        found = other.address
        other.page.close()
        return found

    @property
    def page(self):
        """Playwright's page."""
        return self.visitor.page

    @property
    def here(self) -> tuple[str, dict[str, str]]:
        """Page and address."""
        return self.visitor.where, self.visitor.address

    def has(self, selector: str) -> bool:
        """Whether something is visible."""
        found = self.page.locator(selector)
        return bool(found.count()) and found.first.is_visible()

    def setting(self) -> Setting | None:
        """The setting of the address."""
        try:
            return Setting.of(**{n: seen.value(self.visitor.address, n) for n in SETTING if n != DENSE_ID})
        except AsrError:
            return None

    def go(self, count: int, stop: bool = True) -> None:
        """`count` steps; with `stop` only up to the first that shows a fault."""
        tried, odds = list(steps.STEPS), list(steps.STEPS.values())
        while len(self.log) < count and not (stop and self.faults):
            before, runs = self.here, self.page.evaluate(RUNS)
            (step,) = self.random.choices(tried, odds)
            self.log.append(f"{step.__name__} …")
            done = step(self)
            self.log.pop()
            if done is None:
                continue
            self.log.append(done.words)
            self.tell(f"{len(self.log)}. {done.words}")
            self.settle(self.visitor, runs)
            self.look(before, done)
            if len(self.log) % EVERY == 0:
                self.look_afresh()
        self.visitor.context.close()
        self.second.close()

    def settle(self, visitor: Visitor, runs: int) -> None:
        """Wait until the script ran after a step, if it does, and all is drawn."""
        left = 1.0
        while left > 0 and visitor.page.evaluate(RUNS) == runs:
            visitor.page.wait_for_timeout(25)
            left -= 0.025
        visitor.finish()
        visitor.page.wait_for_timeout(60)
        visitor.finish()

    def look(self, before: tuple, done: steps.Done) -> None:
        """Note everything that is wrong after a step."""
        expected = self.follow_the_way(before, done)
        page, address = self.here
        if page != expected[0]:
            self.fault(f"at {page}, not {expected[0]}")
        wanted = self.decided(expected[1], before[1])
        told = wanted.keys() | address.keys()
        changed = {name for name in told if wanted.get(name, SILENT.get(name)) != address.get(name, SILENT.get(name))}
        for name in sorted(changed - done.sets - FOUND):
            self.fault(f"{name} changed from {wanted.get(name)} to {address.get(name)}")
        for words in seen.disagreements(address, seen.controls(self.page)):
            self.fault(words)
        self.complaints(self.visitor)

    def decided(self, expected: dict[str, str], before: dict[str, str]) -> dict[str, str]:
        """An entry that names no setting, as none was chosen yet, has that of the session, or the first view's."""
        if "dataset" in expected or "dataset" not in self.visitor.address:
            return expected
        return (before if "dataset" in before else self.first) | expected

    def complaints(self, visitor: Visitor) -> None:
        """Exceptions, errors of the console, requests that leave the machine, and warnings and errors on the page."""
        for words in visitor.broken():
            self.fault(words)
        visitor.errors.clear()
        boxes = "[data-testid=stAlertContentWarning], [data-testid=stAlertContentError]"
        for words in visitor.page.locator(boxes).all_inner_texts():  # nothing where it is folded away
            if words and AS_IT_IS not in words:
                self.fault(f"complaint: {words}")

    def follow_the_way(self, before: tuple, done: steps.Done) -> tuple[str, dict]:
        """Where the step must have led: to the entry before or after, or to an entry of its own, with its address."""
        if done.moved in ("back", "forward"):
            self.place += 1 if done.moved == "forward" else -1
            expected = self.way[self.place]
            self.visitor.until(lambda: self.visitor.where == expected[0], str(expected))
            self.visitor.finish()
        elif done.moved == "open":
            self.way[self.place + 1 :] = [self.here]
            self.place += 1
            expected = self.here[0], before[1]
        else:
            expected = before
        self.way[self.place] = self.here
        return expected

    def look_afresh(self) -> None:
        """The address in another browser, which only keeps files: the same page, crumbs, sidebar, and nothing wrong."""
        page, address = self.here
        query = self.page.url.removeprefix(self.url).lstrip("/")
        other = Visitor(self.second, self.url)
        other.open(query)
        self.unfold(other)
        mine, theirs = seen.controls(self.page), seen.controls(other.page)
        told = {"page": (page, other.where), "address": (address, other.address)}
        told |= {"title": (self.visitor.title, other.title), "crumbs": (self.visitor.crumbs, other.crumbs)}
        told |= {n: (mine[n]["value"], theirs[n]["value"]) for n in mine.keys() & theirs.keys()}
        for what, (one, two) in told.items():
            if one != two:
                self.fault(f"afresh, {what} is {two}, here it is {one}")
        self.complaints(other)
        other.page.close()

    def unfold(self, other: Visitor) -> None:
        """Open in a fresh browser the parts of the sidebar that are open here."""
        open_here = self.page.locator("[data-testid=stSidebar] details[open] summary").all_inner_texts()
        closed = other.page.locator("[data-testid=stSidebar] details:not([open]) summary")
        for place in reversed(range(closed.count())):
            if closed.nth(place).inner_text() in open_here:
                runs = other.page.evaluate(RUNS)
                closed.nth(place).click()
                self.settle(other, runs)

    def fault(self, words: str) -> None:
        """Note a fault at the present step."""
        self.faults.append(f"step {len(self.log)}, {self.log[-1]}: {words} at {self.page.url.removeprefix(self.url)}")
        self.tell(f"   FAULT: {self.faults[-1]}")

    def seen_last(self) -> str:
        """All that the page says, its complaints noted as faults: for a step that could not be done."""
        said = self.page.locator("body").inner_text()
        self.complaints(self.visitor)
        return said

    def story(self) -> str:
        """Seed, steps and faults, to be walked again."""
        told = [f"{number}. {words}" for number, words in enumerate(self.log, 1)]
        return "\n".join([f"seed {self.seed}, {len(self.log)} steps:", *told, "faults:", *self.faults])


def walked(browser, url: str, seed: int, count: int, stop: bool = True, tell=lambda words: None) -> Walk:
    """The walk of a seed, at its end; `tell` hears each step. A step that cannot be done in time is a fault of it."""
    walk = Walk(browser, url, seed, tell)
    walk.page.context.set_default_timeout(1000 * PATIENCE / 3)
    try:
        walk.go(count, stop)
    except Exception as error:
        with suppress(PlaywrightError):  # the browser may be what failed
            error.add_note(walk.seen_last())
        error.add_note(walk.story())
        raise
    return walk
