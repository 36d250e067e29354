"""The process that computes a job: `python -m asr_core.jobs.worker run ROOT JOB PARENT`; started by
`asr_core.jobs.runner`.

It is polite (niced, one core left free), waits for its turn, stops on SIGTERM, and ends when the
server that started it is gone. `speed ROOT SPEC` measures how fast this machine runs a network.
"""

import json
import os
import signal
import sys
import threading
import time
import traceback
from contextlib import contextmanager
from dataclasses import replace

from asr_core.errors import AsrError
from asr_core.jobs import estimate, jobs
from asr_core.runtime import Runtime, clock, worker_threads
from asr_core.spec.experiment import from_dict
from asr_core.store import Store

NICE = 10
LOOK = 0.2  # seconds between two looks at the queue, or at the parent
PYTHON = 0.5  # seconds that Python itself takes to start and to import what stands above
PATIENCE = 5  # seconds that an orphan gets to tidy up


def main(command: str, root: str, *rest: str) -> int:
    """Exit status of one command."""
    os.nice(NICE)
    signal.signal(signal.SIGTERM, _stop)
    store = Store(root)
    if command == "speed":
        return measure(store, *rest)
    job_id, parent = rest
    return run(store, job_id, Orphanage(int(parent)))


def _stop(number, frame):
    """End as Ctrl-C does: with-blocks tidy up. Further signals must not disturb that."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


class Orphanage:
    """Watches for the death of the parent process, and then stops this one."""

    def __init__(self, parent: int):
        self.parent, self.orphaned = parent, False
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while os.getppid() == self.parent:
            time.sleep(LOOK)
        self.orphaned = True
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(PATIENCE)
        os._exit(1)


def run(store: Store, job_id: str, parent: Orphanage) -> int:
    """Compute the job when its turn has come, and write how it ended."""
    ending = {"state": "finished"}
    with store.lock("jobs"):  # held by who started this until the status is written
        job = jobs.read(store, job_id)
    try:
        wanted, where = job.asked()
        with turn(store, job_id):
            jobs.update(store, job_id, state="running", started=time.time())
            compute(store, job_id, wanted, where)
    except KeyboardInterrupt:
        ending = {"state": "cancelled"}
        if parent.orphaned:
            ending = {"state": "failed", "reason": "the server stopped; retry goes on from what is stored"}
    except AsrError as error:
        print(f"error: {error}")
        ending = {"state": "failed", "reason": str(error)}
    except Exception as error:
        traceback.print_exc()
        ending = {"state": "failed", "reason": traceback.format_exception_only(error)[-1].strip()}
    jobs.update(store, job_id, finished=time.time(), **ending)
    return 0 if ending["state"] == "finished" else 1


@contextmanager
def turn(store: Store, job_id: str):
    """Hold the one place to compute, given in the order of submission."""
    while (first := _first_in_line(store)) and first.id != job_id:
        time.sleep(LOOK)
    with store.lock("worker"):
        yield


def _first_in_line(store: Store) -> jobs.Job | None:
    waiting = [job for job in jobs.listed(store) if job.state == "queued" and jobs.exists(job)]
    return waiting[-1] if waiting else None


def compute(store: Store, job_id: str, wanted: jobs.Wanted, where: Runtime) -> None:
    """Compute what is wanted with progress lines; whatever happens, the speeds met are remembered."""
    if wanted.stored(store):
        return
    start = clock()
    from asr_core.jobs import probe, tracking
    from asr_core.pipeline import run as pipeline

    importing = PYTHON + clock() - start
    where, experiment = replace(where, threads=worker_threads()), wanted.experiment
    if not estimate.speed(experiment, store):
        probe.measure(experiment, store, where, importing)
    path, speed = store.jobs / job_id / "progress.jsonl", estimate.speed(experiment, store)
    tracker = tracking.Tracker(wanted, store, speed, path, importing)
    done = False
    try:
        if wanted.maps:
            pipeline.maps(experiment, store, wanted.maps, wanted.dense_id, tracker, where)
        elif wanted.repairability:
            pipeline.repairability(experiment, store, wanted.dense_id, report=tracker, where=where)
        elif wanted.signal:
            pipeline.signal(experiment, store, wanted.signal, wanted.dense_id, tracker, where)
        else:
            pipeline.run(experiment, store, tracker, where)
        done = True
    finally:
        tracker.learn(done)


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
