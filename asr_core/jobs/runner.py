"""Starts, watches and stops the worker processes of jobs. Imports no torch."""

import os
import shutil
import signal
import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import replace
from typing import Any

from asr_core.errors import AsrError, StoreError
from asr_core.jobs import jobs, logs, queue, watches
from asr_core.jobs.cluster import Cluster
from asr_core.jobs.jobs import Job, Wanted
from asr_core.jobs.meter import Meter
from asr_core.jobs.queue import Limits
from asr_core.runtime import Runtime
from asr_core.spec.experiment import ExperimentSpec
from asr_core.store import Store, disk_errors

WORDS = "worker.log"  # what a worker prints before it takes a job
GRACE = 0.6  # seconds from SIGTERM to SIGKILL


class Runner(Meter):
    """Starts, watches and stops workers for one store. One per server process; safe for its threads.

    Jobs that an earlier server left in the queue are taken up at once.
    """

    def __init__(self, store: Store):
        super().__init__(store)
        self.limits = Limits.of_environment()
        self._unwritten: dict[str, Job] = {}  # how jobs ended where the disk takes no more
        self._cluster = Cluster.of_environment(store, self.limits)  # None: local processes
        self._next: ExperimentSpec | None = None
        self._children: dict[int, subprocess.Popen] = {}
        with suppress(StoreError):  # a store that cannot be written: said where something is asked of it
            store.sweep()
            queue.take_up(store)
            self.tend()

    def submit(self, wanted: Wanted, where: Runtime | None = None, owner: str = "", follower: str | None = None) -> Job:
        """The job that computes `wanted`: the living one if there is one, else a new one in the queue. Of what this
        browser asked for it goes first; what computes for nobody else waits meanwhile, and goes on after it.

        owner: the browser that asks; '' for a program, which looks at nothing. follower: its session, where it asks by
        following its choices only, see `leave`.
        Raises StoreError where nothing can be written, QueueFull where too many wait.
        """
        with self.store.lock("jobs"), disk_errors(self.store.root):
            job = jobs.read(self.store, wanted.id)
            living = job if job and job.live and self._alive(job) else None
            owners, followers = (living.owners, living.followers) if living else ((), {})
            asks: dict[str, Any] = {"looked": time.time() if owner else 0.0, "owners": owners, "followers": followers}
            asks |= {"followers": followers | {follower: owner}} if follower else {"owners": sorted({*owners, owner})}
            if living:
                jobs.change(self.store, wanted.id, **asks)
            else:
                queue.check_room(jobs.listed(self.store), owner, self.limits)
                queue.forget_old(self.store)
                self._unwritten.pop(wanted.id, None)
                queue.add(self.store, wanted, where or Runtime(), asks)
            self._make_way()
        self.tend()
        return jobs.read(self.store, wanted.id)

    def look(self, job_id: str) -> None:
        """Somebody turns to a living job: it goes before what the same browser asked for and no longer looks at."""
        with suppress(StoreError), self.store.lock("jobs"), disk_errors(self.store.root):
            if (job := jobs.read(self.store, job_id)) and job.live:
                jobs.change(self.store, job_id, looked=time.time())
                self._make_way()

    def _make_way(self) -> None:
        """Have what is in the way wait again; for who holds the lock `jobs`."""
        for job in queue.in_the_way(jobs.listed(self.store), self.limits):
            self._halt(job, **jobs.WAITING, tries=job.tries - 1)

    def leave(self, job_id: str, follower: str) -> None:
        """A session that followed a job has moved on: nobody else wants it, then it is dropped. Finished stages stay
        stored; what never began leaves no trace."""
        with suppress(StoreError), self.store.lock("jobs"), disk_errors(self.store.root):
            job = jobs.read(self.store, job_id)
            if job is None or not job.live or follower not in job.followers:
                return
            left = {session: browser for session, browser in job.followers.items() if session != follower}
            if left or job.owners:
                jobs.change(self.store, job_id, followers=left)
            elif job.tries or job.state == "running":
                self._halt(job, state="dropped", finished=time.time(), followers={})
            else:
                shutil.rmtree(job.folder, ignore_errors=True)

    def _halt(self, job: Job, **changes) -> None:
        """End what a worker does for a job, and say what the job is now; for who holds the lock `jobs`, which keeps the
        worker from the next one meanwhile. It stays warm. On another machine it sees the change by itself."""
        self._send(job, signal.SIGTERM)
        jobs.change(self.store, job.id, **changes)

    def _send(self, job: Job | None, number: int) -> None:
        """A signal to the worker of a job; for who holds the lock `jobs`."""
        with suppress(ProcessLookupError):
            if pid := self._worker_of(job):
                os.kill(pid, number)

    def _worker_of(self, job: Job | None) -> int | None:
        """The process of this machine that computes a job, if there is one."""
        here = job if job and job.state == "running" and job.host == jobs.HOST else None
        return here.pid if here and self._alive(here) else None

    def tend(self) -> None:
        """Start workers where jobs wait, no more than may compute at once."""
        if self._cluster:
            self._cluster.tend()
            return
        with self._guard:
            found = jobs.listed(self.store)
            waiting = sum(job.state == "queued" for job in found)
            busy = sum(job.state == "running" and job.pid in self._children for job in found)
            for _ in range(min(self.limits.workers, busy + waiting) - len(self._children)):
                self._start()

    def warm(self, experiment: ExperimentSpec) -> None:
        """Have a worker before there is a job, where one stays, with what `experiment` begins with loaded: that takes
        longer than a first number."""
        with self._guard:
            if not self.limits.idle or self._cluster:
                return
            if experiment != self._next:
                self._next = experiment
                queue.expect(self.store, experiment)
            if not self._children:
                self._start()

    def _start(self) -> None:
        with disk_errors(self.store.root):
            self.store.jobs.mkdir(parents=True, exist_ok=True)
            log = open(self.store.jobs / WORDS, "wb")  # noqa: SIM115
        with log:
            child = self._spawn(["run", str(self.store.root.resolve()), str(os.getpid())], stdout=log)
        self._children[child.pid] = child
        threading.Thread(target=self._attend, args=(child,), daemon=True).start()

    def _attend(self, child: subprocess.Popen) -> None:
        """Wait for a worker's end: what it leaves is settled, and another one goes on."""
        status = child.wait()
        with suppress(AsrError, OSError):  # a full disk, or a store that is gone
            left = [job for job in jobs.listed(self.store) if job.pid == child.pid and job.state == "running"]
            for job in left:
                self._settle(job)
            if status > 0 and not left:  # it cannot even start: the next in line would wait for ever
                for job in queue.waiting(self.store)[:1]:
                    self._end(job, "failed", logs.words(self.store.jobs / WORDS, 1) or "the worker could not start")
        with self._guard:
            self._children.pop(child.pid, None)
        with suppress(AsrError, OSError):
            self.tend()

    def _alive(self, job: Job) -> bool:
        """Whether a job waits, or has its worker."""
        if job.state == "queued":
            return True
        child = self._children.get(job.pid) if job.pid and job.host == jobs.HOST else None
        return child.poll() is None if child else jobs.exists(job)

    def get(self, job_id: str) -> Job | None:
        """The job as it is now; one whose worker died without a word has failed, with the reason."""
        if job_id in self._unwritten:
            return self._unwritten[job_id]
        job = jobs.read(self.store, job_id)
        if job is None or not job.live or self._alive(job):
            if job is not None and job.state == "queued" and not self._children:
                with suppress(StoreError):  # who put it back may be gone with its server, or a scheduler be back
                    self.tend()
            return job
        return self._settle(job)

    def _settle(self, job: Job) -> Job | None:
        """The job of a worker that is gone, with how it ended; on a cluster it waits again, some times."""
        if self._cluster and job.tries < jobs.TRIES:
            queue.take_up(self.store)
            self.tend()
            return jobs.read(self.store, job.id)
        ended = self._end(job, "failed", self._cause(job))
        with suppress(AsrError):
            self.store.sweep()
        return ended

    def _end(self, job: Job, state: str, reason: str | None = None) -> Job | None:
        """Write how a job ended, unless it has said so itself; on a full disk it is remembered here."""
        try:
            with self.store.lock("jobs"), disk_errors(self.store.root):
                if jobs.read(self.store, job.id) == job:
                    jobs.change(self.store, job.id, state=state, finished=time.time(), reason=reason)
            return jobs.read(self.store, job.id)
        except StoreError as error:
            words = f"{reason or state}; {error}"
            self._unwritten[job.id] = replace(job, state=state, finished=time.time(), reason=words)
            return self._unwritten[job.id]

    def _cause(self, job: Job) -> str:
        child = self._children.get(job.pid or 0)
        status = child.wait() if child else None
        if status is not None and status < 0:
            return f"the worker was killed (signal {-status})"
        words = job.log(1)
        return words or "the worker is gone: it was killed, or the server that started it stopped"

    def all(self) -> list[Job]:
        """All jobs as they are now, the last submitted one first."""
        return [job for found in jobs.listed(self.store) if (job := self.get(found.id))]

    def ready(self) -> bool:
        """Whether a worker is up, so that a job need not wait for its start."""
        return self._cluster.reached if self._cluster else any(c.poll() is None for c in self._children.values())

    @property
    def trouble(self) -> str | None:
        """Why no worker can start at present, where that is known."""
        return self._cluster.trouble if self._cluster else None

    def cancel(self, job_id: str) -> Job | None:
        """Stop a job within a second. Finished stages stay stored; nothing half written stays."""
        job = self.get(job_id)
        if job is None or not job.live:
            return job
        with self.store.lock("jobs"):
            self._send(jobs.read(self.store, job_id), signal.SIGTERM)
        watches.wait(lambda: not self._worker_of(jobs.read(self.store, job_id)), GRACE)
        with self.store.lock("jobs"):
            left = jobs.read(self.store, job_id)
            if left and left.live:  # said before its worker is killed, whose end would else count as a failure
                jobs.change(self.store, job_id, state="cancelled", finished=time.time())
                self._send(left, signal.SIGKILL)
        watches.wait(lambda: not self._worker_of(left), 2.0)
        self.store.sweep()
        return jobs.read(self.store, job_id)

    def retry(self, job_id: str, owner: str = "") -> Job:
        """Run an ended job again; it goes on from what is stored. Raises StoreError for an unknown one."""
        job = self.get(job_id)
        if job is None:
            raise StoreError(f"no job {job_id} is known here; submit its experiment again.")
        return self.submit(*job.asked(), owner)
