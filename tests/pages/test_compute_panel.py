"""The compute panel and the Jobs page in every state a job can have; workers are made up, processes are not started."""

import pytest
from made_jobs import LINE, make_job
from parts_of_pages import jobs_page, labels, panel, run
from small import SMALL, SPEED

from asr_core.errors import AsrError
from asr_core.jobs import estimate, load, queue
from asr_core.jobs.jobs import Wanted
from asr_core.jobs.runner import Runner
from asr_core.spec.parts import PruneSpec
from asr_core.store import Store
from pages._frame import pricing, visitor
from pages._frame.compute import WATCH
from pages._frame.progress import news

every = Runner.all


@pytest.fixture
def store(tmp_path, monkeypatch):
    """A store of a server whose workers do not start."""
    monkeypatch.setenv("ASR_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(Runner, "tend", lambda self: None)
    found = Store(tmp_path)
    estimate.remember(SMALL, found, SPEED)
    return found


@pytest.fixture
def submitted(monkeypatch):
    """What was submitted, in place of starting a worker."""
    found = []
    monkeypatch.setattr(Runner, "submit", lambda self, wanted, where=None, owner="": found.append(wanted))
    return found


def test_what_is_missing_is_listed_with_its_time_beside_what_else_runs_and_can_be_asked_for(
    store, submitted, monkeypatch
):
    monkeypatch.setattr(load, "slowdown", lambda: 2.0)
    about = estimate.duration(2 * estimate.seconds(estimate.work(SMALL, store), SPEED, 3))
    app = run(panel)
    assert f"about {about}" in app.markdown[0].value and "training and decoding included" in app.markdown[0].value
    table = app.dataframe[0].value
    assert table["stage"].iloc[:2].tolist() == ["decoding images", "training the dense network"]
    app.button[0].click().run()
    assert submitted == [Wanted(SMALL)] and not app.exception


def test_a_running_job_shows_stage_images_and_time_left_and_can_be_cancelled(store, monkeypatch):
    job_id = make_job(store, "running", line=LINE)
    cancelled = []
    monkeypatch.setattr(Runner, "cancel", lambda self, job: cancelled.append(job))
    app = run(panel)
    bar = app.get("progress")[0].proto
    assert bar.value == 25 and bar.text == "25 % · accuracy (BN only) · about 42 s left"
    assert labels(app) == ["Cancel"]
    app.button[0].click().run()
    assert cancelled == [job_id]


@pytest.mark.parametrize(
    ("drawn", "now", "rest", "due"),
    [
        (None, None, 9, False),
        (None, ("dense", 1), 9, False),
        (None, ("repair", 5), 0, True),
        (("stats", 4), ("repair", 5), 0, True),
        (("repair", 5), ("evaluation", 6), 9, False),
        (("repair", 5), ("evaluation", 7), 9, True),
        (("repair", 5), ("evaluation", 7), 1, False),
    ],
)
def test_the_page_is_drawn_again_when_the_first_statistics_came_and_then_a_few_times(drawn, now, rest, due):
    drawn, now = (line and {"stage": line[0], "tasks": line[1], "of_tasks": 40, "view": 9} for line in (drawn, now))
    assert news(drawn, now, rest) is due


@pytest.mark.parametrize(("before", "now", "rest", "due"), [(3, 2, 2, True), (3, 2, 0.5, False), (1, 0, 0, True)])
def test_the_page_is_drawn_again_for_each_row_that_it_asked_for(before, now, rest, due):
    drawn, now = ({"stage": "evaluation", "tasks": 5, "of_tasks": 40, "view": view} for view in (before, now))
    assert news(drawn, now, rest) is due


def test_a_queued_job_says_whether_it_waits_for_another_one(store):
    make_job(store, "queued")
    assert run(panel).get("progress")[0].proto.text == "Starting a worker …"
    make_job(store, "running", wanted=Wanted(SMALL.with_(repairs=())), before=10, line=LINE)
    text = run(panel).get("progress")[0].proto.text
    words = "Waiting for 1 other computation, about 42 s; one runs at a time, and browsers take turns."
    assert text == words


def test_a_job_that_waits_again_keeps_its_fraction(store):
    make_job(store, "queued", line=LINE)
    assert run(panel).get("progress")[0].proto.value == 25


def test_an_offer_says_what_comes_before_it_and_how_long_that_takes(store):
    make_job(store, "running", wanted=Wanted(SMALL.with_(repairs=())), line=LINE | {"slowdown": 3.0}, owners=["y"])
    whole = estimate.duration(3 * estimate.seconds(estimate.work(SMALL, store), SPEED, 3))
    text = run(panel).markdown[0].value
    assert f"**about {whole}** on this machine, after 1 other computation, about 42 s" in text


def test_the_jobs_are_read_as_often_however_many_wait(store, monkeypatch):
    monkeypatch.setattr(Runner, "tend", lambda self: None)
    crew, found = Runner(store), []
    monkeypatch.setattr(Runner, "all", lambda self: found.append(None) or every(self))
    reads = []
    for count in (2, 6):
        while len(list(store.jobs.glob("*"))) < count + 1:
            number = len(list(store.jobs.glob("*")))
            prune = PruneSpec.of("global_l1", sparsity=round(0.1 + 0.05 * number, 2))
            make_job(
                store, "queued" if number else "running", wanted=Wanted(SMALL.with_(prune=prune)), before=100 - number
            )
        found.clear()
        assert pricing.ahead(crew, queue.waiting(store)[-1]).startswith(f"{count} other computation")
        reads.append(len(found))
    assert reads[0] == reads[1]


def test_an_offer_does_not_wait_for_what_the_same_browser_no_longer_looks_at(store, monkeypatch):
    monkeypatch.setattr(visitor, "owner", lambda: "x")
    make_job(store, "running", wanted=Wanted(SMALL.with_(repairs=())), line=LINE, owners=["x"])
    assert "after" not in run(panel).markdown[0].value


def test_a_failed_job_shows_its_reason_and_a_retry(store, submitted):
    make_job(store, "failed", reason="the worker was killed (signal 9)")
    app = run(panel)
    assert app.error[0].value == "The computation failed: the worker was killed (signal 9)"
    assert labels(app) == ["Retry"]
    app.button[0].click().run()
    assert submitted == [Wanted(SMALL)]


def test_a_job_that_ended_while_the_page_was_drawn_has_it_drawn_again_once(store, monkeypatch):
    make_job(store, "finished")
    asked = []
    monkeypatch.setattr("streamlit.fragment", lambda look, run_every: lambda: asked.append((look, run_every)))
    app = run(panel)
    app.run()
    assert len(asked) == 1 and asked[0][1] == WATCH and labels(app) == ["Compute"]
    assert app.session_state["_ended"][0] == Wanted(SMALL).id


def test_a_cancelled_job_offers_to_go_on(store):
    make_job(store, "cancelled")
    app = run(panel)
    assert "retry goes on" in app.caption[0].value and labels(app) == ["Retry"]


def test_what_cannot_be_computed_says_why_and_has_no_button(store, monkeypatch):
    def refuse(self, experiment):
        from asr_core.errors import ModelError

        raise ModelError("it cannot run on 32x32 images; use a larger image size.")

    monkeypatch.setattr(Runner, "speed", refuse)
    app = run(panel)
    assert app.error[0].value.startswith("it cannot run") and labels(app) == []


@pytest.mark.parametrize("touched", [False, True])
def test_a_worker_is_warmed_by_a_choice_and_not_by_an_address_alone(store, monkeypatch, touched):
    warmed = []
    monkeypatch.setattr(Runner, "warm", lambda self, experiment: warmed.append(experiment))
    monkeypatch.setattr("pages._frame.state.touched", lambda: touched)
    run(panel)
    assert warmed == touched * [SMALL]


@pytest.fixture
def unknown(store, monkeypatch):
    """No speed is known. What was measured, in place of starting a process."""
    found = []
    monkeypatch.setattr(Runner, "speed", lambda self, experiment: None)
    monkeypatch.setattr(Runner, "measure", lambda self, experiment: found.append(experiment))
    monkeypatch.setattr(Runner, "measuring", lambda self, experiment: experiment in found)
    return found


def test_an_unknown_speed_is_said_with_the_image_passes_and_measured_only_by_a_click(store, unknown):
    app = run(panel)
    passes = sum(task.images for task in estimate.work(SMALL, store))
    assert f"**{passes:,} image passes**" in app.markdown[0].value
    assert "not measured on this machine" in app.markdown[0].value
    assert app.dataframe[0].value["seconds"].isna().all()
    assert labels(app) == ["How long would it take?", "Compute"]
    assert unknown == []
    app.button[0].click().run()
    assert unknown == [SMALL]
    assert app.caption[0].value.startswith("Measuring")
    assert labels(app) == ["Compute"]


def test_a_measurement_that_must_wait_is_refused_in_words(unknown, monkeypatch):
    def refuse(self, experiment):
        raise AsrError("one at a time")

    monkeypatch.setattr(Runner, "measure", refuse)
    app = run(panel)
    app.button[0].click().run()
    assert [caption.value for caption in app.caption] == ["one at a time"]
    assert labels(app) == ["How long would it take?", "Compute"]


def test_the_jobs_page_says_when_there_are_none(store):
    assert "Nothing was computed here yet" in run(jobs_page).info[0].value


@pytest.mark.parametrize(
    ("state", "buttons"),
    [
        ("running", ["Cancel"]),
        ("queued", ["Cancel"]),
        ("failed", ["Retry"]),
        ("cancelled", ["Retry"]),
        ("finished", []),
    ],
)
def test_the_jobs_page_lists_a_job_with_its_log_and_buttons(store, state, buttons):
    make_job(store, state, reason="no room" if state == "failed" else None, log="first\nlast words\n")
    app = run(jobs_page)
    row = app.dataframe[0].value.iloc[0]
    assert row["state"] == state and "mobilenet_v3_small · digits · global L1 50 %" in row["what"]
    assert row["reason"] == ("no room" if state == "failed" else "")
    assert app.code[0].value == "first\nlast words" and labels(app) == buttons


def test_the_jobs_page_retries(store, submitted):
    make_job(store, "failed", reason="no room")
    app = run(jobs_page)
    app.button[0].click().run()
    assert submitted == [Wanted(SMALL)] and not app.exception


def test_a_job_of_another_version_is_listed_as_unreadable(store):
    job_id = make_job(store, "failed", reason="old")
    (store.jobs / job_id / "spec.json").write_text(
        '{"wanted": {"experiment": {}, "maps": null, "dense_id": null}, "runtime": {}}'
    )
    assert "unreadable" in run(jobs_page).dataframe[0].value.iloc[0]["what"]
