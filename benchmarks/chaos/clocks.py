"""Clocks that jump by hours, back and forth: under jobs, in the ages of workspaces, in what was used last."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

from asr_core.jobs import jobs
from asr_core.jobs.jobs import Wanted
from asr_core.jobs.runner import Runner
from asr_core.store import Store, disk, housekeeping
from asr_core.store.manifests import MANIFEST
from benchmarks.chaos.ground import Ground, crew, finished, grid, swept, troubled
from benchmarks.chaos.inside import sitecustomize
from benchmarks.chaos.tally import Tally

HOUR = 3600
FARTHEST = 40 * HOUR


@contextmanager
def jumping(path: Path) -> Iterator[None]:
    """The clock of this process, and of those it starts, is off by the seconds that stand in `path`."""
    path.write_text("0")
    with troubled(CLOCK=path), sitecustomize.clock_of(str(path)):
        yield


def under_jobs(ground: Ground, count: int, chance: Random) -> Tally:
    """The clock jumps while jobs compute and wait, watched by their server and by another one."""
    tally, store, specs = Tally("the clock jumps by hours while jobs run"), ground.fresh(), grid(3)
    clock = ground.folder / "clock"
    for spec in specs:
        ground.undisturbed(spec)
    with jumping(clock), crew(store, fork=False) as runner:
        other = Runner(store)
        while tally.tries < count:
            for spec in specs:
                runner.submit(Wanted(spec))
            _until_ended(tally, runner, other, clock, chance)
            _judge(tally, ground, store, specs)
            store.clear([stage for stage in (*housekeeping.RECOMPUTED, "result") if stage in store.local_stages()])
        for spec in specs:
            finished(runner, spec)
    _judge(tally, ground, store, specs)
    return tally


def _until_ended(tally: Tally, runner: Runner, other: Runner, clock: Path, chance: Random) -> None:
    """Let the clock jump until every job has ended; whoever looks, none may count as lost."""
    while any(job.live for job in jobs.listed(runner.store)):
        clock.write_text(str(chance.uniform(-FARTHEST, FARTHEST)))
        tally.tries += 1
        time.sleep(chance.uniform(0.05, 0.4))
        seen = [job for watcher in (other, runner) for job in watcher.all()]
        tally.broken += [f"{job.state}: {job.reason}" for job in seen if job.state in ("failed", "cancelled")]


def _judge(tally: Tally, ground: Ground, store: Store, specs) -> None:
    lost, wrong = ground.judged(store, specs)
    left = swept(store)
    tally.lost, tally.wrong, tally.debris = tally.lost + lost, tally.wrong + wrong, tally.debris + len(left)
    tally.broken += [f"left behind: {name}" for name in left]


def ages(ground: Ground, count: int, chance: Random) -> Tally:
    """Whatever this machine's clock says: workspaces in use and entries just used stay, old ones go, a worker on
    another machine that gives signs of life lives."""
    tally, store = Tally("the clock is off by hours where ages are asked"), ground.fresh()
    clock = ground.folder / "clock"
    folder = store.put("stats", "k", {"a.json": [1]}, {}).folder
    with jumping(clock):
        for _ in range(count):
            clock.write_text(str(chance.uniform(-FARTHEST, FARTHEST)))
            tally.tries += 1
            _workspaces(tally, store)
            _uses(tally, store, folder)
            _signs(tally, store)
    return tally


def _workspaces(tally: Tally, store: Store) -> None:
    """One of another machine in use, one that it left two days ago."""
    used, left = (store.root / ".tmp" / f"{'0' * 12}-{number}-abcdef12" for number in (1, 2))
    for folder in (used, left):
        folder.mkdir(parents=True)
    old = left.stat().st_mtime - 2 * disk.IDLE
    os.utime(left, (old, old))
    store.sweep()
    tally.lost += not used.exists()
    tally.debris += left.exists()
    for folder in (used, left):
        if folder.exists():
            folder.rmdir()


def _uses(tally: Tally, store: Store, folder: Path) -> None:
    """An entry used just now stays; one that was used in what is now the future goes when ten minutes have passed."""
    (folder / MANIFEST).touch()
    housekeeping.trim(store, 0)
    if not folder.exists():
        tally.lost += 1
        store.put("stats", "k", {"a.json": [1]}, {})
    ahead = (folder / MANIFEST).stat().st_mtime + 10 * HOUR
    os.utime(folder / MANIFEST, (ahead, ahead))
    housekeeping.trim(store, 0)
    housekeeping.trim(store, 0, recent=-1)
    if folder.exists():
        tally.broken.append("an entry of the future never goes")
    store.put("stats", "k", {"a.json": [1]}, {})


def _signs(tally: Tally, store: Store) -> None:
    """A job on another machine whose worker gives signs of life, and one whose worker has long been silent."""
    for silent in (False, True):
        folder = store.jobs / ("1" * 24 if silent else "0" * 24)
        folder.mkdir(parents=True, exist_ok=True)
        told = {"state": "running", "submitted": 1.0, "started": 1.0, "pid": 1, "born": 1.0, "host": "elsewhere"}
        jobs.write_json(folder / "status.json", told)
        (folder / jobs.ALIVE).touch()
        if silent:
            old = (folder / jobs.ALIVE).stat().st_mtime - HOUR
            os.utime(folder / jobs.ALIVE, (old, old))
        if jobs.exists(jobs.read(store, folder.name)) == silent:
            tally.broken.append("a worker that is gone counts as alive" if silent else "a living worker counts as gone")
