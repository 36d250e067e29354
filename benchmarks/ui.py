"""python -m benchmarks.ui: how fast and how frugal the dashboard is, over a running server and headless Chromium.

Every number is of one run on one machine; medians where something is repeated. The points drawn are a made-up
result's (`benchmarks.wide`): at least four networks of 2,048 channels each.
"""

import json
import platform
import re
import statistics
import tempfile
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

import click
import psutil

from asr_core.store import Store
from asr_core.store.entries import versions
from benchmarks import crowd, dashboard, report, script, stopwatch, wide
from benchmarks.report import Line

BARE = """import plotly.graph_objects as go
import streamlit as st
st.plotly_chart(go.Figure(go.Scatter(x=[1, 2, 3], y=[1, 3, 2])))
"""
PAGES = ("overview", "variance", "heatmaps", "curves", "absorption", "severity", "ablation")
USERS, VIEWS, TABS = 10, 200, 50
MIB = 2**20
FEWER, MORE = ["bn_only", "lw_bn", "asr_bn"], ["bn_only", "lw_bn", "raw_bn", "asr_bn"]
# page, chart, (control, number of its button, value) that are clicked in turn: each click changes the chart
CONTROLS = (
    ("variance", "scatter", (("stage", 3, "predicted"), ("stage", 2, "recalibrated"), ("stage", 1, "repaired"))),
    ("variance", "scatter", (("methods", 3, FEWER), ("methods", 3, MORE))),
    ("heatmaps", "cells_map", (("rows", 2, "damage"), ("rows", 1, "depth"))),
    ("overview", "accuracy", (("methods", 3, FEWER), ("methods", 3, MORE))),
    ("curves", "curves", (("x", 2, "images"), ("x", 1, "batches"))),
)
LARGE = CONTROLS[0]  # the one that draws most points


def say(text: str) -> None:
    """Progress, on stderr."""
    click.echo(text, err=True)


