"""A dashboard in a process of its own, and a headless Chromium that looks at it. Screenshots of every page lie in
artifacts/."""

import json
import re

import pytest
from visitor import Visitor

from asr_core.store.entries import PROJECT
from benchmarks import dashboard

ARTIFACTS = PROJECT / "artifacts"
USUAL = {"viewport": dashboard.SIZE, "accept_downloads": True}
STYLED = """(style => document.addEventListener('DOMContentLoaded', () =>
    document.head.append(Object.assign(document.createElement('style'), {textContent: style}))))"""


@pytest.fixture(scope="session")
def server(chromium, tmp_path_factory):
    """One server for all tests that store nothing."""
    with dashboard.served(dashboard.prepared_cache(tmp_path_factory.mktemp("cache"))) as found:
        yield found


@pytest.fixture(scope="module")
def own_server(chromium, tmp_path_factory):
    """A server for a file of tests that compute."""
    with dashboard.served(dashboard.prepared_cache(tmp_path_factory.mktemp("cache"))) as found:
        yield found


@pytest.fixture
def fresh_server(chromium, tmp_path):
    """A server that nobody has visited yet."""
    with dashboard.served(dashboard.prepared_cache(tmp_path / "cache")) as found:
        yield found


@pytest.fixture(scope="session")
def usual(chromium):
    """A browser context that keeps files from visit to visit."""
    found = chromium.new_context(**USUAL)
    yield found
    found.close()


@pytest.fixture
def visit(chromium, usual, request):
    """visit(server, path) opens a page in a session of its own, and waits until it is finished.

    fresh: in a browser without cookies or cache. style: CSS that the page has from its beginning. The rest goes to
    Playwright's new_context. With any of these the browser is fresh.
    """
    visitors = []

    def call(server, path="", style="", fresh=False, **more) -> Visitor:
        context = usual
        if fresh or style or more:
            context = chromium.new_context(**USUAL | more)
            context.add_init_script(f"{STYLED}({json.dumps(style)})")
        visitor = Visitor(context, server.url)
        visitors.append(visitor)
        visitor.open(path)
        return visitor

    yield call
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name)
    ARTIFACTS.mkdir(exist_ok=True)
    for number, visitor in enumerate(visitors):
        visitor.page.screenshot(path=ARTIFACTS / f"{name}-{number}.png")
        visitor.page.close()
        if visitor.context is not usual:
            visitor.context.close()
