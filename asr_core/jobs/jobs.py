"""What is known of jobs: folders cache/jobs/ID with spec.json, status.json, progress.jsonl and log.txt.

A job computes one experiment, or spatial maps or the repairability of one, outside the web process. It waits as files
(`asr_core.jobs.queue`) until a worker takes it (`asr_core.jobs.worker`, started by `asr_core.jobs.runner`). Its ID
comes from what is wanted alone, so everybody who asks for the same thing shares one computation. Imports no torch.
"""

import json
import math
import re
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from asr_core.errors import SpecError
from asr_core.jobs import estimate, logs
from asr_core.pipeline import allocations, maps, signal_plan
from asr_core.pipeline.maps import MapSpec
from asr_core.pipeline.order import Sooner, sooner
from asr_core.pipeline.plan import Task
from asr_core.runtime import Runtime
from asr_core.spec.digests import key
from asr_core.spec.experiment import ExperimentSpec, from_dict
from asr_core.spec.recalibration import BatchNormState
from asr_core.store import Store, disk, owners, results
from asr_core.store.entries import read_json, write_json

LIVE = ("queued", "running")
STATES = (*LIVE, "finished", "failed", "cancelled", "dropped")
BEAT = 5.0  # seconds between two signs of life of a computing worker: the time of its job's file ALIVE
ALIVE = "alive"
PROGRESS = "progress.jsonl"
NEXT = "next.json"  # beside the jobs: the experiment that is probably asked for next
SILENCE = 60.0  # seconds without one after which a worker on another machine counts as gone
HOST = owners.machine()  # where a worker's process id means something
WAITING = {"state": "queued", "pid": None, "born": None, "host": None, "started": None}
TRIES = 3  # times that a job is taken whose worker and server stop under it


@dataclass(frozen=True)
class Wanted:
    """What a job computes: all tables of `experiment`, or with `maps` only these maps of it, or only the
    `repairability` of its convs at the usual trial sparsities, or with `signal` only the signal tables before
    recalibration and in that state, on the dense network `dense_id` (None: the recipe's).

    first: of the tables, what is computed first, as somebody looks at it; it makes no other job.
    """

    experiment: ExperimentSpec
    maps: MapSpec | Any = None
    dense_id: str | None = None
    repairability: bool = False
    signal: BatchNormState | Any = None
    first: Sooner | Any = field(default=None, compare=False)

    @property
    def part(self) -> Any:
        """What of the experiment is wanted; None: its tables."""
        return (
            self.maps or ("repairability" if self.repairability else None) or (self.signal and ["signal", self.signal])
        )

    @property
    def id(self) -> str:
        """The job's ID."""
        return key("job", self.experiment, *([self.part, self.dense_id] if self.part else []))

    def as_dict(self) -> dict:
        """For JSON; `Job.asked` reads it."""
        maps = asdict(self.maps) if self.maps else None
        return {
            "experiment": self.experiment.as_dict(),
            "maps": maps,
            "dense_id": self.dense_id,
            "repairability": self.repairability,
            "signal": asdict(self.signal) if self.signal else None,
            "first": self.first.as_dict() if self.first else None,
        }

    @property
    def tables(self) -> int:
        """Repairs whose tables are made in the end."""
        return 0 if self.part else len(self.experiment.repairs)

    def tasks(self, store: Store) -> list[Task]:
        """What is not stored of it, in the order it will run.

        Raises DataError for a folder, StoreError for weights that are not on this machine.
        """
        if not self.part:
            todo = estimate.work(self.experiment, store)
            if self.first is None:
                return todo
            return sooner(todo, self.first, self.experiment, results.dense_here(store, self.experiment))
        dense_id = maps.known_dense(self.experiment, store, self.dense_id)
        if self.repairability:
            return allocations.missing(self.experiment, store, dense_id)
        if self.signal:
            return signal_plan.missing(self.experiment, store, dense_id, self.signal)
        return maps.missing(self.experiment, store, dense_id, self.maps)

    def stored(self, store: Store) -> bool:
        """Whether all of it is there."""
        if self.part:
            return not self.tasks(store)
        found = results.find(self.experiment, store)
        return found is not None and found.channels is not None  # a shipped one can come without


