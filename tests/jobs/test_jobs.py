"""Jobs with real worker processes on a tiny experiment: shared, cancelled, killed, orphaned, refused."""

import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest
from made_jobs import LONG, held, make_job
from small import SPEED

from asr_core.errors import AsrError, SpecError, StoreError, UnknownName
from asr_core.jobs import estimate, jobs, meter, queue, watches, worker
from asr_core.jobs import runner as runners
from asr_core.jobs.jobs import Wanted
from asr_core.jobs.runner import Runner
from asr_core.pipeline import allocations, assembly, maps, plan
from asr_core.pipeline.kept import Kept
from asr_core.pipeline.order import Sooner
from asr_core.pruning import budget
from asr_core.spec.dense import DenseSpec
from asr_core.spec.digests import key
from asr_core.spec.experiment import ExperimentSpec, from_dict
from asr_core.spec.model import ModelSpec
from asr_core.spec.parts import DataSpec, PruneSpec
from asr_core.spec.recalibration import BatchNormState
from asr_core.spec.repairs import BN_ONLY, DENSE, NO_REPAIR, RepairSpec
from asr_core.spec.samples import CalibrationSpec, EvalSpec
from asr_core.store import Store, results
from asr_core.store.entries import PROJECT
from asr_core.store.tables import networks

TINY = ExperimentSpec(
    model=ModelSpec(architecture="mobilenet_v3_small"),
    dense=DenseSpec(epochs=1),
    prune=PruneSpec.of("global_l1", sparsity=0.5),
    calibration=CalibrationSpec(stat_images=16, calib_batch_size=32),
    evaluation=EvalSpec(eval_images=64),
    repairs=(RepairSpec.of("bn_only"), RepairSpec.of("asr_bn")),
    states=(
        BatchNormState(),
        BatchNormState.of(calib_batches=1),
        BatchNormState.of(averaging="cumulative", calib_batches=2),
    ),
)
UNFIT = TINY.with_(data=DataSpec(image_size=16), model=ModelSpec(architecture="densenet121"))


def with_sparsity(value):
    return TINY.with_(prune=PruneSpec.of("global_l1", sparsity=value))


