"""The ground that faults are tried on: a small grid on the embedded digits, and what it gives undisturbed."""

import os
import shutil
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from asr_core.images import data
from asr_core.jobs import estimate, jobs
from asr_core.jobs.jobs import Wanted
from asr_core.jobs.runner import Runner
from asr_core.spec.experiment import ExperimentSpec, Setting
from asr_core.spec.parts import PruneSpec
from asr_core.spec.recalibration import default_states
from asr_core.spec.repairs import BN_ONLY, RepairSpec
from asr_core.store import Store, disk, results
from asr_core.store.entries import PROJECT
from benchmarks.chaos import forked
from benchmarks.dashboard import SPEED

INSIDE = Path(__file__).parent / "inside"
SMALL = ExperimentSpec.of_setting(
    Setting.of(stat_images=16, calib_batch_size=16, eval_images=48),
    repairs=(BN_ONLY, RepairSpec.of("lw_bn"), RepairSpec.of("asr_bn", "sequential")),
    states=default_states((1, 2)),
)
PATIENCE = 300.0  # seconds that anything may take on a busy machine
OWN = {"spec.json", "status.json", "progress.jsonl", "log.txt", jobs.ALIVE}  # files of a job
Tables = dict[str, pd.DataFrame]


def setting(number: int) -> ExperimentSpec:
    """The grid's setting of this number; settings share images and dense network."""
    return SMALL.with_(prune=PruneSpec.of("global_l1", sparsity=round(0.5 + 0.04 * number, 2)))


def grid(count: int) -> list[ExperimentSpec]:
    """The first settings of the grid."""
    return [setting(number) for number in range(count)]


class Ground:
    """A folder with a store of decoded digits and the embedded default's weights, which each try copies."""

    def __init__(self, folder: Path):
        self.folder, self.made = folder, 0
        self.base = Store(folder / "base")
        shipped = Store(PROJECT / "cache").shipped / "dense"
        dense_id = results.dense_here(Store(PROJECT / "cache"), SMALL)
        shutil.copytree(shipped / str(dense_id), self.base.root / "dense" / str(dense_id))
        data.load(SMALL.data, self.base)
        estimate.remember(SMALL, self.base, SPEED)
        self._undisturbed: dict[ExperimentSpec, Tables] = {}

    def fresh(self) -> Store:
        """A copy of the store."""
        self.made += 1
        return Store(shutil.copytree(self.base.root, self.folder / f"store{self.made}"))

    @cached_property
    def calm(self) -> Store:
        """The store in which nothing goes wrong."""
        return self.fresh()

    def undisturbed(self, spec: ExperimentSpec) -> Tables:
        """The tables of a setting as a worker computes it in peace."""
        if spec not in self._undisturbed:
            with crew(self.calm) as runner:
                finished(runner, spec)
            self._undisturbed[spec] = tables(self.calm, spec)
        return self._undisturbed[spec]

    def judged(self, store: Store, specs: list[ExperimentSpec]) -> tuple[int, int]:
        """(settings without a result, settings with another result than undisturbed) of a store as a new process finds
        it."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = [(spec, tables(Store(store.root), spec)) for spec in specs]
        lost = sum(not known for _, known in found)
        return lost, sum(bool(known) and not same(known, self.undisturbed(spec)) for spec, known in found)


def tables(store: Store, spec: ExperimentSpec) -> Tables:
    """The stored tables of a setting, without where they lie; {} for none."""
    found = results.find(spec, store)
    if found is None:
        return {}
    known: dict[str, Any] = {name: getattr(found, name) for name in results.TABLES}
    known["accuracy"] = known["accuracy"].drop(columns=["key", "stored_row"])
    return known


def same(one: Tables, other: Tables) -> bool:
    """Whether two results are equal in every cell."""
    return one.keys() == other.keys() and all(table.equals(other[name]) for name, table in one.items())


@contextmanager
def environment(**changes: Any) -> Iterator[None]:
    """Environment variables for processes that are started meanwhile; one thread each, so that results are equal."""
    changed = {"OMP_NUM_THREADS": "1"} | {name: str(value) for name, value in changes.items()}
    before = {name: os.environ.get(name) for name in changed}
    os.environ.update(changed)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


@contextmanager
def troubled(**switches: Any) -> Iterator[None]:
    """Processes that are started meanwhile have this wrong inside, see `inside/sitecustomize.py`."""
    paths = os.pathsep.join(filter(None, (str(INSIDE), str(PROJECT), os.environ.get("PYTHONPATH"))))
    with environment(PYTHONPATH=paths, **{f"CHAOS_{name}": value for name, value in switches.items()}):
        yield


@contextmanager
def crew(store: Store, fork: bool = True) -> Iterator[Runner]:
    """A server's runner of one worker at a time; its jobs are cancelled and its workers gone afterwards.

    fork: workers begin with torch loaded; else each is a Python of its own, with the environment of now.
    """
    with environment(ASR_WORKERS=1, ASR_WORKER_IDLE=0, ASR_QUEUE=1000, ASR_QUEUE_EACH=1000):
        runner = (Forking if fork else Runner)(store)
        try:
            yield runner
        finally:
            for job in runner.all():
                runner.cancel(job.id)
            for child in list(runner._children.values()):
                child.terminate()  # idle ones do not listen
                child.kill()
                child.wait()


class Forking(Runner):
    """A runner whose workers are forked."""

    def _spawn(self, arguments: list[str], **streams: Any) -> Any:
        return forked.Child(arguments)


def until(holds: Callable[[], Any], what: str) -> Any:
    """What `holds()` gives as soon as it is true; raises TimeoutError."""
    end = time.monotonic() + PATIENCE
    while not (found := holds()):
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {PATIENCE:.0f} s")
        time.sleep(0.02)
    return found


def ended(runner: Runner, job_id: str) -> jobs.Job:
    """The job as soon as it waits and computes no more."""
    return until(lambda: (job := runner.get(job_id)) and not job.live and job, f"the end of job {job_id}")


def finished(runner: Runner, spec: ExperimentSpec) -> None:
    """Have the setting computed, asking again as a user would; raises RuntimeError where that does not help."""
    for _ in range(3):
        job = ended(runner, runner.submit(Wanted(spec)).id)
        if job.state == "finished":
            return
    raise RuntimeError(f"{job.state}: {job.reason}\n{job.log()}")


def entries(store: Store) -> set[str]:
    """STAGE/KEY of every local entry."""
    return {f"{stage}/{folder.name}" for stage in store.local_stages() for folder in (store.root / stage).glob("*")}


def debris(store: Store) -> list[str]:
    """What lies in a store that is nobody's."""
    found = [*(store.root / ".tmp").glob("*"), *(store.root / ".damaged").glob("*"), *store.trainings.glob("*/*")]
    found += [path for path in store.root.glob("*") if path.is_file() and path.suffix != ".json"]
    for folder in (path for path in store.jobs.glob("*") if path.is_dir()):
        found += [path for path in folder.iterdir() if path.name not in OWN]
        found += [] if (folder / "status.json").exists() else [folder]
    return [str(path.relative_to(store.root)) for path in found]


def swept(store: Store) -> list[str]:
    """What is still nobody's after the next process has begun to write."""
    with disk.workspace(store.root):
        pass
    return debris(store)
