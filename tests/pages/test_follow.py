"""Moving on: what a browser looks at goes first, and what a session only followed is dropped."""

import os
import signal

import pytest
from made_jobs import make_job
from small import SMALL, SPEED
from streamlit.testing.v1 import AppTest

from asr_core.jobs import estimate, jobs, load, queue
from asr_core.jobs.jobs import Wanted
from asr_core.jobs.runner import Runner
from asr_core.spec.parts import PruneSpec
from asr_core.store import Store
from pages._frame import follow


def asked(number: int) -> Wanted:
    """One of many different settings."""
    return Wanted(SMALL.with_(prune=PruneSpec.of("global_l1", sparsity=number / 1000)))


@pytest.fixture
def sent(monkeypatch):
    """Signals that were sent, in place of sending them: this process stands for every worker."""
    found = []
    monkeypatch.setattr(os, "kill", lambda pid, number: found.append(number))
    return found


@pytest.fixture
def runner(tmp_path, monkeypatch, sent):
    """A runner whose workers do not start."""
    monkeypatch.setattr(Runner, "tend", lambda self: None)
    return Runner(Store(tmp_path))


def line(runner: Runner) -> list[str]:
    return [job.id for job in queue.waiting(runner.store)]


def test_of_one_browser_the_last_asked_goes_first_and_then_the_oldest(runner):
    make_job(runner.store, "running", wanted=asked(9), owners=["y"])
    found = [runner.submit(asked(n), owner="x").id for n in (1, 2, 3)]
    assert line(runner) == [found[2], found[0], found[1]]


def test_turning_back_to_a_waiting_job_puts_it_first(runner):
    make_job(runner.store, "running", wanted=asked(9), owners=["y"])
    found = [runner.submit(asked(n), owner="x").id for n in (1, 2, 3)]
    runner.look(found[1])
    assert line(runner) == [found[1], found[0], found[2]]


def test_what_is_asked_for_next_goes_before_what_runs_for_the_same_browser(runner, sent):
    first = make_job(runner.store, "running", wanted=asked(1), owners=["x"], tries=1)
    second = runner.submit(asked(2), owner="x").id
    assert sent == [signal.SIGTERM]
    assert line(runner) == [second, first]
    assert runner.get(first).tries == 0  # the server did not stop under it


@pytest.mark.parametrize("owners", [["y"], ["x", "y"]])
def test_what_runs_for_another_browser_is_left_alone(runner, sent, owners):
    first = make_job(runner.store, "running", wanted=asked(1), owners=owners)
    runner.submit(asked(2), owner="x")
    assert sent == []
    assert runner.get(first).state == "running"


def test_what_runs_is_left_alone_where_another_browser_would_be_next(runner, sent):
    first = make_job(runner.store, "running", wanted=asked(1), owners=["x"])
    make_job(runner.store, "queued", wanted=asked(3), owners=["z"])
    runner.submit(asked(2), owner="x")
    assert sent == []
    assert runner.get(first).state == "running"


def test_what_runs_is_left_alone_where_another_worker_is_free(tmp_path, monkeypatch, sent):
    monkeypatch.setenv("ASR_WORKERS", "2")
    monkeypatch.setattr(Runner, "tend", lambda self: None)
    runner = Runner(Store(tmp_path))
    make_job(runner.store, "running", wanted=asked(1), owners=["x"])
    runner.submit(asked(2), owner="x")
    assert sent == []


def test_a_job_gives_way_to_what_its_browser_turns_to(runner, sent):
    first = make_job(runner.store, "running", wanted=asked(1), owners=["x"], tries=1)
    second = make_job(runner.store, "queued", wanted=asked(2), owners=["x"])
    runner.look(second)
    assert sent == [signal.SIGTERM]
    assert line(runner) == [second, first]


def followed(runner: Runner, number: int, session: str, browser: str = "x") -> str:
    return runner.submit(asked(number), owner=browser, follower=session).id


def test_a_followed_job_that_never_began_leaves_no_trace(runner):
    make_job(runner.store, "running", wanted=asked(9), owners=["y"])
    job_id = followed(runner, 1, "tab")
    runner.leave(job_id, "tab")
    assert runner.get(job_id) is None


def test_a_followed_job_that_runs_is_dropped_and_its_worker_stays(runner, sent):
    job_id = make_job(runner.store, "running", wanted=asked(1), owners=[], followers={"tab": "x"})
    runner.leave(job_id, "tab")
    assert runner.get(job_id).state == "dropped"
    assert sent == [signal.SIGTERM]


def test_a_followed_job_that_began_and_waits_again_is_dropped(runner):
    job_id = make_job(runner.store, "queued", wanted=asked(1), owners=[], followers={"tab": "x"}, tries=1)
    runner.leave(job_id, "tab")
    assert runner.get(job_id).state == "dropped"


def test_a_followed_job_stays_for_another_session_of_the_same_browser(runner, sent):
    job_id = make_job(runner.store, "running", wanted=asked(1), owners=[], followers={"tab": "x", "other": "x"})
    runner.leave(job_id, "tab")
    assert runner.get(job_id).followers == {"other": "x"}
    assert sent == []


def test_a_click_makes_a_followed_job_a_wish_that_stays(runner, sent):
    job_id = followed(runner, 1, "tab")
    runner.submit(asked(1), owner="y")
    runner.leave(job_id, "tab")
    assert runner.get(job_id).state == "queued"
    assert runner.get(job_id).browsers == {"y"}


def test_leaving_what_one_does_not_follow_changes_nothing(runner):
    job_id = runner.submit(asked(1), owner="x").id
    before = runner.get(job_id)
    runner.leave(job_id, "tab")
    runner.leave("0" * 24, "tab")
    assert runner.get(job_id) == before