@pytest.fixture(scope="module")
def runner(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ASR_WORKER_IDLE", "2")
        found = Runner(Store(tmp_path_factory.mktemp("cache")))
        yield found
        for job in found.all():
            found.cancel(job.id)
        for child in list(found._children.values()):
            child.wait()


def wait(runner, job_id, until, seconds=LONG):
    """The job as soon as `until(job)` holds."""
    end = time.monotonic() + seconds
    while not until(job := runner.get(job_id)):
        assert time.monotonic() < end, f"{job}\n{job.log()}"
        time.sleep(0.05)
    return job


def ended(job):
    return not job.live


def computing(job):
    """Whether the job is past the point where statistics are stored. Ask it of a job that is held: others may end
    before."""
    return job.state == "running" and (job.progress() or {}).get("stage") in ("repair", "evaluation", "recalibration")


def at_its_last(job):
    """Whether a job that is held has come to the stage where it waits: it loads nothing any more."""
    line = job.progress() or {"tasks": 0, "of_tasks": 0}
    return job.state == "running" and line["tasks"] == line["of_tasks"] - 1


@pytest.fixture(scope="module")
def finished(runner):
    """The job of TINY, asked for twice while it ran; what it was expected to take is known, so its shares are too."""
    estimate.remember(TINY, runner.store, SPEED)
    first = runner.submit(Wanted(TINY), owner="one")
    second = runner.submit(Wanted(TINY), owner="other")
    assert (second.id, second.submitted) == (first.id, first.submitted)
    assert (first.owners, second.owners) == (("one",), ("one", "other"))
    return wait(runner, first.id, ended)


def test_a_submitted_experiment_is_computed_once_and_found(runner, finished):
    assert finished.state == "finished" and finished.reason is None
    assert len(results.find(TINY, runner.store).accuracy) == 1 + (1 + 2) * len(TINY.states)
    assert finished.submitted <= finished.started <= finished.finished


def test_progress_counts_every_pass_and_ends_near_zero_seconds(runner, finished):
    lines = [json.loads(line) for line in (finished.folder / "progress.jsonl").read_text().splitlines()]
    assert lines[0]["stage"] == "images" and lines[-1]["tasks"] == lines[-1]["of_tasks"] - 1
    for name in ("time", "images", "tasks", "share"):
        values = [line[name] for line in lines]
        assert values == sorted(values)
    assert lines[0]["of_images"] == 1797 + 1437 + sum(task.images for task in plan.tasks(TINY, "any", 1437, 360))
    assert 0 <= lines[0]["share"] < 0.3 < 0.8 < lines[-1]["share"] <= 1
    assert lines[-1]["seconds_left"] < max(line["seconds_left"] for line in lines)


def test_asking_again_for_what_is_stored_finishes_without_computing(runner, finished):
    assert estimate.work(TINY, runner.store) == []
    job = wait(runner, runner.submit(Wanted(TINY)).id, ended)
    assert job.state == "finished" and job.progress() is None


def test_a_job_can_be_read_back_as_it_was_asked(runner, finished):
    assert finished.asked()[0] == Wanted(TINY)
    assert runner.get(Wanted(with_sparsity(0.123)).id) is None
    mapped = Wanted(TINY, maps.MapSpec(layer="features.0.0"), "0" * 16)
    assert mapped.id != finished.id


def test_a_cancelled_job_keeps_finished_stages_and_leaves_nothing_half_written(runner, finished):
    store, spec = runner.store, with_sparsity(0.6)
    with held(Wanted(spec), store):
        job = wait(runner, runner.submit(Wanted(spec)).id, computing)
        job = runner.cancel(job.id)
    assert job.state == "cancelled"
    assert not list((store.root / ".tmp").glob("*")) and store.verify() == []
    assert assembly.partial(spec, store).channels is not None and results.find(spec, store) is None
    assert runner.cancel(job.id).state == "cancelled"


def test_a_second_job_waits_for_the_first_and_can_be_cancelled_there(runner, finished):
    one, other = (Wanted(with_sparsity(value)) for value in (0.7, 0.75))
    with held(one, runner.store):
        first = wait(runner, runner.submit(one).id, lambda job: job.state == "running")
        second = runner.submit(other, owner="another")
        assert second.state == "queued" and second.pid is None
        assert [job.id for job in runner.all()][:2] == [second.id, first.id]
        assert runner.cancel(second.id).state == runner.cancel(first.id).state == "cancelled"


def test_a_worker_goes_on_to_the_next_job_without_starting_anew(runner, finished):
    ended_jobs = [wait(runner, runner.submit(Wanted(with_sparsity(value))).id, ended) for value in (0.31, 0.32)]
    assert [job.state for job in ended_jobs] == ["finished", "finished"]
    assert ended_jobs[0].pid == ended_jobs[1].pid


def test_cancelling_a_job_leaves_the_worker_to_the_next(runner, finished):
    one, other = Wanted(with_sparsity(0.33)), Wanted(with_sparsity(0.34))
    with held(one, runner.store):
        first = wait(runner, runner.submit(one).id, computing)
        runner.submit(other)
        assert runner.cancel(first.id).state == "cancelled"
    assert wait(runner, other.id, ended).state == "finished"


def test_what_the_view_shows_is_computed_before_the_rest(runner, finished):
    spec = with_sparsity(0.35)
    first = Sooner((RepairSpec.of("asr_bn"),), TINY.states[2])
    job = wait(runner, runner.submit(Wanted(spec, first=first)).id, ended)
    lines = [json.loads(line) for line in (job.folder / "progress.jsonl").read_text().splitlines()]
    done = next(n for n, line in enumerate(lines) if line["view"] == 0)
    seen = {line["network"]["method"] for line in lines[:done] if line["stage"] in ("repair", "recalibration")}
    assert seen == {"asr_bn"} and lines[done]["share"] < 0.8
    assert job.state == "finished" and job.asked()[0].first == first


def test_a_worker_that_does_not_listen_is_killed_within_a_second(tmp_path, monkeypatch):
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(600)"
    deaf = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    deaf.stdout.readline()
    clock, sent, kill = Clock(), [], os.kill
    monkeypatch.setattr(watches, "time", clock)
    monkeypatch.setattr(runners.os, "kill", lambda pid, number: (sent.append((number, clock.now)), kill(pid, number)))
    store = Store(tmp_path)
    job = Runner(store).cancel(make_job(store, "running", pid=deaf.pid))
    deaf.communicate()
    assert job.state == "cancelled" and deaf.returncode == -signal.SIGKILL
    assert [number for number, _ in sent] == [signal.SIGTERM, signal.SIGKILL]
    assert sent[1][1] < 1


def test_a_cancelled_job_whose_worker_had_to_be_killed_is_not_a_failed_one(runner, finished):
    wanted = Wanted(with_sparsity(0.61))
    with held(wanted, runner.store):
        job = wait(runner, runner.submit(wanted).id, computing)  # when it holds no lock that cancelling needs
        child = runner._children[job.pid]
        os.kill(job.pid, signal.SIGSTOP)
        assert runner.cancel(job.id).state == "cancelled"
    assert child.wait() == -signal.SIGKILL
    wait(runner, job.id, lambda job: child.pid not in runner._children)
    assert runner.get(job.id).state == "cancelled"


@pytest.mark.parametrize(("asked", "state"), [(True, "cancelled"), (False, "failed")])
def test_an_interruption_that_became_another_error_is_one_where_it_was_asked_for(tmp_path, monkeypatch, asked, state):
    def interrupted(store, job, kept, stopped):
        watch.job = None if asked else watch.job
        raise RuntimeError("Error calling __set_name__")

    monkeypatch.setattr(worker, "compute", interrupted)
    store, watch = Store(tmp_path), SimpleNamespace(orphaned=False, stopped=False)
    job = jobs.read(store, make_job(store, "running"))
    assert worker.run(store, job, watch, Kept())
    assert jobs.read(store, job.id).state == state


def test_a_worker_takes_no_further_job_after_an_import_that_was_broken_off(tmp_path, monkeypatch):
    (tmp_path / "half_loaded.py").write_text("raise KeyboardInterrupt")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(worker, "compute", lambda *given: importlib.import_module("half_loaded"))
    monkeypatch.setattr(worker, "_print_into", lambda job: None)
    store, watch = Store(tmp_path), SimpleNamespace(orphaned=False, stopped=False)
    first, other = (make_job(store, "queued", wanted=Wanted(with_sparsity(value))) for value in (0.1, 0.2))
    assert worker.serve(store, watch, queue.Limits()) == 0
    assert sorted(jobs.read(store, id).state for id in (first, other)) == ["cancelled", "queued"]


class Clock:
    """In place of the module time: counts the seconds that were slept, however long they took."""

    time = staticmethod(time.time)

    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        time.sleep(seconds)
        self.now += seconds


def test_a_killed_worker_is_a_failed_job_and_retry_goes_on_from_what_is_stored(runner, finished):
    wanted = Wanted(with_sparsity(0.8))
    with held(wanted, runner.store):
        job = wait(runner, runner.submit(wanted).id, computing)
        os.kill(job.pid, signal.SIGKILL)
        job = wait(runner, job.id, ended)
    assert job.state == "failed" and job.reason == "the worker was killed (signal 9)"
    assert not list((runner.store.root / ".tmp").glob("*"))
    left = wanted.tasks(runner.store)
    assert "prune" not in {task.stage for task in left} and left
    assert wait(runner, runner.retry(job.id).id, ended).state == "finished"


def test_maps_of_a_layer_are_a_job_too(runner, finished):
    wanted = Wanted(TINY, maps.MapSpec(layer="features.0.0", images=2))
    assert not wanted.stored(runner.store) and wanted.tables == 0
    job = wait(runner, runner.submit(wanted).id, ended)
    assert job.state == "finished" and wanted.stored(runner.store)
    dense_id = results.find(TINY, runner.store).setting["dense_id"]
    assert maps.read(TINY, runner.store, dense_id, wanted.maps).of[DENSE].shape[:2] == (2, 16)


def test_repairability_is_a_job_too(runner, finished):
    wanted = Wanted(TINY, repairability=True)
    assert not wanted.stored(runner.store) and wanted.tables == 0 and wanted.id != Wanted(TINY).id
    job = wait(runner, runner.submit(wanted).id, ended)
    assert job.state == "finished" and wanted.stored(runner.store) and job.asked()[0] == wanted
    dense_id = results.find(TINY, runner.store).setting["dense_id"]
    layers, _ = allocations.repairability_of(runner.store, TINY, dense_id)
    assert len(layers) == len(budget.TRIALS) * layers["layer"].nunique()


def test_what_cannot_work_fails_with_its_one_line_reason(runner):
    job = wait(runner, runner.submit(Wanted(UNFIT)).id, ended)
    assert job.state == "failed" and "\n" not in job.reason
    assert job.reason.startswith("densenet121 with stem 'imagenet', head 'torchvision' cannot run on 16x16 images")
    assert job.reason in job.log()


def test_a_spec_that_this_version_cannot_read_fails_with_its_reason(runner, finished, monkeypatch):
    plain = Wanted.as_dict
    monkeypatch.setattr(
        Wanted, "as_dict", lambda self: json.loads(json.dumps(plain(self)).replace("global_l1", "global_l7"))
    )
    job = wait(runner, runner.submit(Wanted(with_sparsity(0.9))).id, ended)
    assert job.state == "failed" and job.reason.startswith("unknown pruning rule 'global_l7'")


def test_a_worker_ends_when_its_server_is_killed_and_the_next_server_goes_on(runner, finished):
    root, wanted = runner.store.root, Wanted(with_sparsity(0.95))
    onlooker = SimpleNamespace(get=lambda job_id: jobs.read(runner.store, job_id))  # a server would take it up
    spec = json.dumps(wanted.experiment.as_dict())
    code = (
        "import json, sys; from asr_core.jobs.runner import Runner; from asr_core.store import Store;"
        "from asr_core.jobs.jobs import Wanted; from asr_core.spec.experiment import from_dict; runner = "
        "Runner(Store(sys.argv[1]));"
        "job = runner.submit(Wanted(from_dict(json.loads(sys.argv[2])))); print(job.id, flush=True); sys.stdin.read()"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    for child in list(runner._children.values()):  # a worker of this server would take the job
        child.wait(LONG)
    with held(wanted, runner.store):
        server = subprocess.Popen([sys.executable, "-c", code, root, spec], **pipes)
        job_id = server.stdout.readline().strip()
        wait(onlooker, job_id, computing)
        server.kill()
        server.communicate()
        job = wait(onlooker, job_id, lambda job: job.state != "running")
        assert not list((root / ".tmp").glob("*"))
        assert job.state == "queued" and not jobs.exists(job)
    again = Runner(runner.store)
    job = wait(again, job_id, ended)
    assert job.state == "finished" and job.tries == 2


def test_a_job_that_an_orphan_puts_back_is_taken_up_by_the_server_that_looks_at_it(finished, runner, tmp_path):
    store = Store(shutil.copytree(runner.store.root, tmp_path / "cache"))
    shutil.rmtree(store.jobs)
    server = Runner(store)
    id = make_job(store, "running", wanted=Wanted(TINY))  # this process computes it, so no worker is started
    assert server.get(id).state == "running" and not server._children
    jobs.change(store, id, **jobs.WAITING)
    assert wait(server, id, ended).state == "finished"
    for child in list(server._children.values()):
        child.terminate()
        child.kill()
        child.wait()


def test_an_orphan_knows_at_once_that_it_is_one(tmp_path, monkeypatch):
    monkeypatch.setattr(signal, "signal", lambda *given: None)
    monkeypatch.setattr(watches.Watch, "_watch", lambda self: None)
    watch = watches.Watch(Store(tmp_path), os.getppid())
    assert not watch.orphaned
    monkeypatch.setattr(os, "getppid", lambda: 1)
    assert watch.orphaned


def test_partial_tables_have_the_columns_of_the_finished_ones(runner, finished, tmp_path):
    store = Store(shutil.copytree(runner.store.root, tmp_path / "cache"))  # the other tests need what is cleared here
    whole = results.find(TINY, store)
    assert list(whole.accuracy)[-2:] == ["key", "stored_row"]  # of what is stored as a result
    whole = replace(whole, accuracy=whole.accuracy.iloc[:, :-2])
    assert asdict_tables(assembly.partial(TINY, store)) == asdict_tables(whole)
    store.clear(["repair", "recalibration"])
    part = assembly.partial(TINY, store)
    assert asdict_tables(part) == asdict_tables(whole)
    assert set(networks(part.repairs)) == {BN_ONLY} and set(networks(part.layers)) == {NO_REPAIR, BN_ONLY}
    assert part.setting.keys() == whole.setting.keys()
    store.clear(["evaluation", "stats"])
    part = assembly.partial(TINY, store)
    assert part.setting is not None and part.accuracy is part.channels is part.layers is None
    store.clear(["dense"])
    assert assembly.partial(TINY, store).setting is None


def asdict_tables(result):
    return {name: list(getattr(result, name).columns) for name in results.TABLES}


def test_only_the_last_ended_jobs_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(queue, "KEPT", 2)
    store = Store(tmp_path)
    for i in range(4):
        (store.jobs / f"{i:024}").mkdir(parents=True)
        status = {"state": "finished", "submitted": i, "finished": i, "pid": 1, "born": 0}
        (store.jobs / f"{i:024}" / "status.json").write_text(json.dumps(status))
    queue.forget_old(store)
    assert [job.id for job in jobs.listed(store)] == [f"{3:024}", f"{2:024}"]


@pytest.mark.parametrize("name", ["", "..", "../../etc", "0" * 23, "G" * 24, "0" * 24])
def test_an_id_that_is_none_finds_no_job(tmp_path, name):
    runner = Runner(Store(tmp_path))
    assert runner.get(name) is None and runner.cancel(name) is None
    with pytest.raises(StoreError, match="no job"):
        runner.retry(name)


def test_job_folders_are_no_entries_of_the_store(runner, finished):
    assert "jobs" not in runner.store.stages() and runner.store.verify() == []


def test_a_speed_that_cannot_be_measured_says_why(tmp_path, monkeypatch):
    monkeypatch.setattr(meter, "FORGET", LONG)
    runner = Runner(Store(tmp_path))
    runner.measure(UNFIT)
    measured(runner, UNFIT)
    with pytest.raises(AsrError, match="cannot run on 16x16 images"):
        runner.speed(UNFIT)


def measured(runner: Runner, experiment: ExperimentSpec) -> None:
    """Wait until its speed is measured, or could not be."""
    for _ in range(LONG * 10):
        if not runner.measuring(experiment):
            return
        time.sleep(0.1)
    raise AssertionError("still measured")


@pytest.fixture
def started(monkeypatch):
    """Arguments of measuring processes: in their place one that sleeps until it is killed."""
    found = []

    def spawn(self, arguments, **streams):
        found.append(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], **streams))
        return found[-1]

    monkeypatch.setattr(Runner, "_spawn", spawn)
    yield found
    for child in found:
        child.kill()
        child.wait()
        child.stdout.close()


