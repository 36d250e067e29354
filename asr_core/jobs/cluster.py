"""The dashboard's jobs on a Dask cluster, whose workers see the store under the same path. Imports no torch.

The queue stays files: each task on the cluster (`worker.compute_next`) takes the next job in line and computes it.
"""

import os
import threading
import time
import uuid
from contextlib import ExitStack, suppress
from typing import Any, Self

from asr_core.checks import choose
from asr_core.jobs import executors, jobs
from asr_core.runtime import EXECUTOR, EXECUTORS
from asr_core.store import Store

PAUSE = 2.0  # seconds until a task is tried again that found nothing to take
AGAIN = 10.0  # seconds until a cluster that could not be reached is tried again


class Cluster:
    """Hands jobs to the cluster at ASR_DASK_SCHEDULER, as many at once as `limits.workers`. Safe for several threads.

    trouble: why it takes none at present; None where it does.
    """

    def __init__(self, store: Store, limits: Any):
        self.store, self.limits = store, limits
        self.trouble: str | None = None
        self._tasks: set[Any] = set()
        self._pool: Any = None
        self._open, self._not_before = ExitStack(), 0.0
        self._tending = threading.Lock()

    @classmethod
    def of_environment(cls, store: Store, limits: Any) -> Self | None:
        """The one that ASR_EXECUTOR=dask asks for; None where jobs are local. Raises UnknownName for another name."""
        kind = choose(EXECUTOR, os.environ.get(EXECUTOR) or "local", EXECUTORS)
        return None if kind == "local" else cls(store, limits)

    @property
    def reached(self) -> bool:
        """Whether a scheduler has answered, and is not known to be gone."""
        return self._pool is not None

    def tend(self) -> None:
        """Have a task for each job that waits, no more than may compute at once; connecting may take long, so it is
        done beside whoever asks."""
        if not self._tending.locked():
            threading.Thread(target=self._tend, daemon=True).start()

    def _tend(self) -> None:
        with self._tending:
            states = [job.state for job in jobs.listed(self.store)]
            wanted = min(self.limits.workers, states.count("running") + states.count("queued")) - len(self._tasks)
            if wanted <= 0 or time.monotonic() < self._not_before:
                return
            try:
                for _ in range(wanted):
                    self._start()
                self.trouble = None
            except Exception as error:  # whatever a client raises whose scheduler is gone
                self.trouble, self._pool = str(error) or type(error).__name__, None
                self._not_before = time.monotonic() + AGAIN

    def _start(self) -> None:
        if self._pool is None:
            self.close()
            self._pool = self._open.enter_context(executors.opened("dask"))
        ticket = f"dask {uuid.uuid4().hex}"
        root = self.store.root.resolve()
        future = self._pool.submit(executors.by_name, "asr_core.jobs.worker", "compute_next", root, self.limits, ticket)
        self._tasks.add(future)
        future.add_done_callback(self._ended)

    def _ended(self, future: Any) -> None:
        self._tasks.discard(future)
        lost = future.cancelled() or future.exception() is not None
        if lost:  # the scheduler stopped: connect anew
            self._pool = None
        if not lost and not future.result():  # as many compute as may: those of another server, or one that is gone
            self._not_before = time.monotonic() + PAUSE
        again = threading.Timer(max(0.0, self._not_before - time.monotonic()) + 0.01, self._tend)
        again.daemon = True
        again.start()

    def close(self) -> None:
        """Let go of the connection."""
        with suppress(Exception):  # of a scheduler that is gone
            self._open.close()
        self._open = ExitStack()
