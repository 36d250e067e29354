"""The queue of jobs: bounded, fair between browsers, and no processes but those that compute."""

import os
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from made_jobs import make_job
from small import SMALL

from asr_core.errors import QueueFull, SpecError
from asr_core.jobs import jobs, queue
from asr_core.jobs.jobs import Job, Wanted
from asr_core.jobs.queue import Limits
from asr_core.jobs.runner import Runner
from asr_core.spec.parts import PruneSpec
from asr_core.store import Store


def asked(number: int) -> Wanted:
    """One of many different settings."""
    return Wanted(SMALL.with_(prune=PruneSpec.of("global_l1", sparsity=number / 1000)))


def job(name: str, submitted: float, *owners: str, state: str = "queued", started: float | None = None) -> Job:
    return Job(name, Path(name), state, submitted, owners, started=started)


def names(found: list[Job]) -> str:
    return "".join(job.id for job in queue.line(found))


def test_of_one_browser_the_oldest_goes_first():
    assert names([job("c", 3, "x"), job("a", 1, "x"), job("b", 2, "x")]) == "abc"


def test_browsers_take_turns_however_many_one_has_asked_for():
    many = [job(name, place, "x") for place, name in enumerate("abcd")]
    assert names([*many, job("z", 9, "y"), job("w", 10, "y")]) == "azbwcd"


def test_whoever_had_a_turn_waits_for_those_who_had_none():
    before = job("-", 0, "x", state="finished", started=5)
    assert names([before, job("a", 1, "x"), job("z", 9, "y")]) == "za"
    assert names([before, job("-", 2, "y", state="running", started=7), job("a", 8, "x"), job("z", 3, "y")]) == "az"


def test_a_job_that_two_browsers_asked_for_has_the_turns_of_both():
    many = [job(name, place, "x") for place, name in enumerate("abc")]
    assert names([*many[:2], replace(many[2], owners=("x", "y"))]) == "acb"


def test_what_does_not_wait_is_not_in_line():
    assert names([job(state, 1, "x", state=state) for state in jobs.STATES if state != "queued"]) == ""


def test_one_browser_may_not_fill_the_queue():
    found = [job(name, 1, "x") for name in "abc"]
    with pytest.raises(QueueFull, match="3 of your computations wait already"):
        queue.check_room(found, "x", Limits(each=3))
    queue.check_room(found, "y", Limits(each=3))


def test_a_full_queue_is_said_in_words():
    with pytest.raises(QueueFull, match="3 computations wait here already"):
        queue.check_room([job(name, 1, name) for name in "abc"], "x", Limits(waiting=3))


def test_what_computes_or_has_ended_takes_no_room():
    found = [job(state, 1, "x", state=state) for state in ("running", "finished", "failed", "cancelled")]
    queue.check_room(found, "x", Limits(each=1, waiting=1))


def test_limits_come_from_the_environment_and_are_checked(monkeypatch):
    monkeypatch.setenv("ASR_WORKERS", "2")
    monkeypatch.setenv("ASR_WORKER_IDLE", "0")
    assert Limits.of_environment() == Limits(workers=2, idle=0)
    monkeypatch.setenv("ASR_QUEUE", "many")
    with pytest.raises(SpecError, match="ASR_QUEUE is"):
        Limits.of_environment()


def test_taking_a_job_marks_it_and_no_more_are_taken_than_may_compute(tmp_path):
    store = Store(tmp_path)
    first, second = (make_job(store, "queued", wanted=asked(n), before=-n) for n in (1, 2))
    taken = queue.take(store, Limits())
    assert (taken.id, taken.state, taken.pid, taken.tries) == (first, "running", os.getpid(), 1)
    assert queue.take(store, Limits()) is None
    assert queue.take(store, Limits(workers=2)).id == second
    assert queue.take(store, Limits(workers=9)) is None


def test_a_job_whose_worker_is_gone_holds_no_place(tmp_path):
    store = Store(tmp_path)
    gone = make_job(store, "running", wanted=asked(1))
    jobs.update(store, gone, born=0.0)
    waits = make_job(store, "queued", wanted=asked(2))
    assert queue.take(store, Limits()).id == waits


def test_a_new_server_takes_up_what_the_last_one_left_but_not_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(Runner, "tend", lambda self: None)
    store = Store(tmp_path)
    left, often, living = (make_job(store, "running", wanted=asked(n)) for n in (1, 2, 3))
    jobs.update(store, left, born=0.0)
    jobs.update(store, often, born=0.0, tries=jobs.TRIES)
    runner = Runner(store)
    assert runner.get(left).state == "queued" and runner.get(left).pid is None
    assert runner.get(often).state == "failed"
    assert runner.get(living).state == "running"


def test_a_worker_on_another_machine_lives_while_it_gives_signs(tmp_path):
    store = Store(tmp_path)
    job_id = make_job(store, "running")
    jobs.update(store, job_id, host="elsewhere", started=0.0)
    assert not jobs.exists(jobs.read(store, job_id))
    (store.jobs / job_id / jobs.ALIVE).touch()
    assert jobs.exists(jobs.read(store, job_id))


def test_a_job_of_another_machine_is_cancelled_by_its_state(tmp_path):
    store = Store(tmp_path)
    job_id = make_job(store, "running")
    (store.jobs / job_id / jobs.ALIVE).touch()
    jobs.update(store, job_id, host="elsewhere")
    assert Runner(store).cancel(job_id).state == "cancelled"


def test_how_a_job_ended_is_remembered_where_the_disk_takes_no_more(tmp_path, monkeypatch):
    store = Store(tmp_path)
    monkeypatch.setattr(Runner, "tend", lambda self: None)
    runner, job_id = Runner(store), make_job(store, "running")
    jobs.update(store, job_id, born=0.0)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(jobs, "write_json", full)
    found = runner.get(job_id)
    assert found.state == "failed" and "No space left on device" in found.reason
    assert runner.get(job_id) == found


@pytest.mark.parametrize(("idle", "started"), [("0", 0), ("60", 1)])
def test_one_worker_is_warmed_where_workers_stay(tmp_path, monkeypatch, idle, started):
    monkeypatch.setenv("ASR_WORKER_IDLE", idle)
    found = []
    monkeypatch.setattr(Runner, "_start", lambda self: found.append(self._children.setdefault(1, None)))
    runner = Runner(Store(tmp_path))
    assert found == []
    runner.warm(SMALL)
    runner.warm(SMALL)
    assert len(found) == started


def test_ninety_waiting_settings_are_one_process(tmp_path, monkeypatch):
    for name in ("ASR_QUEUE", "ASR_QUEUE_EACH"):
        monkeypatch.setenv(name, "90")
    monkeypatch.setenv("ASR_WORKER_IDLE", "0")
    runner = Runner(Store(tmp_path))
    found = [runner.submit(asked(n)) for n in range(1, 91)]
    workers = [said(child) for child in psutil.Process().children() if "asr_core.jobs.worker" in said(child)]
    assert len([words for words in workers if str(tmp_path) in words]) == 1  # those of earlier tests may still end
    with pytest.raises(QueueFull):
        for n in range(91, 93):  # one more may wait where the first one computes already
            runner.submit(asked(n))
    for job in [*runner.all(), *found]:  # the last in line first: the worker takes none of them meanwhile
        runner.cancel(job.id)
    assert not any(job.live for job in runner.all())


def said(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""
