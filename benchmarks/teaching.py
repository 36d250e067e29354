"""python -m benchmarks.teaching: how fast the idea, the lesson, a talk and the report are.

Every number is of one run on one machine; medians where something is repeated.
"""

import json
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import click
import psutil

from asr_core.report.lesson import STEPS
from asr_core.store.entries import versions
from benchmarks import dashboard, report
from benchmarks.report import Line

# `__turn(text)` waits for a key; `__turned` is [ms to the heading with this text, ms until all in sight is drawn].
TURNS = f"""(() => {{
    const finished = {dashboard.FINISHED};
    window.__turn = text => {{
        window.__turned = null;
        let began = null, told = null;
        addEventListener("keydown", event => began ??= event.timeStamp, {{capture: true, once: true}});
        const look = () => {{
            const there = [...document.querySelectorAll("h3, .corner")].some(one => one.textContent.includes(text));
            if (there && told === null) told = performance.now() - began;
            if (there && finished()) window.__turned = [told, performance.now() - began];
            else requestAnimationFrame(look);
        }};
        requestAnimationFrame(look);
    }};
}})()"""
# `__shown` and `__moved`: milliseconds until a frame was painted with the bars of the idea, and with them in the page.
SHOWN = """for (const [name, place] of [["__shown", ""], ["__moved", "#root "]]) {
    const look = () => document.querySelector(`${place}.idea[data-drawn=yes] svg.bars`)
        ? setTimeout(() => { window[name] = performance.now(); }) : requestAnimationFrame(look);
    requestAnimationFrame(look);
}"""
# Milliseconds of work in the frame in which a bar of the idea follows a key.
FRAME = """() => new Promise(done => {
    const bar = document.querySelector('.idea [role=slider]'), before = bar.getAttribute('aria-valuenow');
    requestAnimationFrame(() => {
        const start = performance.now();
        bar.dispatchEvent(new KeyboardEvent('keydown', {key: before > 50 ? 'ArrowUp' : 'ArrowDown', bubbles: true}));
        const heard = performance.now() - start;
        requestAnimationFrame(frame => done(
            [heard + performance.now() - frame, bar.getAttribute('aria-valuenow') !== before]));
    });
})"""


@click.command(context_settings={"show_default": True})
@click.option("--repeats", default=3, metavar="N", help="Cold starts, and walks through the lesson.")
@click.option("--json", "json_file", default=None, metavar="FILE", help="Also keep the numbers here.")
def main(repeats: int, json_file: str | None) -> None:
    """Speed of what teaches."""
    with tempfile.TemporaryDirectory(prefix="benchmark-teaching-") as folder, dashboard.browser() as browser:
        cache = dashboard.prepared_cache(Path(folder) / "cache")
        lines = idea_lines(browser, cache, repeats)
        with dashboard.served(cache) as server:
            lines += lesson_lines(browser, server, repeats)
        lines += report_lines(cache, Path(folder) / "report.html")
    machine = {"processor": platform.processor() or platform.machine(), "cores": psutil.cpu_count()}
    machine["load"] = round(psutil.getloadavg()[0], 1)
    click.echo(report.table(lines))
    click.echo(f"medians of {repeats}; {machine}")
    if json_file:
        kept = {"repeats": repeats, "machine": machine, "versions": versions(), "lines": report.as_json(lines)}
        Path(json_file).write_text(json.dumps(kept, indent=1) + "\n")


def idea_lines(browser, cache: Path, repeats: int) -> list[Line]:
    """The bars on the screen for the first visitor of a server, with an empty browser; the work of one answer."""
    shown, moved, answers = [], [], []
    for _ in range(repeats):
        with dashboard.served(cache) as server:
            context = browser.new_context(viewport=dashboard.SIZE)
            page = context.new_page()
            page.add_init_script(SHOWN)
            page.goto(server.url)
            page.wait_for_function("window.__moved", timeout=120_000)
            shown.append(page.evaluate("window.__shown") / 1000)
            moved.append(page.evaluate("window.__moved") / 1000)
            dashboard.finished(page, 120)
            for _ in range(20):
                milliseconds, followed = page.evaluate(FRAME)
                if not followed:
                    raise RuntimeError("a bar of the idea did not follow its key within a frame")
                answers.append(milliseconds)
            context.close()
    cold, answer = statistics.median(shown), statistics.median(answers)
    return [
        Line("the idea on the screen, first visitor of a server", cold, None, "s", cold, "<= 2"),
        Line("the same, taken into the dashboard's page", statistics.median(moved), None, "s"),
        Line(f"a bar follows, work in its frame ({len(answers)} times)", answer, None, "ms", answer, "<= 16"),
        Line("the same, slowest", max(answers), None, "ms"),
    ]


def lesson_lines(browser, server, repeats: int) -> list[Line]:
    """A key to the next step, after a first walk that fills the server's caches."""
    context = browser.new_context(viewport=dashboard.SIZE)
    told, drawn = [], []
    for walk in range(repeats + 1):
        page = context.new_page()
        page.add_init_script(TURNS)
        page.goto(f"{server.url}/lesson")
        dashboard.finished(page, 120)
        for number in range(2, len(STEPS) + 1):
            first, last = turned(page, f"{number}. {STEPS[number - 1].title}")
            if walk:
                told.append(first)
                drawn.append(last)
        page.close()
    context.close()
    words, whole = statistics.median(told), statistics.median(drawn)
    return [
        Line(f"key to the next step's words ({len(told)} steps)", words, None, "ms", words, "<= 500"),
        Line("key to the next step, all drawn", whole, None, "ms", whole, "<= 500"),
        Line("the same, slowest", max(drawn), None, "ms"),
    ]


def turned(page, text: str) -> tuple[float, float]:
    """Milliseconds from Right to a heading with `text`, and until all is drawn."""
    page.evaluate("text => window.__turn(text)", text)
    page.keyboard.press("ArrowRight")
    page.wait_for_function("window.__turned", timeout=120_000, polling=50)
    return tuple(page.evaluate("window.__turned"))


def report_lines(cache: Path, file: Path) -> list[Line]:
    """Processor time and size of the usual setting's report."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run = [sys.executable, "-m", "asr_core", "--cache-dir", str(cache), "report", "--output", str(file)]
    subprocess.run(run, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds, size = after.ru_utime - before.ru_utime, file.stat().st_size / 1e6
    return [
        Line("report, processor time", seconds, None, "s", seconds, "<= 10"),
        Line("report, size", size, None, "MB", size, "<= 5"),
    ]


if __name__ == "__main__":
    main(prog_name="python -m benchmarks.teaching")
