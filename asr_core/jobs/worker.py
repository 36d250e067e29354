"""The process that computes jobs, one after the other: `python -m asr_core.jobs.worker run ROOT PARENT`; started by
`asr_core.jobs.runner`.

It is polite (niced, one core left free), takes the next job in line (`asr_core.jobs.queue`), stops one on SIGTERM,
stays warm for the next one (torch loaded) until it was idle for a while, and ends when the server that started it is
gone: what it computed then waits again. `speed ROOT SPEC` measures how fast this machine runs a network.
"""

import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil

from asr_core.errors import AsrError
from asr_core.jobs import estimate, jobs, needs, queue, watches
from asr_core.pipeline.kept import Kept
from asr_core.runtime import ONE_AT_A_TIME, Runtime, clock, worker_threads
from asr_core.spec.experiment import from_dict
from asr_core.store import Store
from asr_core.store.entries import read_json

NICE = 10
LOOK = 0.1  # seconds between two looks at the queue's folder
AGAIN = 2.0  # seconds after which an unchanged queue is read again: another worker may have ended its job
PYTHON = 0.5  # seconds that Python itself takes to start and to import what stands above
_KEPT = Kept()  # what stays loaded in a process of a cluster from one job to the next
PREPARED = "prepared"  # the experiment that was loaded for, while there was nothing to do
MOST = 2 << 30  # bytes of memory with which a worker takes no further job


def main(command: str, root: str, *rest: str) -> int:
    """Exit status of one command."""
    os.nice(NICE)
    store = Store(root)
    if command == "speed":
        return measure(store, *rest)
    return serve(store, watches.Watch(store, int(rest[0])), queue.Limits.of_environment())


def serve(store: Store, watch: watches.Watch, limits: queue.Limits) -> int:
    """Compute one job after the other, until there was none for `limits.idle` seconds."""
    kept = Kept()
    seen, read, idle, whole = 0, 0.0, time.monotonic(), True
    while whole and not watch.orphaned and psutil.Process().memory_info().rss < MOST:
        stamp = store.jobs.stat().st_mtime_ns if store.jobs.is_dir() else 0
        if stamp != seen or time.monotonic() - read > AGAIN:
            seen, read = stamp, time.monotonic()
            if job := queue.take(store, limits):
                _print_into(job)
                whole = run(store, job, watch, kept)
                with suppress(AsrError):  # a bound that is no size, or a disk that is gone: jobs go on without it
                    needs.trim(store)
                seen, idle = 0, time.monotonic()
                continue
            _load(store, kept)
            if time.monotonic() - idle >= limits.idle and not queue.waiting(store):
                break
        time.sleep(LOOK)
    return 0


def _load(store: Store, kept: Kept) -> None:
    """Import what every job needs, while there is none, and load what the next one probably begins with."""
    from asr_core.jobs import probe, tracking  # noqa: F401
    from asr_core.pipeline import run as pipeline

    with suppress(OSError, ValueError, AsrError):  # nobody has said what, or it cannot be computed
        spec = from_dict(read_json(store.jobs / jobs.NEXT, dict[str, Any]))
        if kept.find(PREPARED, spec) is None:
            kept.get(PREPARED, spec, lambda: True)  # once, however that ends
            pipeline.prepare(spec, store, Runtime(threads=worker_threads()), kept)


def run(store: Store, job: jobs.Job, watch: watches.Stop, kept: Kept) -> bool:
    """Compute a job that was taken, and write how it ended. kept: what stays loaded from one job to the next.

    Returns whether this process is fit for the next one: not after an import that was broken off, which leaves modules
    half loaded.
    """
    whole = True
    try:
        watch.job = job
        if watch.orphaned:
            raise KeyboardInterrupt
        compute(store, job, kept, lambda: watch.stopped)
        watch.job = None
        ending: dict[str, Any] = {"state": "finished"}
    except BaseException as error:
        # what runs C code in between makes another error of the interruption
        stopped = watch.job is None or isinstance(error, KeyboardInterrupt)
        watch.job, whole = None, not _importing(error)
        ending = _ending(error, stopped, watch.orphaned, job.tries)
    with store.lock("jobs"):
        if watches.mine(store, job):
            jobs.change(store, job.id, **({"finished": time.time()} if ending["state"] != "queued" else {}) | ending)
    return whole


