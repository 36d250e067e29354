"""What stops a job, and what says that its worker lives."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Protocol

from asr_core.jobs import jobs
from asr_core.jobs.jobs import Job
from asr_core.store import Store

LOOK = 0.1  # seconds between two looks at the parent
FILE_LOOK = 1.0  # seconds between two looks at a job's file, where no signal comes
PATIENCE = 5  # seconds that an orphan gets to tidy up


class Stop(Protocol):
    """What may stop a job: `stopped` this one, `orphaned` all that this process does."""

    job: Any

    @property
    def orphaned(self) -> bool:
        """Asked before a job is taken, and when one was stopped."""

    @property
    def stopped(self) -> bool:
        """Asked while the job computes."""


def mine(store: Store, job: jobs.Job) -> bool:
    """Whether a job is still this process's to compute: not cancelled, dropped or sent back to the queue."""
    now = jobs.read(store, job.id)
    return now is not None and now.state == "running" and (now.pid, now.host) == (job.pid, job.host)


class Watch:
    """What this process computes, and who may stop it: SIGTERM stops the present job only, the death of the parent
    process everything. Gives signs of life meanwhile, for whoever looks from another machine."""

    def __init__(self, store: Store, parent: int):
        self.store, self.parent, self.stopped = store, parent, False
        self.job: jobs.Job | Any = None  # while it may be interrupted
        signal.signal(signal.SIGTERM, self._stop)
        threading.Thread(target=self._watch, daemon=True).start()

    @property
    def orphaned(self) -> bool:
        """Whether the server is gone, at this moment: an orphan takes no job."""
        return os.getppid() != self.parent

    def _stop(self, number, frame):
        """End the job as Ctrl-C does: with-blocks tidy up. Further signals must not disturb that."""
        if self.job is not None:
            self.job = None
            raise KeyboardInterrupt

    def _watch(self) -> None:
        beat = 0.0
        while not self.orphaned:
            job = self.job
            if job is not None and time.monotonic() - beat > jobs.BEAT:
                beat = time.monotonic()
                self._beat(job)
            time.sleep(LOOK)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(PATIENCE)
        os._exit(1)

    def _beat(self, job: jobs.Job) -> None:
        """A sign of life; a job that somebody on another machine cancelled is stopped."""
        with suppress(OSError):
            (job.folder / jobs.ALIVE).touch()
        if not mine(self.store, job) and self.job is job:
            os.kill(os.getpid(), signal.SIGTERM)


class FileWatch:
    """What may stop the job: its file, which is looked at now and then."""

    orphaned = False

    def __init__(self, store: Store, job: Job):
        self.store, self.job, self.of, self.looked = store, job, job, -FILE_LOOK

    @property
    def stopped(self) -> bool:
        """Whether the job is no longer this task's: cancelled, dropped or sent back to the queue."""
        if time.monotonic() - self.looked < FILE_LOOK:
            return False
        self.looked = time.monotonic()
        return not mine(self.store, self.of)


def wait(over: Callable[[], bool], patience: float) -> None:
    """Wait until `over()`, for `patience` seconds at most."""
    until = time.monotonic() + patience
    while not over() and time.monotonic() < until:
        time.sleep(0.02)


@contextmanager
def alive(job: Job) -> Iterator[None]:
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