@click.command(context_settings={"show_default": True})
@click.option("--repeats", default=5, metavar="N", help="How often starts, first charts and each control are measured.")
@click.option("--quick", is_flag=True, help="One repeat, a tenth of the views and tabs: to see that it works.")
@click.option("--json", "json_file", default=None, metavar="FILE", help="Also keep the numbers here.")
def main(repeats, quick, json_file):
    """Speed and memory of the dashboard."""
    repeats, part = (1, 10) if quick else (repeats, 1)
    with tempfile.TemporaryDirectory(prefix="benchmark-ui-") as folder:
        lines = measured(Path(folder), repeats, VIEWS // part, TABS // part)
    machine = {"processor": platform.processor() or platform.machine(), "cores": psutil.cpu_count()}
    click.echo(report.table(lines))
    click.echo(f"medians of {repeats}; {machine}")
    if json_file:
        Path(json_file).write_text(
            json.dumps(
                {"repeats": repeats, "machine": machine, "versions": versions(), "lines": report.as_json(lines)},
                indent=1,
            )
        )


def measured(scratch: Path, repeats: int, views: int, tabs: int) -> list[Line]:
    """All lines of the table."""
    cache = dashboard.prepared_cache(scratch / "cache")
    setting = wide.store_wide(Store(cache))
    with dashboard.browser() as browser:
        say("starts and first charts")
        lines = first_lines(browser, cache, scratch, repeats)
        with dashboard.served(cache) as server:
            say(f"{report.table(lines)}\nclicks")
            lines += (clicked := click_lines(browser, server, setting, repeats))
            say(f"{report.table(clicked)}\nmemory")
            lines += memory_lines(browser, server, setting, views, tabs)
    return lines


def first_lines(browser, cache: Path, scratch: Path, repeats: int) -> list[Line]:
    """Start to healthy; a cold browser's first chart, ours and a bare page's in turn, on servers that were visited
    before."""
    bare_script = scratch / "bare.py"
    bare_script.write_text(BARE)
    starts, ours, bare = [], [], []
    for _ in range(repeats):
        with dashboard.served(cache) as server, dashboard.served(cache, bare_script, scratch / "bare.log") as other:
            starts.append(server.seconds)
            fresh = stopwatch.first_chart(browser, server.url)
            stopwatch.first_chart(browser, other.url)
            ours.append(stopwatch.first_chart(browser, server.url))
            bare.append(stopwatch.first_chart(browser, other.url))
    start, own, plain = (statistics.median(times) for times in (starts, ours, bare))
    return [
        Line("start to healthy", start, None, "s", start, "<= 3"),
        Line("first chart, cold browser", own, None, "s", own, "<= 4"),
        Line("first chart, cold browser, vs a bare one-chart page", own, plain, "s", own / plain, "<= 1.3"),
        Line("first chart for the first visitor of a server", fresh, None, "s"),
    ]


def click_lines(browser, server, setting: dict, repeats: int) -> list[Line]:
    """Controls on an idle server, by ten users at once, and while a job computes."""
    context = browser.new_context(viewport=dashboard.SIZE)
    idle = [time for control in CONTROLS for time in clicks(context, server, setting, control, repeats)]
    large = clicks(context, server, setting, LARGE, repeats)
    together, among = ten_users(browser, server, setting, repeats), one_of_ten(context, server, setting, repeats)
    with computing(context, server):
        busy = clicks(context, server, setting, LARGE, repeats)
    context.close()
    one, several = statistics.median(large), statistics.median(busy)
    return [
        within(f"control to new chart ({len(idle)} clicks on {len(CONTROLS)} controls)", statistics.median(idle), 300),
        within(f"the same, 5 x {wide.CHANNELS:,} points", one, 300),
        within(
            "server part: the script's run", statistics.median(scripts(server.cache, setting, CONTROLS, repeats)), 120
        ),
        within(
            f"the same, 5 x {wide.CHANNELS:,} points",
            statistics.median(scripts(server.cache, setting, [LARGE], repeats)),
            120,
        ),
        within(
            f"{USERS} users at once, 5 x {wide.CHANNELS:,} points: a browser here, nine users elsewhere",
            statistics.median(among),
            1500,
        ),
        within(f"the same, all {USERS} browsers on the server's own machine", statistics.median(together), 1500),
        Line("while a job computes vs idle", several, one, "ms", several / one, "<= 2"),
    ]


def scripts(cache: Path, setting: dict, controls, repeats: int) -> list[float]:
    """Milliseconds of the script's runs on the server for the same clicks."""
    return [
        time
        for page, _, buttons in controls
        for time in script.times(cache, setting, page, [(name, value) for name, _, value in buttons], repeats)
    ]


def within(what: str, milliseconds: float, target: int) -> Line:
    """A line of at most `target` ms."""
    return Line(what, milliseconds, None, "ms", milliseconds, f"<= {target}")


def clicks(context, server, setting: dict, control: tuple, repeats: int) -> list[float]:
    """Milliseconds of a control's clicks, after a first round that fills the caches."""
    name, chart, buttons = control
    page = stopwatch.open_page(context, f"{server.url}/{name}?{urlencode(setting)}")
    times = [
        stopwatch.timed(page, chart, lambda b=button: page.click(selector(*b[:2])))
        for _ in range(repeats + 1)
        for button in buttons
    ]
    page.close()
    return times[len(buttons) :]


def selector(control: str, number: int) -> str:
    """The button of a row of buttons, from 1; not the one that shows the control's help."""
    return f".st-key-{control} [data-rac] button:nth-of-type({number})"


def ten_users(browser, server, setting: dict, repeats: int) -> list[float]:
    """Milliseconds of each of ten who click at once, each in an own browser context, after a first round; raises if one
    sees an error."""
    name, chart, buttons = LARGE
    contexts = [browser.new_context(viewport=dashboard.SIZE) for _ in range(USERS)]
    pages = [stopwatch.open_page(context, f"{server.url}/{name}?{urlencode(setting)}") for context in contexts]
    times = [
        time
        for _ in range(repeats + 1)
        for button in buttons
        for time in stopwatch.all_at_once(pages, chart, selector(*button[:2]))
    ]
    for page in pages:
        if broken := page.locator("[data-testid=stException]").all_inner_texts():
            raise RuntimeError(f"with {USERS} users at once: {broken[0]}")
    for context in contexts:
        context.close()
    return times[len(buttons) * USERS :]


def one_of_ten(context, server, setting: dict, repeats: int) -> list[float]:
    """Milliseconds of one browser's clicks while nine users with machines of their own click at once."""
    name, chart, buttons = LARGE
    address, selectors = f"{server.url}/{name}?{urlencode(setting)}", [selector(*button[:2]) for button in buttons]
    opening, frames = crowd.recorded(context, address, selectors)
    page = stopwatch.open_page(context, address)
    with crowd.users(server.url, USERS - 1, opening) as others:
        times = [
            crowd.among(others, frame, page, chart, click)
            for _ in range(repeats + 1)
            for frame, click in zip(frames, selectors, strict=True)
        ]
    page.close()
    return times[len(buttons) :]


@contextmanager
def computing(context, server):
    """While it lasts, the server's worker computes a setting that is not stored: a minute of work."""
    page = stopwatch.open_page(context, f"{server.url}/overview?dataset=digits&architecture=resnet18&sparsity=0.63")
    page.get_by_role("button", name="Compute", exact=True).click()
    page.get_by_text(re.compile(r"\d+ % · ")).wait_for(timeout=120_000)
    yield
    page.get_by_role("button", name="Cancel", exact=True).click()
    page.get_by_text("Cancelled;").wait_for(timeout=120_000)


def memory_lines(browser, server, setting: dict, views: int, tabs: int) -> list[Line]:
    """Growth of the web process, in MiB, once every page has been seen."""
    process = psutil.Process(server.process.pid)
    see(browser, server, setting, len(PAGES))
    before = process.memory_info().rss
    see(browser, server, setting, views)
    viewed = process.memory_info().rss
    for number in range(tabs):
        see(browser, server, setting, 1, first=number)
    closed = process.memory_info().rss
    grown, left = (viewed - before) / MIB, (closed - viewed) / MIB
    return [
        Line(
            f"memory of the web process after {views} page views: grown by", grown, before / MIB, "MiB", grown, "<= 50"
        ),
        Line(f"after {tabs} opened and closed tabs: left", left, viewed / MIB, "MiB", left, "<= 100"),
    ]


def see(browser, server, setting: dict, count: int, first: int = 0) -> None:
    """`count` page views in one tab, then close it."""
    context = browser.new_context(viewport=dashboard.SIZE)
    page = context.new_page()
    for number in range(first, first + count):
        page.goto(f"{server.url}/{PAGES[number % len(PAGES)]}?{urlencode(setting)}")
        dashboard.finished(page, 120)
    context.close()


if __name__ == "__main__":
    main(prog_name="python -m benchmarks.ui")