def test_asking_for_a_speed_starts_no_process(tmp_path, started):
    assert Runner(Store(tmp_path)).speed(TINY) is None
    assert started == []


def test_one_process_measures_at_a_time_and_whoever_asks_for_the_same_shares_it(tmp_path, started):
    runner = Runner(Store(tmp_path))
    runner.measure(TINY)
    runner.measure(TINY)
    with pytest.raises(AsrError, match="one at a time"):
        runner.measure(UNFIT)
    assert len(started) == 1
    assert runner.measuring(TINY) and not runner.measuring(UNFIT)


def test_what_could_not_be_measured_may_be_asked_for_again_after_a_while(tmp_path, started, monkeypatch):
    runner = Runner(Store(tmp_path))
    runner.measure(TINY)
    started[0].send_signal(signal.SIGALRM)
    started[0].wait()
    assert not runner.measuring(TINY)
    with pytest.raises(AsrError, match=f"longer than {estimate.PATIENCE} s"):
        runner.speed(TINY)
    monkeypatch.setattr(meter, "FORGET", 0)
    assert runner.speed(TINY) is None
    runner.measure(TINY)
    assert len(started) == 2


def test_measuring_ends_by_itself_where_it_takes_too_long(tmp_path):
    code = (
        "import json, time; from asr_core.jobs import estimate, probe, worker; from asr_core.store import Store; "
        "from asr_core.spec.experiment import ExperimentSpec; estimate.PATIENCE = 1; "
        "probe.measure = lambda *rest: time.sleep(600); "
        "worker.measure(Store('.'), json.dumps(ExperimentSpec().as_dict()))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(PROJECT)!r}); {code}"], cwd=tmp_path
    )
    assert ended.returncode == -signal.SIGALRM