def test_a_followed_job_takes_its_browsers_room_and_turn(runner):
    job = runner.get(followed(runner, 1, "tab"))
    assert job.owners == ()
    assert job.browsers == {"x"}


def test_a_dropped_job_can_be_followed_again(runner):
    job_id = make_job(runner.store, "dropped", wanted=asked(1), owners=[])
    assert followed(runner, 1, "tab") == job_id
    assert runner.get(job_id).state == "queued"


def panel():
    import streamlit as st
    from small import SMALL

    from asr_core.store import Store
    from pages._frame import compute, follow

    follow.toggle()
    follow.move(compute.runner(Store()), st.session_state.get("wanted"))
    compute.compute_panel(SMALL, Store(), looked_at=True)


@pytest.fixture
def app(runner, monkeypatch):
    """The panel of an unstored setting in a session that may follow, after a choice of its own; time stands."""
    monkeypatch.setenv("ASR_CACHE_DIR", str(runner.store.root))
    monkeypatch.setattr(load, "slowdown", lambda: 1.0)
    estimate.remember(SMALL, runner.store, SPEED)
    monkeypatch.setattr("streamlit.fragment", lambda run, run_every: lambda: waits.append(run))
    waits = []
    app = AppTest.from_function(panel, default_timeout=60)
    app.session_state["_state"] = {"present": "0", "locked": "0"}
    app.session_state["_arrived"] = False
    app.session_state["wanted"] = Wanted(SMALL).id
    app.waits = waits
    return app.run()


def switched_on(app):
    app.toggle[0].set_value(True).run()
    assert not app.exception, app.exception
    return app


def said(app) -> str:
    return "\n".join(caption.value for caption in app.caption)


def test_following_is_off_until_it_is_switched_on(app, runner):
    assert not app.toggle[0].value
    assert app.waits == []
    switched_on(app)
    assert len(app.waits) == 1
    assert jobs.listed(runner.store) == []  # the choice has not lasted yet


def test_an_address_starts_nothing(app):
    switched_on(app)
    app.waits.clear()
    app.session_state["_arrived"] = True
    app.run()
    assert app.waits == []
    assert "an address computes nothing" in said(app)


def test_what_takes_too_long_needs_a_click(app, monkeypatch):
    monkeypatch.setattr(follow, "MOST", 1.0)
    switched_on(app)
    assert app.waits == []
    assert "needs your click" in said(app)


def test_what_was_never_measured_needs_a_click(app, monkeypatch):
    monkeypatch.setattr(Runner, "speed", lambda self, experiment: None)
    switched_on(app)
    assert app.waits == []
    assert "not measured on this machine" in said(app)


def test_what_was_cancelled_is_left_alone_and_what_was_dropped_is_not(app, runner):
    job_id = make_job(runner.store, "cancelled")
    switched_on(app)
    assert app.waits == []
    jobs.update(runner.store, job_id, state="dropped")
    app.run()
    assert len(app.waits) == 1


@pytest.mark.parametrize("name", ["ASR_DEMO", "ASR_PASSWORD"])
def test_who_may_not_compute_cannot_follow(app, monkeypatch, name):
    monkeypatch.setenv(name, "1")
    assert not app.run().toggle


@pytest.mark.parametrize("name", ["present", "locked"])
def test_on_a_stage_or_in_a_class_nothing_is_followed(app, name):
    app.session_state["_state"] = {"present": "0", "locked": "0", name: "1"}
    assert not app.run().toggle


@pytest.fixture
def following(app, runner, monkeypatch):
    """The same session, that follows a job which waits; its ID."""
    monkeypatch.setattr(follow.visitor, "session", lambda: "tab")
    switched_on(app)
    job_id = followed(runner, 500, "tab")
    app.session_state["_followed"] = job_id
    app.run()
    assert job_id == Wanted(SMALL).id
    assert runner.get(job_id).live
    return job_id


def test_moving_on_leaves_what_was_followed(app, runner, following):
    app.session_state["wanted"] = "another"
    app.run()
    assert runner.get(following) is None


def test_switching_off_leaves_what_was_followed(app, runner, following):
    app.toggle[0].set_value(False).run()
    assert runner.get(following) is None


def test_moving_on_leaves_what_was_asked_for_by_a_click(app, runner, following):
    runner.submit(asked(500), owner="x")
    app.session_state["wanted"] = "another"
    app.run()
    assert runner.get(following).live


def test_a_choice_that_lasts_is_followed_and_says_that_moving_on_drops_it(app, runner, monkeypatch):
    monkeypatch.setattr(follow, "PAUSE", 0)
    monkeypatch.setattr("streamlit.fragment", lambda run, run_every: run)
    switched_on(app)
    (job,) = jobs.listed(runner.store)
    assert job.id == Wanted(SMALL).id
    assert (job.owners, len(job.followers)) == ((), 1)
    assert "dropped when you move on" in said(app)
    assert [button.label for button in app.button] == ["Cancel"]


@pytest.mark.parametrize(("owner", "times"), [("x", 1), ("y", 0)])
def test_who_only_watches_a_job_of_others_changes_no_order(app, runner, monkeypatch, owner, times):
    looked = []
    monkeypatch.setattr(Runner, "look", lambda self, job_id: looked.append(job_id))
    monkeypatch.setattr(follow.visitor, "owner", lambda: "x")
    job_id = make_job(runner.store, "queued", owners=[owner])
    app.run()
    app.run()
    assert looked == times * [job_id]
