"""Who may start computations and send files: everybody, who knows the password, whom a proxy names, nobody."""

import pytest
from made_jobs import make_job
from parts_of_pages import jobs_page, labels, panel, run
from small import SMALL, SPEED

from asr_core.jobs import estimate
from asr_core.jobs.runner import Runner
from asr_core.store import Store
from pages._frame import visitor

CLOSED = ("ASR_DEMO", "ASR_PASSWORD", "ASR_USER_HEADER")


@pytest.fixture
def store(tmp_path, monkeypatch):
    """A store of a server whose workers do not start."""
    for name in CLOSED:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ASR_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(Runner, "tend", lambda self: None)
    monkeypatch.setattr(visitor, "PAUSE", 0)
    found = Store(tmp_path)
    estimate.remember(SMALL, found, SPEED)
    return found


def own():
    from pages._frame import own

    own._inside()


@pytest.mark.parametrize("page", [panel, own, jobs_page])
def test_a_demo_offers_nothing_to_compute_or_send_and_says_so(store, monkeypatch, page):
    monkeypatch.setenv("ASR_DEMO", "1")
    make_job(store, "running")
    app = run(page)
    assert [info.value for info in app.info] == [visitor.DEMO]
    assert labels(app) == []
    assert not app.get("file_uploader")


def test_a_demo_starts_no_runner(store, monkeypatch):
    monkeypatch.setenv("ASR_DEMO", "1")
    monkeypatch.setattr("pages._frame.compute.runner", lambda store: pytest.fail("a runner"))
    run(panel)


@pytest.mark.parametrize(("value", "closed"), [("", False), ("0", False), ("1", True), ("yes", True)])
def test_a_demo_is_asked_for_by_anything_but_nothing_and_zero(monkeypatch, value, closed):
    monkeypatch.setenv("ASR_DEMO", value)
    assert visitor.demo() is closed


def test_the_password_opens_the_buttons_once_for_a_session(store, monkeypatch):
    monkeypatch.setenv("ASR_PASSWORD", "resuscitate")
    app = run(panel)
    assert labels(app) == []
    app.text_input[0].set_value("wrong").run()
    assert labels(app) == []
    assert any("another password" in caption.value for caption in app.caption)
    app.text_input[0].set_value("resuscitate").run()
    assert labels(app) == ["Compute"]
    assert not app.text_input
    app.run()
    assert labels(app) == ["Compute"]


def test_without_the_password_a_running_job_is_seen_and_not_cancelled(store, monkeypatch):
    monkeypatch.setenv("ASR_PASSWORD", "resuscitate")
    make_job(store, "running")
    app = run(panel)
    assert app.get("progress")
    assert labels(app) == []


@pytest.mark.parametrize(("headers", "opened"), [({"X-User": "ada"}, True), ({"X-User": ""}, False), ({}, False)])
def test_whom_the_proxy_names_may_compute(store, monkeypatch, headers, opened):
    monkeypatch.setenv("ASR_USER_HEADER", "X-User")
    monkeypatch.setattr(visitor, "named", lambda: headers.get("X-User") or None)
    app = run(panel)
    assert labels(app) == (["Compute"] if opened else [])
    assert [info.value for info in app.info] == ([] if opened else [visitor.UNNAMED])


def test_without_any_of_these_everybody_may_compute(store):
    assert labels(run(panel)) == ["Compute"]