def test_the_side_that_asks_never_imports_torch():
    code = (
        "import sys, asr_core.jobs.runner, asr_core.jobs.jobs, asr_core.jobs.estimate, pages._frame.compute; assert "
        "'torch' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=False).returncode == 0


def test_a_spec_survives_json_with_its_key():
    for spec in (TINY, ExperimentSpec(), TINY.with_(prune=PruneSpec.of("n_m", keep_n=1))):
        again = from_dict(json.loads(json.dumps(spec.as_dict())))
        assert again == spec and key("job", again) == key("job", spec)


def test_what_is_no_spec_is_refused():
    good = json.loads(json.dumps(TINY.as_dict()))
    with pytest.raises(SpecError, match="no experiment: KeyError: 'model'"):
        from_dict({name: value for name, value in good.items() if name != "model"})
    with pytest.raises(SpecError, match="no experiment: TypeError"):
        from_dict(good | {"data": {"colour": "red"}})
    with pytest.raises(UnknownName, match="unknown repair method"):
        from_dict(good | {"repairs": [good["repairs"][1] | {"method": "magic"}]})
    with pytest.raises(SpecError, match="sparsity"):
        from_dict(good | {"prune": {"pruning": "global_l1", "sparsity": 90}})


def test_a_job_gives_way_to_what_its_browser_asks_for_next_and_goes_on_after_it(runner, finished):
    first, second = Wanted(with_sparsity(0.41)), Wanted(with_sparsity(0.42))
    with held(first, runner.store):
        begun = wait(runner, runner.submit(first, owner="x").id, at_its_last)
        runner.submit(second, owner="x")
        ended_second = wait(runner, second.id, ended)
        assert runner.get(first.id).started is None or runner.get(first.id).started >= ended_second.started
    ended_first = wait(runner, first.id, ended)
    assert [ended_second.state, ended_first.state] == ["finished", "finished"]
    assert ended_second.pid == begun.pid  # the worker stayed warm
    assert ended_first.tries == 1
    shares = [json.loads(line)["share"] for line in (ended_first.folder / "progress.jsonl").read_text().splitlines()]
    assert shares == sorted(shares)


def test_what_a_session_followed_is_dropped_and_the_next_is_computed_by_the_same_worker(runner, finished):
    first, second = Wanted(with_sparsity(0.43)), Wanted(with_sparsity(0.44))
    with held(first, runner.store):
        begun = wait(runner, runner.submit(first, owner="x", follower="tab").id, at_its_last)
        runner.leave(first.id, "tab")
        runner.submit(second, owner="x", follower="tab")
        assert wait(runner, second.id, ended).pid == begun.pid
    dropped = runner.get(first.id)
    assert (dropped.state, dropped.live) == ("dropped", False)
    assert assembly.partial(first.experiment, runner.store).channels is not None
    assert not list((runner.store.root / ".tmp").glob("*"))