def _importing(error: BaseException) -> bool:
    """Whether the error came in the middle of an import."""
    return any(frame.f_code.co_name == "<module>" for frame, _ in traceback.walk_tb(error.__traceback__))


def _print_into(job: jobs.Job) -> None:
    """What is printed from now on, also by C code, stands in the job's log."""
    log = os.open(job.folder / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    for stream in (1, 2):
        os.dup2(log, stream)
    os.close(log)


def _ending(error: BaseException, stopped: bool, orphaned: bool, tries: int) -> dict[str, Any]:
    """How a job ended that did not come to its end; stopped: as it was asked to."""
    if stopped:
        if not orphaned:
            return {"state": "cancelled"}
        if tries < jobs.TRIES:  # the next server goes on from what is stored
            return jobs.WAITING
        return {"state": "failed", "reason": f"the server stopped {tries} times; retry goes on from what is stored"}
    if isinstance(error, AsrError):
        print(f"error: {error}", flush=True)
        return {"state": "failed", "reason": str(error)}
    traceback.print_exception(error)
    return {"state": "failed", "reason": traceback.format_exception_only(error)[-1].strip()}


def compute(store: Store, job: jobs.Job, kept: Kept, stopped: Callable[[], bool]) -> None:
    """Compute what is wanted with progress lines; whatever happens, the speeds met are remembered."""
    wanted, where = job.asked()
    if wanted.stored(store):
        return
    warm, start = "torch" in sys.modules, clock()
    from asr_core.jobs import probe, tracking
    from asr_core.pipeline import run as pipeline

    importing = None if warm else PYTHON + clock() - start
    where, experiment = replace(where, threads=worker_threads()), wanted.experiment
    if not estimate.speed(experiment, store):
        probe.measure(experiment, store, where, importing or PYTHON)
    path, speed = job.folder / jobs.PROGRESS, estimate.speed(experiment, store)
    tracker = tracking.Tracker(wanted, store, speed, path, importing, stopped)
    done = False
    try:
        if wanted.maps:
            pipeline.maps(experiment, store, wanted.maps, wanted.dense_id, tracker, where)
        elif wanted.repairability:
            pipeline.repairability(experiment, store, wanted.dense_id, report=tracker, where=where)
        elif wanted.signal:
            pipeline.signal(experiment, store, wanted.signal, wanted.dense_id, tracker, where)
        else:
            pipeline.run(experiment, store, tracker, where, wanted.first, kept)
        done = True
    finally:
        tracker.learn(done)


def compute_next(root: Path, limits: queue.Limits, ticket: str) -> bool:
    """A task of a cluster: take the next job in line and compute it, in a thread of a process that may do other things
    too. It writes the same progress, partial results and states as a local worker, and no signal stops it.

    Returns whether there was one. ticket: of this task alone, so that one which is run again, as its worker was lost,
    goes on with its job.
    """
    store = Store(root)
    with ONE_AT_A_TIME:
        _put_back(store, ticket)
        queue.take_up(store)
        job = queue.take(store, limits, ticket)
        if job is None:
            return False
        with open(job.folder / "log.txt", "w") as log, redirect_stdout(log), redirect_stderr(log), watches.alive(job):
            run(store, job, watches.FileWatch(store, job), _KEPT)
        return True


def _put_back(store: Store, ticket: str) -> None:
    """A job that this very task had taken, on a worker that was lost, waits again."""
    with store.lock("jobs"):
        for job in jobs.listed(store):
            if job.state == "running" and job.host == ticket:
                jobs.change(store, job.id, **jobs.WAITING)


def measure(store: Store, spec: str) -> int:
    """Measure this machine's speeds for the experiment `spec` (JSON), within estimate.PATIENCE seconds."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # ends the process wherever it is
    signal.alarm(estimate.PATIENCE)
    start = clock()
    from asr_core.jobs import probe

    importing = PYTHON + clock() - start
    try:
        probe.measure(from_dict(json.loads(spec)), store, Runtime(threads=worker_threads()), importing)
    except AsrError as error:
        print(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
