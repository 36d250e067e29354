"""The dashboard's jobs on a Dask cluster, whose workers see the store under the same path. Imports no torch.

The queue stays files: each task on the cluster takes the next job in line and computes it, with the same progress
lines, partial results and states as a local worker. It gives signs of life, and sees by itself that its job was
cancelled, dropped or sent back: no signal reaches it.
"""

import os
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import Any

from asr_core.checks import choose
from asr_core.jobs import executors, jobs, queue
from asr_core.jobs.jobs import Job
from asr_core.jobs.queue import Limits
from asr_core.jobs.runner import Runner
from asr_core.runtime import EXECUTOR, EXECUTORS
from asr_core.store import Store

LOOK = 1.0  # seconds between two looks of a task at its job
AGAIN = 10.0  # seconds until a cluster that could not be reached is tried again
KEPT: dict[str, Any] = {}  # what stays loaded in a process of the cluster from one job to the next


def runner(store: Store) -> Runner:
    """The runner of this server for a store: of local workers, or with ASR_EXECUTOR=dask of the cluster at
    ASR_DASK_SCHEDULER. Raises SpecError for another name."""
    kind = choose(EXECUTOR, os.environ.get(EXECUTOR) or "local", EXECUTORS)
    return Runner(store) if kind == "local" else ClusterRunner(store)


class ClusterRunner(Runner):
    """Hands jobs to a cluster, as many at once as ASR_WORKERS says. Safe for several threads.

    trouble: why the cluster takes none at present; None where it does.
    """

    def __init__(self, store: Store):
        self._tasks: set[Any] = set()
        self._pool: Any = None
        self._open, self._tried = ExitStack(), -AGAIN
        self._tending = threading.Lock()  # not _guard: connecting may take long
        super().__init__(store)

    def tend(self) -> None:
        """Have a task on the cluster for each job that waits, no more than may compute at once; connecting may take
        long, so it is done beside whoever asks."""
        threading.Thread(target=self._tend, daemon=True).start()

    def _tend(self) -> None:
        with self._tending:
            found = jobs.listed(self.store)
            waiting = sum(job.state == "queued" for job in found)
            busy = sum(job.state == "running" for job in found)
            wanted = min(self.limits.workers, busy + waiting) - len(self._tasks)
            if wanted <= 0 or time.monotonic() - self._tried < AGAIN * (self.trouble is not None):
                return
            try:
                for _ in range(wanted):
                    self._start()
                self.trouble = None
            except Exception as error:  # whatever a client raises whose scheduler is gone
                self.trouble, self._tried, self._pool = str(error) or type(error).__name__, time.monotonic(), None

    def _start(self) -> None:
        if self._pool is None:
            with suppress(Exception):  # of a scheduler that is gone
                self._open.close()
            self._open = ExitStack()
            self._pool = self._open.enter_context(executors.opened("dask"))
        ticket = f"dask {uuid.uuid4().hex}"
        future = self._pool.submit(compute_next, self.store.root.resolve(), self.limits, ticket)
        self._tasks.add(future)
        future.add_done_callback(self._ended)

    def _ended(self, future: Any) -> None:
        self._tasks.discard(future)
        if future.cancelled() or future.exception() is not None:  # the scheduler stopped: connect anew
            self._pool = None
        self.tend()

    def warm(self) -> None:
        """Workers of a cluster stay."""

    def ready(self) -> bool:
        """Whether the cluster was reached."""
        return self._pool is not None

    def get(self, job_id: str) -> Job | None:
        """The job as it is now; while it waits and no task would take it, the cluster is asked again."""
        job = super().get(job_id)
        if job is not None and job.state == "queued" and not self._tasks:
            self.tend()
        return job

    def _settle(self, job: Job) -> Job | None:
        """A job whose worker is silent waits again, some times."""
        if job.tries >= jobs.TRIES:
            return super()._settle(job)
        queue.take_up(self.store)
        self.tend()
        return jobs.read(self.store, job.id)


def compute_next(root: Path, limits: Limits, ticket: str) -> None:
    """A task of the cluster: take the next job in line and compute it, in a thread of a process that may do other
    things too. ticket: of this task alone, so that one which is run again, as its worker was lost, goes on with its
    job."""
    from asr_core.jobs import worker
    from asr_core.pipeline.run import one_at_a_time

    store = Store(root)
    with one_at_a_time:
        _put_back(store, ticket)
        queue.take_up(store)
        job = queue.take(store, limits, ticket)
        if job is None:
            return
        with open(job.folder / "log.txt", "w") as log, redirect_stdout(log), redirect_stderr(log), _alive(job):
            worker.run(store, job, Watch(store, job), KEPT)


def _put_back(store: Store, ticket: str) -> None:
    """A job that this very task had taken, on a worker that was lost, waits again."""
    with store.lock("jobs"):
        for job in jobs.listed(store):
            if job.state == "running" and job.host == ticket:
                jobs.change(store, job.id, **jobs.WAITING)


class Watch:
    """What may stop a job of the cluster: its file, which is looked at now and then."""

    orphaned = False

    def __init__(self, store: Store, job: Job):
        self.store, self.job, self.of, self.looked = store, job, job, -LOOK

    @property
    def stopped(self) -> bool:
        """Whether the job is no longer this task's: cancelled, dropped or sent back to the queue."""
        from asr_core.jobs import worker

        if time.monotonic() - self.looked < LOOK:
            return False
        self.looked = time.monotonic()
        return not worker.mine(self.store, self.of)


@contextmanager
def _alive(job: Job) -> Iterator[None]:
    """Gives signs of life meanwhile."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(jobs.BEAT):
            with suppress(OSError):
                (job.folder / jobs.ALIVE).touch()

    beating = threading.Thread(target=beat, daemon=True)
    beating.start()
    try:
        yield
    finally:
        over.set()
        beating.join()
