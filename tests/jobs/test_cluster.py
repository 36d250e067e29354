"""The dashboard's jobs as tasks of a cluster: the same queue, progress and states, without a signal."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from made_jobs import LONG, held, make_job
from made_maps import SETTING, copy

from asr_core.errors import UnknownName
from asr_core.jobs import cluster, executors, jobs, queue, watches, worker
from asr_core.jobs.cluster import Cluster
from asr_core.jobs.jobs import Wanted
from asr_core.jobs.queue import Limits
from asr_core.jobs.runner import Runner
from asr_core.pipeline import assembly
from asr_core.runtime import EXECUTOR, SCHEDULER
from asr_core.spec.experiment import ExperimentSpec
from asr_core.spec.parts import PruneSpec
from asr_core.spec.recalibration import BatchNormState
from asr_core.spec.repairs import BN_ONLY
from asr_core.store import results


def asked(sparsity: float) -> Wanted:
    """One of many settings around the untrained network that is stored."""
    setting = SETTING.with_(prune=PruneSpec.of("global_l1", sparsity=sparsity))
    return Wanted(ExperimentSpec.of_setting(setting, (BN_ONLY,), (BatchNormState(),)))


def until(runner: Runner, job_id: str, state: str) -> jobs.Job:
    """The job as soon as it is in `state`."""
    end = time.monotonic() + LONG
    while (job := runner.get(job_id)).state != state:
        assert time.monotonic() < end, f"{job}\n{job.log()}"
        assert job.live, f"{job}\n{job.log()}"
        time.sleep(0.05)
    return job


@pytest.fixture
def store(tmp_path):
    return copy(tmp_path)


@pytest.fixture
def runner(store, monkeypatch):
    """A runner whose cluster is two threads of this process."""

    @contextmanager
    def opened(kind):
        assert kind == "dask"
        with ThreadPoolExecutor(2) as pool:
            yield pool

    monkeypatch.setattr(executors, "opened", opened)
    monkeypatch.setattr(watches, "FILE_LOOK", 0)
    monkeypatch.setenv(EXECUTOR, "dask")
    found = Runner(store)
    yield found
    for job in found.all():
        found.cancel(job.id)
    found._cluster.close()


def test_local_workers_are_the_default_and_another_name_is_refused(store, monkeypatch):
    monkeypatch.delenv(EXECUTOR, raising=False)
    assert Cluster.of_environment(store, Limits()) is None
    monkeypatch.setenv(EXECUTOR, "slurm")
    with pytest.raises(UnknownName, match="slurm"):
        Runner(store)


def test_a_job_is_computed_with_progress_and_found_in_the_store(runner):
    wanted = asked(0.41)
    job = until(runner, runner.submit(wanted).id, "finished")
    assert results.find(wanted.experiment, runner.store) is not None
    assert job.progress()["of_tasks"] > 1
    assert job.host.startswith("dask ")


def test_a_running_job_is_cancelled_without_a_signal_and_keeps_what_is_stored(runner):
    wanted = asked(0.42)
    with held(wanted, runner.store):
        job = runner.submit(wanted)
        end = time.monotonic() + LONG
        while (runner.get(job.id).progress() or {}).get("stage") != "evaluation":
            assert time.monotonic() < end
            time.sleep(0.05)
        assert runner.cancel(job.id).state == "cancelled"
    other = until(runner, runner.submit(asked(0.43)).id, "finished")
    assert other.state == "finished"  # the task that computed the first has come back
    assert runner.get(job.id).state == "cancelled"
    assert results.find(wanted.experiment, runner.store) is None
    assert assembly.partial(wanted.experiment, runner.store).channels is not None


def test_a_task_that_is_run_again_as_its_worker_was_lost_goes_on_with_its_job(store):
    lost = make_job(store, "running", wanted=asked(0.44), tries=1)
    jobs.update(store, lost, host="dask mine")
    worker.compute_next(store.root, Limits(), "dask mine")
    job = jobs.read(store, lost)
    assert (job.state, job.tries) == ("finished", 2)


def test_a_task_finds_no_job_where_none_waits(store):
    assert worker.compute_next(store.root, Limits(), "dask mine") is False
    assert jobs.listed(store) == []


def test_where_another_server_computes_already_tasks_are_tried_now_and_then(runner, monkeypatch):
    monkeypatch.setattr(cluster, "PAUSE", LONG)
    sent = []
    monkeypatch.setattr(Cluster, "_start", lambda self, start=Cluster._start: (sent.append(1), start(self)))
    other = make_job(runner.store, "running", wanted=asked(0.51))
    ended = threading.Event()
    monkeypatch.setattr(Cluster, "_ended", lambda self, one, end=Cluster._ended: (end(self, one), ended.set()))
    job = runner.submit(asked(0.52))
    assert ended.wait(LONG)
    assert (sent, runner.get(job.id).state) == ([1], "queued")
    jobs.update(runner.store, other, state="cancelled")


def test_a_job_whose_worker_is_silent_waits_again_some_times(store, monkeypatch):
    monkeypatch.setenv(EXECUTOR, "dask")
    monkeypatch.setattr(Cluster, "tend", lambda self: None)
    runner = Runner(store)
    some, often = (make_job(store, "running", wanted=asked(s), tries=n) for s, n in ((0.45, 1), (0.46, jobs.TRIES)))
    for job_id in (some, often):
        jobs.update(store, job_id, host="dask gone", started=0.0)
    assert runner.get(some).state == "queued"
    assert runner.get(often).state == "failed"


def test_a_cluster_that_cannot_be_reached_is_said_and_the_job_waits(store, monkeypatch):
    monkeypatch.setenv(EXECUTOR, "dask")
    monkeypatch.delenv(SCHEDULER, raising=False)
    runner = Runner(store)
    job = runner.submit(asked(0.47))
    end = time.monotonic() + LONG
    while runner.trouble is None:
        assert time.monotonic() < end
        time.sleep(0.02)
    assert SCHEDULER in runner.trouble
    assert runner.get(job.id).state == "queued"


def test_a_task_gives_signs_of_life(store, monkeypatch):
    monkeypatch.setattr(jobs, "BEAT", 0.02)
    job = jobs.read(store, make_job(store, "running", wanted=asked(0.48)))
    end = time.monotonic() + LONG
    with watches.alive(job):
        while not (job.folder / jobs.ALIVE).exists():
            assert time.monotonic() < end
            time.sleep(0.02)


@pytest.mark.parametrize("state", ["cancelled", "dropped", "queued"])
def test_a_task_stops_once_its_job_is_no_longer_its_own(store, monkeypatch, state):
    monkeypatch.setattr(watches, "FILE_LOOK", 0)
    make_job(store, "queued", wanted=asked(0.48))
    job = queue.take(store, Limits(), "dask mine")
    watch = watches.FileWatch(store, job)
    assert not watch.stopped
    jobs.update(store, job.id, state=state)
    assert watch.stopped


def test_a_dask_cluster_computes_the_jobs_of_a_dashboard(store, monkeypatch):
    distributed = pytest.importorskip("distributed", reason="Dask is optional: pip install distributed")
    options = {"n_workers": 1, "threads_per_worker": 1, "processes": False, "dashboard_address": None}
    with distributed.LocalCluster(**options, protocol="tcp://") as found:
        monkeypatch.setenv(SCHEDULER, found.scheduler_address)
        monkeypatch.setenv(EXECUTOR, "dask")
        runner = Runner(store)
        job = until(runner, runner.submit(asked(0.49)).id, "finished")
        client = runner._cluster._pool._client
        runner._cluster.close()
        assert client.status == "closed"
    lines = (job.folder / "progress.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["share"] > 0.5
