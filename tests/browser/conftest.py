"""A dashboard in a process of its own, and a headless Chromium that looks at it. Screenshots of every page lie in
artifacts/."""

import json
import re

import pytest
from visitor import Visitor

from asr_core.store.entries import PROJECT
from benchmarks import dashboard

ARTIFACTS = PROJECT / "artifacts"
STYLED = """(style => document.addEventListener('DOMContentLoaded', () =>
    document.head.append(Object.assign(document.createElement('style'), {textContent: style}))))"""


@pytest.fixture(scope="session")
def chromium():
    """One browser for all tests of a worker; each visit has a context of its own."""
    if dashboard.chromium() is None:
        pytest.skip("no Chromium on this machine (Debian: apt-get install chromium fonts-dejavu-core)")
    with dashboard.browser() as found:
        yield found


@pytest.fixture(scope="module")
def server(chromium, tmp_path_factory):
    """One server for a file of tests."""
    with dashboard.served(dashboard.prepared_cache(tmp_path_factory.mktemp("cache"))) as found:
        yield found


@pytest.fixture
def fresh_server(chromium, tmp_path):
    """A server that nobody has visited yet."""
    with dashboard.served(dashboard.prepared_cache(tmp_path / "cache")) as found:
        yield found


@pytest.fixture
def visit(chromium, request):
    """visit(server, path) opens a page in a fresh browser context, without cookies or cache, and waits until it is
    finished.

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
