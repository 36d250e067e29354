"""Which job is computed next: the queue is files, bounded, and fair between browsers. Imports no torch."""

import os
import time
from collections import defaultdict
from dataclasses import dataclass
from itertools import count

from asr_core.errors import QueueFull
from asr_core.jobs import jobs
from asr_core.jobs.jobs import Job
from asr_core.runtime import from_environment
from asr_core.store import Store, disk_errors, owners

FAR = 1e12  # later than any time


@dataclass(frozen=True)
class Limits:
    """workers: jobs that compute at once; waiting: jobs that may wait in all, `each`: of one browser; idle: seconds
    that a worker with nothing to do stays, torch loaded."""

    workers: int = 1
    waiting: int = 100
    each: int = 20
    idle: int = 300

    @classmethod
    def of_environment(cls) -> "Limits":
        """From ASR_WORKERS, ASR_QUEUE, ASR_QUEUE_EACH and ASR_WORKER_IDLE; raises SpecError.

        >>> Limits.of_environment().workers >= 1
        True
        """
        return cls(
            from_environment("ASR_WORKERS", cls.workers),
            from_environment("ASR_QUEUE", cls.waiting),
            from_environment("ASR_QUEUE_EACH", cls.each),
            from_environment("ASR_WORKER_IDLE", cls.idle, least=0),
        )


def waiting(store: Store) -> list[Job]:
    """Waiting jobs, in the order in which they will be taken."""
    return line(jobs.listed(store))


def line(found: list[Job]) -> list[Job]:
    """Of these jobs those that wait, in the order in which they will be taken: the browsers take turns, and of one
    browser the oldest goes first. A job that several browsers asked for has the turns of all of them."""
    last: dict[str, float] = defaultdict(float)  # when each browser had its last turn
    for job in found:
        for owner in job.owners:
            last[owner] = max(last[owner], job.started or 0.0)
    left, ordered, turn = [job for job in found if job.state == "queued"], list[Job](), count(FAR)
    while left:
        job = min(left, key=lambda job: (min(last[owner] for owner in job.owners), job.submitted))
        left.remove(job)
        ordered.append(job)
        last |= dict.fromkeys(job.owners, float(next(turn)))
    return ordered


def check_room(found: list[Job], owner: str, limits: Limits) -> None:
    """Raise QueueFull where one more job of `owner` would be too many."""
    queued = [job for job in found if job.state == "queued"]
    own = sum(owner in job.owners for job in queued)
    if own >= limits.each:
        raise QueueFull(
            f"{own} of your computations wait already, as many as one browser may have here. Let one end first, or "
            "cancel one on the page Jobs."
        )
    if len(queued) >= limits.waiting:
        raise QueueFull(
            f"{len(queued)} computations wait here already, as many as this server takes. Ask again when some have "
            "ended."
        )


def take(store: Store, limits: Limits) -> Job | None:
    """The next job, now marked as computed by this process; None where none waits or as many compute as may."""
    with store.lock("jobs"):
        found = jobs.listed(store)
        busy = sum(job.state == "running" and jobs.exists(job) for job in found)
        ordered = line(found)
        if not ordered or busy >= limits.workers:
            return None
        job, pid = ordered[0], os.getpid()
        mine = {"pid": pid, "born": owners.born(pid), "host": jobs.HOST, "tries": job.tries + 1}
        (job.folder / jobs.ALIVE).touch()
        jobs.change(store, job.id, state="running", started=time.time(), **mine)
    return jobs.read(store, job.id)


def take_up(store: Store) -> None:
    """Have those jobs wait again whose worker is gone together with the server that started it."""
    if not store.jobs.is_dir():
        return
    with store.lock("jobs"), disk_errors(store.root):
        for job in jobs.listed(store):
            if job.state == "running" and job.tries < jobs.TRIES and not jobs.exists(job):
                jobs.change(store, job.id, **jobs.WAITING)
