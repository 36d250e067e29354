"""Which job is computed next: the queue is files, bounded, and fair between browsers. Imports no torch."""

import os
import shutil
import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from itertools import count
from typing import Any

from asr_core.errors import QueueFull
from asr_core.jobs import jobs
from asr_core.jobs.jobs import Job, Wanted
from asr_core.runtime import Runtime, from_environment
from asr_core.spec.experiment import ExperimentSpec
from asr_core.store import Store, disk_errors, owners
from asr_core.store.entries import write_json

KEPT = 50  # ended jobs whose folders stay
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
    browser goes first what it looks at, then the oldest. A job that several browsers asked for has the turns of all of
    them."""
    last: dict[str, float] = defaultdict(float)  # when each browser had its last turn
    for job in found:
        for browser in job.browsers:
            last[browser] = max(last[browser], job.started or 0.0)
    seen = looked_at(found)
    left, ordered, turn = [job for job in found if job.state == "queued"], list[Job](), count(FAR)
    while left:
        job = min(
            left,
            key=lambda job: (min((last[one] for one in job.browsers), default=0.0), job.id not in seen, job.submitted),
        )
        left.remove(job)
        ordered.append(job)
        last |= dict.fromkeys(job.browsers, float(next(turn)))
    return ordered


def looked_at(found: list[Job]) -> set[str]:
    """IDs of the jobs that their browsers turned to last."""
    last: dict[str, Job] = {}
    for job in sorted(found, key=lambda job: job.looked):
        if job.looked:
            last |= dict.fromkeys(job.browsers, job)
    return {job.id for job in last.values()}


def gives_way(job: Job, found: list[Job]) -> bool:
    """Whether a running job of `found` should wait again: all who asked for it look at one that would be taken in its
    place. What other browsers wait for does not push it aside."""
    ordered = line([replace(other, state="queued") if other.id == job.id else other for other in found])
    return ordered[0].id != job.id and ordered[0].browsers >= job.browsers


def in_the_way(found: list[Job], limits: Limits) -> list[Job]:
    """The running job, if any, whose browsers look at another one that waits, where no more may compute at once."""
    running = [job for job in found if job.state == "running" and jobs.exists(job)]
    full = len(running) >= limits.workers
    return [job for job in running if full and gives_way(job, found)][:1]


def before(job: Job, found: list[Job]) -> list[Job]:
    """The jobs of `found` that come before one that waits, or would: those that compute and go on, then those in
    line."""
    every = [*(other for other in found if other.id != job.id), job]
    ordered = line(every)
    place = next(n for n, other in enumerate(ordered) if other.id == job.id)
    return [other for other in every if other.state == "running" and not gives_way(other, every)] + ordered[:place]


def check_room(found: list[Job], owner: str, limits: Limits) -> None:
    """Raise QueueFull where one more job of `owner` would be too many."""
    queued = [job for job in found if job.state == "queued"]
    own = sum(owner in job.browsers for job in queued)
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


def take(store: Store, limits: Limits, host: str = jobs.HOST) -> Job | None:
    """The next job, now marked as computed by this process; None where none waits or as many compute as may.

    host: where its process id means something.
    """
    with store.lock("jobs"):
        found = jobs.listed(store)
        busy = sum(job.state == "running" and jobs.exists(job) for job in found)
        ordered = line(found)
        if not ordered or busy >= limits.workers:
            return None
        job, pid = ordered[0], os.getpid()
        mine = {"pid": pid, "born": owners.born(pid), "host": host, "tries": job.tries + 1}
        (job.folder / jobs.ALIVE).touch()
        jobs.change(store, job.id, state="running", started=time.time(), **mine)
    return jobs.read(store, job.id)


def add(store: Store, wanted: Wanted, where: Runtime, asks: dict[str, Any]) -> None:
    """Have a job wait, put in its place as a whole: a server that is killed meanwhile leaves no half of one. asks: who
    wants it. For who holds the lock `jobs`."""
    folder = store.jobs / wanted.id
    with store.workspace() as part, store.workspace() as old:
        write_json(part / "spec.json", {"wanted": wanted.as_dict(), "runtime": asdict(where)})
        write_json(part / "status.json", {"state": "queued", "submitted": time.time()} | asks)
        store.jobs.mkdir(exist_ok=True)
        with suppress(FileNotFoundError):
            folder.rename(old / wanted.id)
        part.rename(folder)


def expect(store: Store, experiment: ExperimentSpec) -> None:
    """Tell workers that have nothing to do what is probably asked for next."""
    with suppress(OSError):  # a disk that takes no more: said where something is asked for
        store.jobs.mkdir(parents=True, exist_ok=True)
        write_json(store.jobs / jobs.NEXT, experiment.as_dict())


def forget_old(store: Store) -> None:
    """Remove the folders of all but the last ended jobs."""
    ended = [job for job in jobs.listed(store) if not job.live]
    for job in sorted(ended, key=lambda job: job.finished or job.submitted)[: max(0, len(ended) - KEPT)]:
        shutil.rmtree(job.folder, ignore_errors=True)


def take_up(store: Store) -> None:
    """Have those jobs wait again whose worker is gone together with the server that started it."""
    if not store.jobs.is_dir():
        return
    with store.lock("jobs"), disk_errors(store.root):
        for job in jobs.listed(store):
            if job.state == "running" and job.tries < jobs.TRIES and not jobs.exists(job):
                jobs.change(store, job.id, **jobs.WAITING)
