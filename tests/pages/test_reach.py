"""What figures and pages may reach: no other server, and no process for an address alone."""

import pytest
from drawn import drawn
from made_results import store_result
from paged import PAGES, opened
from starlette.requests import Request

from asr_core.figures import style
from asr_core.jobs.runner import Runner
from asr_core.store import Store
from pages._frame import document, export


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("ASR_CACHE_DIR", str(tmp_path))
    return Store(tmp_path)


@pytest.fixture
def started(monkeypatch):
    """What was asked of a process of its own."""
    found = []
    monkeypatch.setattr(Runner, "_spawn", lambda self, arguments, **streams: found.append(arguments))
    return found


@pytest.mark.parametrize("page", PAGES)
def test_no_figure_has_a_button_that_uploads_it(store, page):
    store_result(store)
    for figure in drawn(opened(page, dataset="digits")):
        assert figure["config"]["showSendToCloud"] is False
        assert figure["config"]["plotlyServerURL"] == ""
        assert figure["config"]["displaylogo"] is False
        assert "sendChartToCloud" in figure["config"]["modeBarButtonsToRemove"]


def test_no_figure_of_a_saved_page_has_one_either(store):
    store_result(store)
    figures = opened("overview", dataset="digits").session_state["_drawn"]
    assert export.html("Overview", figures).count('"showSendToCloud": false') == len(figures) > 0
    assert style.CONFIG["showSendToCloud"] is False


def test_a_page_tells_the_browser_to_ask_its_own_server_only():
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": [(b"host", b"127.0.0.1")]}
    policy = document._document(Request(scope)).headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'self' ")
    assert "http:" not in policy and "https:" not in policy and "*" not in policy


@pytest.mark.parametrize("page", PAGES)
def test_an_address_starts_no_process(store, started, page):
    for address in ({"image_size": "44"}, {"architecture": "resnet50", "sparsity": "0.77"}):
        opened(page, dataset="digits", **address)
    assert started == []
