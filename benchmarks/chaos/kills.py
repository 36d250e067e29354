"""kill -9: of a worker at random moments, of the server with jobs running."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from random import Random

import psutil

from asr_core.jobs import jobs
from asr_core.jobs.jobs import Wanted
from asr_core.jobs.runner import Runner
from asr_core.spec.experiment import ExperimentSpec
from asr_core.store import Store
from asr_core.store.entries import PROJECT
from asr_core.store.housekeeping import RECOMPUTED
from benchmarks.chaos.ground import (
    Ground,
    crew,
    debris,
    ended,
    entries,
    environment,
    finished,
    grid,
    swept,
    tables,
    until,
)
from benchmarks.chaos.tally import Tally

SETTINGS = 6


def worker(ground: Ground, count: int, chance: Random) -> Tally:
    """kill -9 of a worker at a random moment of its job; the next one goes on from what is stored."""
    tally, store, specs = Tally("a worker is killed at a random moment"), ground.fresh(), grid(min(SETTINGS, count))
    whole = _seconds_of_a_job(ground)
    with crew(store) as runner:
        while tally.tries < count:
            spec = next((spec for spec in specs if not tables(store, spec)), None)
            if spec is None:  # all are computed: again from the beginning
                _judge(tally, ground, store, specs)
                store.clear([stage for stage in (*RECOMPUTED, "result") if stage in store.local_stages()])
                continue
            _kill_one(tally, runner, spec, chance.uniform(0, whole))
        for spec in specs:
            finished(runner, spec)
    _judge(tally, ground, store, specs)
    return tally


def _seconds_of_a_job(ground: Ground) -> float:
    """From its being taken to its end, the start of Python's parts included."""
    store = ground.fresh()
    with crew(store) as runner:
        finished(runner, grid(1)[0])
        job = runner.all()[0]
    return job.finished - job.started


def _judge(tally: Tally, ground: Ground, store: Store, specs: list[ExperimentSpec]) -> None:
    lost, wrong = ground.judged(store, specs)
    left = swept(store)
    tally.lost, tally.wrong, tally.debris = tally.lost + lost, tally.wrong + wrong, tally.debris + len(left)
    tally.broken += [f"left behind: {name}" for name in left] + Store(store.root).verify()


def _kill_one(tally: Tally, runner: Runner, spec: ExperimentSpec, delay: float) -> None:
    """Start the job of a setting, and kill its worker `delay` seconds after it was taken, if it computes then."""
    store, wanted = runner.store, Wanted(spec)
    runner.submit(wanted)
    job = until(lambda: (found := runner.get(wanted.id)) and found.state != "queued" and found, "a worker")
    time.sleep(delay)
    before = entries(store)
    with suppress(ProcessLookupError):
        os.kill(job.pid, signal.SIGKILL)
    job = ended(runner, wanted.id)
    until(lambda: job.pid not in runner._children, "the end of the worker")
    if job.state == "finished":  # it was faster
        return
    tally.tries += 1
    tally.lost += len(before - entries(store))
    left = [name for name in debris(store) if name.startswith(".tmp")]
    tally.debris += len(left)
    tally.broken += [f"after a kill: {name}" for name in left]
    if "signal 9" not in str(job.reason):
        tally.broken.append(f"a killed worker's job says {job.reason!r}")


SERVER = """
import json, sys
from asr_core.jobs.jobs import Wanted
from asr_core.jobs.runner import Runner
from asr_core.spec.experiment import from_dict
from asr_core.store import Store
runner = Runner(Store(sys.argv[1]))
for spec in json.loads(sys.argv[2]):
    runner.submit(Wanted(from_dict(spec)))
print("ready", flush=True)
sys.stdin.read()
"""


@contextmanager
def served(store: Store, specs: list[ExperimentSpec]):
    """A server of its own that has been asked for these settings; yields its process, which is killed."""
    import json

    asked = json.dumps([spec.as_dict() for spec in specs])
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    process = subprocess.Popen([sys.executable, "-c", SERVER, store.root, asked], cwd=PROJECT, **pipes)
    try:
        if process.stdout.readline() != "ready\n":
            raise RuntimeError("the server did not come up")
        yield process
    finally:
        process.kill()
        process.communicate()


def server(ground: Ground, count: int, chance: Random) -> Tally:
    """kill -9 of a server at a random moment with jobs running; the next one goes on."""
    tally, specs = Tally("the server is killed with jobs running"), grid(2)
    whole, store = _seconds_of_a_job(ground), ground.fresh()
    with environment(ASR_WORKER_IDLE=0, ASR_WORKERS=2):
        for _ in range(count):
            with served(store, specs) as process:
                until(lambda: any(job.state != "queued" for job in jobs.listed(store)), "a worker")
                time.sleep(chance.uniform(0, whole))
                before, workers = entries(store), workers_of(process.pid)
                process.kill()
            _after(tally, store, before, workers)
            if all(tables(store, spec) for spec in specs):
                _judge(tally, ground, store, specs)
                store.clear([stage for stage in (*RECOMPUTED, "result") if stage in store.local_stages()])
        with crew(store) as runner:  # asks for nothing: what waits is taken up
            for job in jobs.listed(store):
                if ended(runner, job.id).state != "finished":  # TRIES times stopped: with Retry
                    finished(runner, job.asked()[0].experiment)
            for spec in specs:
                finished(runner, spec)
    _judge(tally, ground, store, specs)
    return tally


def workers_of(pid: int) -> list[psutil.Process]:
    """The workers that a process started."""
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).children()
    return []


def _after(tally: Tally, store: Store, before: set[str], workers: list[psutil.Process]) -> None:
    """Count what a killed server leaves: no worker, no finished stage less, nothing half written."""
    tally.tries += 1
    _, alive = psutil.wait_procs(workers, timeout=60)
    tally.broken += [f"a worker outlives its server: {process.pid}" for process in alive]
    tally.lost += len(before - entries(store))
    left = swept(store)
    tally.debris += len(left)
    tally.broken += [f"after a kill: {name}" for name in left]