@dataclass(frozen=True)
class Job:
    """What status.json says. Times are Unix seconds. `pid`, `born` (`owners.born`) and `host` are those of the
    worker that took it, None while it waits; `owners`: the browsers that asked for it by a click, a wish that stays;
    `followers`: session -> browser of those that merely follow their choices, without whom it is dropped unless it has
    owners; `looked`: when one of them last turned to it; `tries`: how often a worker took it; `reason` says in one line
    why a job failed."""

    id: str
    folder: Path
    state: str
    submitted: float
    owners: tuple[str, ...] = ("",)
    followers: dict[str, str] = field(default_factory=dict)
    looked: float = 0.0
    pid: int | None = None
    born: float | None = None
    host: str | None = None
    tries: int = 0
    started: float | None = None
    finished: float | None = None
    reason: str | None = None

    @property
    def browsers(self) -> frozenset[str]:
        """Whose turn it takes: all who asked for it or follow it."""
        return frozenset({*self.owners, *self.followers.values()})

    @property
    def live(self) -> bool:
        """Whether it waits or computes."""
        return self.state in LIVE

    def asked(self) -> tuple[Wanted, Runtime]:
        """What is computed, and where; raises SpecError if this version cannot read it."""
        try:
            found = read_json(self.folder / "spec.json", dict[str, dict[str, Any]])
            wanted = _wanted(found["wanted"])
            if wanted.id != self.id:
                raise ValueError("it is not what the job was named for")
            return wanted, Runtime(**found["runtime"])
        except SpecError:
            raise
        except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise SpecError(
                f"what job {self.id} computes cannot be read ({type(error).__name__}: {error}); submit its experiment "
                "again."
            ) from None

    def progress(self) -> dict | None:
        """The last line of progress (see `asr_core.jobs.tracking`), or None before the first stage."""
        line = logs.last(self.folder / PROGRESS)
        return dict(line) if line else None

    def log(self, lines: int = 20) -> str:
        """The last lines that the worker printed."""
        return logs.words(self.folder / "log.txt", lines)


def _wanted(found: dict[str, Any]) -> Wanted:
    chosen = maps.from_dict(found["maps"]) if found["maps"] else None
    state = BatchNormState.of(**found["signal"]) if found["signal"] else None
    first = Sooner.from_dict(found["first"]) if found["first"] else None
    return Wanted(from_dict(found["experiment"]), chosen, found["dense_id"], found["repairability"], state, first)


def read(store: Store, job_id: str) -> Job | Any:
    """The job as its status.json says, or None; ids that are none become no path."""
    if not re.fullmatch("[0-9a-f]{24}", job_id):
        return None
    folder = store.jobs / job_id
    try:
        return status(folder)
    except (OSError, ValueError):  # never there, going away, or of another version
        return None


def status(folder: Path) -> Job:
    """The job in `folder`; raises OSError, and ValueError where its status.json is none of this version."""
    job = msgspec.convert(
        read_json(folder / "status.json", dict[str, Any]) | {"id": folder.name, "folder": folder}, Job
    )
    if job.state not in STATES:
        raise ValueError(f"its state is {job.state!r}")
    return job


def listed(store: Store) -> list[Job]:
    """All jobs, the last submitted one first."""
    found = [job for folder in store.jobs.glob("*") if (job := read(store, folder.name))]
    return sorted(found, key=lambda job: job.submitted, reverse=True)


def update(store: Store, job_id: str, **changes) -> None:
    """Change fields of a job's status."""
    with store.lock("jobs"):
        change(store, job_id, **changes)


def change(store: Store, job_id: str, **changes) -> None:
    """The same for who holds the lock `jobs` already."""
    path = store.jobs / job_id / "status.json"
    write_json(path, json.loads(path.read_text()) | changes)


def exists(job: Job) -> bool:
    """Whether the job has a worker: the same process, not another one with its number; on another machine, one that
    gave a sign of life."""
    if job.pid is None or job.born is None:
        return False
    if job.host != HOST:
        return _silent(job) < SILENCE
    return owners.lives(job.pid, job.born)


def _silent(job: Job) -> float:
    """Seconds since the last sign of life, by the clock of the disk, since machines' clocks differ; without end where
    there was none."""
    try:
        last = (job.folder / ALIVE).stat().st_mtime
    except OSError:
        return math.inf
    with suppress(OSError):
        return disk.now(job.folder) - last
    return 0.0  # a disk that takes no file: nobody can give a sign
