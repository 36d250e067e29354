"""A running dashboard and a headless Chromium to look at it with; used by `benchmarks.ui` and by the browser tests."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError

from asr_core.jobs import estimate
from asr_core.spec.experiment import ExperimentSpec
from asr_core.store import Store
from asr_core.store.entries import PROJECT

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
OPTIONS = ["--server.address", "127.0.0.1", "--server.headless", "true", "--server.showEmailPrompt", "false"]
OPTIONS += ["--browser.gatherUsageStats", "false"]
SIZE = {"width": 1500, "height": 1000}
# Seconds per image on a middling core: measuring them would take the processor from what is measured or tested.
SPEED = {
    "start": 3.0,
    "build": 0.5,
    "assemble": 0.25,
    "evaluation": 0.002,
    "recalibration": 0.004,
    "stats": 0.006,
    "repair": 0.008,
    "train": 0.02,
    "decode": 0.0001,
    "maps": 0.002,
}
# The script has run (or broken down), nothing is a placeholder, every chart that is not far out of sight is drawn.
FINISHED = """() => {
    const app = document.querySelector('[data-testid=stApp]');
    const charts = [...document.querySelectorAll('[data-testid=stBidiComponentRegular]:not(.st-key-_prepare *)')];
    return app?.dataset.testScriptState === 'notRunning' && app.dataset.testConnectionState === 'CONNECTED'
        && document.querySelector('h1, [data-testid=stException]')
        && !document.querySelector('[data-testid=stSkeleton]')
        && charts.every(chart => chart.querySelector(
            '[data-drawn=yes] .main-svg, [data-drawn=later], [data-drawn=yes]:not(.figure)'));
}"""


@dataclass(frozen=True)
class Served:
    """A running server: address without a slash at its end, its cache, its process, seconds from start to healthy."""

    url: str
    cache: Path
    process: subprocess.Popen
    seconds: float


def chromium() -> str | None:
    """Path of a Chromium on this machine, or None."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


@contextmanager
def browser():
    """Playwright's browser, with an empty cache. Raises FileNotFoundError where there is none."""
    from playwright.sync_api import sync_playwright

    path = chromium()
    if path is None:
        raise FileNotFoundError(
            f"no {', '.join(NAMES)} on this machine; on Debian: apt-get install chromium fonts-dejavu-core"
        )
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=path, args=FLAGS)
        try:
            yield found
        finally:
            found.close()


@contextmanager
def served(cache: Path, script: Path = PROJECT / "app.py", log: Path | None = None):
    """The dashboard on the results in `cache`, on a free port of 127.0.0.1; yields Served, and stops it.

    log: where its output goes. Raises RuntimeError with that output's end if it does not come up.
    """
    log = log or Path(cache, "server.log")
    start = time.perf_counter()
    with _reserved_port() as port, open(log, "wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", str(script), "--server.port", str(port), *OPTIONS],
            cwd=PROJECT,
            env=os.environ | {"ASR_CACHE_DIR": str(cache)},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            _await_health(f"http://127.0.0.1:{port}", process, log)
            yield Served(f"http://127.0.0.1:{port}", cache, process, time.perf_counter() - start)
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def _reserved_port():
    """A free port that nobody who asks for any is given meanwhile; a server that asks for this one gets it."""
    with socket.socket() as found:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
        if sys.platform != "linux":  # elsewhere the server could not have it either
            found.close()
        yield port


def _await_health(url: str, process: subprocess.Popen, log: Path, patience: float = 300.0) -> None:
    until = time.monotonic() + patience
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/_stcore/health", timeout=2) as answer:
                if answer.status == 200:
                    return
        except (URLError, OSError):
            time.sleep(0.02)
    raise RuntimeError(f"the server did not come up: {log.read_text()[-2000:]}")


def cache_with_shipped(folder: Path) -> Path:
    """An own cache directory that shows the shipped results."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "shipped").symlink_to(PROJECT / "cache" / "shipped")
    return folder


def prepared_cache(folder: Path) -> Path:
    """The same, and this machine's speed as if it had been measured."""
    cache = cache_with_shipped(folder)
    estimate.remember(ExperimentSpec(), Store(cache), SPEED)
    return cache


def finished(page, seconds: float = 30.0) -> None:
    """Wait until a page has run to its end and every chart on it is drawn."""
    page.wait_for_function(FINISHED, polling=100, timeout=1000 * seconds)  # not at each frame: that is work of its own
