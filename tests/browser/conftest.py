"""A dashboard in a process of its own, and a headless Chromium that looks at it. Screenshots of every page lie in artifacts/."""

import json
import re
from pathlib import Path

import pytest
from visitor import Visitor

from asr_core.jobs import estimate
from asr_core.spec.grid import default_repairs, default_states
from asr_core.store import Store
from asr_core.store.catalogue import Setting
from asr_core.store.entries import PROJECT
from benchmarks import dashboard

ARTIFACTS = PROJECT / "artifacts"
STYLED = """(style => document.addEventListener('DOMContentLoaded', () =>
    document.head.append(Object.assign(document.createElement('style'), {textContent: style}))))"""
# Seconds per image on a middling core: measuring them would take the processor from the tests.
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


@pytest.fixture(scope="session")
def chromium():
    """One browser for all tests of a worker; each visit has a context of its own."""
    if dashboard.chromium() is None:
        pytest.skip("no Chromium on this machine (Debian: apt-get install chromium fonts-dejavu-core)")
    with dashboard.browser() as found:
        yield found


def prepared_cache(folder: Path) -> Path:
    """An own cache that shows the shipped results and knows this machine's speed."""
    cache = dashboard.cache_with_shipped(folder)
    estimate.remember(Setting().experiment(default_repairs(), default_states()), Store(cache), SPEED)
    return cache


@pytest.fixture(scope="module")
def server(chromium, tmp_path_factory):
    """One server for a file of tests."""
    with dashboard.served(prepared_cache(tmp_path_factory.mktemp("cache"))) as found:
        yield found


@pytest.fixture
def fresh_server(chromium, tmp_path):
    """A server that nobody has visited yet."""
    with dashboard.served(prepared_cache(tmp_path / "cache")) as found:
        yield found


@pytest.fixture
def visit(chromium, request):
    """visit(server, path) opens a page in a fresh browser context, without cookies or cache, and waits until it is finished.

    style: CSS that the page has from its beginning. The rest goes to Playwright's new_context.
    """
    visitors = []

    def call(server, path="", style="", **context) -> Visitor:
        found = chromium.new_context(**{"viewport": dashboard.SIZE, "accept_downloads": True} | context)
        found.add_init_script(f"{STYLED}({json.dumps(style)})")
        visitor = Visitor(found, server.url)
        visitors.append(visitor)
        visitor.open(path)
        return visitor

    yield call
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name)
    ARTIFACTS.mkdir(exist_ok=True)
    for number, visitor in enumerate(visitors):
        visitor.page.screenshot(path=ARTIFACTS / f"{name}-{number}.png")
        visitor.context.close()
