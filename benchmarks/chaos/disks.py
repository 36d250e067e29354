"""A disk that fills while jobs write, and one that takes nothing at all: small disks in memory, mounted for it."""

import os
import shutil
import subprocess
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

from asr_core.errors import AsrError
from asr_core.jobs import needs
from asr_core.jobs.jobs import Wanted
from asr_core.jobs.runner import Runner
from asr_core.spec.parts import PruneSpec
from asr_core.store import Store, disk
from benchmarks.chaos.ground import SMALL, Ground, crew, ended, entries, finished, grid, setting, swept, tables, until
from benchmarks.chaos.tally import Tally

ROOM = 64 << 20  # bytes with which everything fits
BLOCK = 4096


@contextmanager
def mounted(folder: Path, size: int) -> Iterator[Path]:
    """A disk of so many bytes; raises OSError where none may be mounted."""
    folder.mkdir()
    _mount("-t", "tmpfs", "-o", f"size={size}", "chaos", str(folder))
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def _mount(*words: str) -> None:
    try:
        done = subprocess.run(["mount", *words], capture_output=True, text=True)
    except FileNotFoundError as error:
        raise OSError("there is no mount") from error
    if done.returncode:
        raise OSError(done.stderr.strip() or "mount refused")


def full(ground: Ground, count: int, chance: Random) -> Tally:
    """A disk that is full at a random byte of a job; with more room, Retry goes on."""
    tally, spec = Tally("the disk fills while a job writes"), setting(0)
    ground.undisturbed(spec)
    needed = disk.size(ground.calm.root) - disk.size(ground.base.root)
    try:
        for number in range(count):
            used, more = _blocks(ground.base.root), int(chance.uniform(0, needed))
            with mounted(ground.folder / f"full{number}", used + more) as folder:
                _fill(tally, ground, Store(folder / "store"), spec)
    except OSError as error:
        if "mount" not in str(error) and "permitted" not in str(error):
            raise
        tally.skipped = f"no disk can be mounted here ({error})"
    return tally


def _blocks(folder: Path) -> int:
    """Bytes that a folder takes on a disk of whole blocks."""
    return sum(-(-path.lstat().st_size // BLOCK) * BLOCK for path in folder.rglob("*") if path.is_file())


def _fill(tally: Tally, ground: Ground, store: Store, spec) -> None:
    """One try: the job ends with its reason, or had room; then there is more."""
    shutil.copytree(ground.base.root, store.root)
    tally.tries += 1
    with crew(store) as runner:
        state = _ends(tally, runner, spec)
        before = entries(store)
        _trims(tally, store)
        _mount("-o", f"remount,size={ROOM}", "chaos", str(store.root.parent))
        if state != "finished":
            finished(runner, spec)
    tally.lost += len(before - entries(store))
    lost, wrong = ground.judged(store, [spec])
    left = swept(store)
    tally.lost, tally.wrong, tally.debris = tally.lost + lost, tally.wrong + wrong, tally.debris + len(left)
    tally.broken += [f"left behind: {name}" for name in left]


def _ends(tally: Tally, runner: Runner, spec) -> str:
    """How a job on a disk that fills ends: finished, failed with the reason, or refused."""
    try:
        job = ended(runner, runner.submit(Wanted(spec)).id)
    except AsrError:  # there is not even room for the request
        return "refused"
    if job.state == "failed" and "space" not in str(job.reason):
        tally.broken.append(f"a full disk is told as {job.reason!r}")
    return job.state


def _trims(tally: Tally, store: Store) -> None:
    """On a disk without a free byte, what was set aside or can be computed again still goes."""
    aside = store.root / ".damaged" / "stats-x"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            aside.mkdir(parents=True)
            (aside / "a.npy").write_bytes(bytes(BLOCK))
        except OSError:
            shutil.rmtree(aside.parent, ignore_errors=True)
            return
        _no_byte_left(store.root.parent / "filler")
        try:
            needs.trim(store, 0)
        except AsrError as error:
            tally.broken.append(f"a full disk cannot be made empty: {error}")
    shutil.rmtree(aside.parent, ignore_errors=True)
    (store.root.parent / "filler").unlink(missing_ok=True)


def _no_byte_left(path: Path) -> None:
    with open(path, "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(BLOCK))
        except OSError:
            return


def frozen(ground: Ground, count: int, chance: Random) -> Tally:
    """A store that takes no byte: what is stored is shown, what is not is refused with the reason."""
    unstored = SMALL.with_(prune=PruneSpec.of("uniform", sparsity=0.5))  # of no other fault either
    tally, specs = Tally("the store is read-only"), [*grid(1), unstored]
    try:
        for number in range(count):
            with mounted(ground.folder / f"frozen{number}", ROOM) as folder:
                store = Store(shutil.copytree(_computed(ground, specs[0]).root, folder / "store"))
                _mount("-o", "remount,ro", "chaos", str(folder))
                _look(tally, ground, store, specs)
    except OSError as error:
        if "mount" not in str(error) and "permitted" not in str(error):
            raise
        tally.skipped = f"no disk can be mounted here ({error})"
    return tally


def _computed(ground: Ground, spec) -> Store:
    """The undisturbed store, which has the result."""
    ground.undisturbed(spec)
    return ground.calm


def _look(tally: Tally, ground: Ground, store: Store, specs) -> None:
    """One try of all that one does with a store."""
    tally.tries += 1
    lost, wrong = ground.judged(store, specs[:1])
    tally.lost, tally.wrong = tally.lost + lost, tally.wrong + wrong
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tally.broken += Store(store.root).verify()
    runner = Runner(store)
    runner.limits = runner.limits.__class__(idle=60)
    for what in (lambda: runner.warm(specs[1]), runner.tend, runner.all, lambda: runner.submit(Wanted(specs[1]))):
        try:
            what()
        except AsrError as error:
            if "Read-only" not in str(error):
                tally.broken.append(f"a read-only store is told as {error}")
        except OSError as error:
            tally.broken.append(f"{type(error).__name__}: {error}")
    until(lambda: not runner._children, "the end of the worker")
    if tables(store, specs[1]) or os.access(store.root / "new", os.F_OK):
        tally.broken.append("something was written")
