"""Folders in a store that one process writes in: made, told apart from abandoned ones, and swept up.

Who owns one stands in its name (`store.owners`). A process id says nothing elsewhere: a folder of another machine is
abandoned only when nothing in it changed for IDLE seconds, by the clock of the disk that they share. No lock is asked,
since some shared disks keep none.
"""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import filelock

from asr_core.errors import StoreError
from asr_core.store import owners
from asr_core.store.owners import PART

IDLE = 24 * 3600  # seconds without a change after which what another machine left is nobody's


@contextmanager
def lock(root: Path, *name: str) -> Iterator[None]:
    """Hold the named lock among all processes that share the store at `root`: it saves work that would be done twice,
    and results are the same without it, as on shared disks that keep none. Raises StoreError."""
    with disk_errors(root):
        folder = root / ".locks"
        folder.mkdir(parents=True, exist_ok=True)
        held = filelock.FileLock(folder / ("-".join(name) + ".lock"))
        held.acquire()
    try:
        yield
    finally:
        held.release()


@contextmanager
def workspace(root: Path) -> Iterator[Path]:
    """A private folder in the store at `root`; gone afterwards, whatever happens. Raises StoreError."""
    with disk_errors(root):
        base = root / ".tmp"
        base.mkdir(parents=True, exist_ok=True)
        sweep(root)
        part = base / owners.owner()
        part.mkdir()
        try:
            yield part
        finally:
            shutil.rmtree(part, ignore_errors=True)


def sweep(root: Path) -> None:
    """Remove what killed processes left half written."""
    for folder in (root / ".tmp").glob("[!.]*"):
        if _is_abandoned(folder):
            shutil.rmtree(folder, ignore_errors=True)
    for kept in (root, root / ".tmp", *root.glob("jobs/*"), *root.glob("trainings/*")):
        for part in kept.glob(f"{PART}*"):
            if _is_abandoned(part):
                part.unlink(missing_ok=True)


def _is_abandoned(path: Path) -> bool:
    where, pid, began, *_ = (*path.name.removeprefix(PART).split("-"), "", "")
    if where == owners.machine() and pid.isdigit() and began.isdigit():
        return not owners.lives(int(pid), float(began))
    return idle(path) > IDLE


def size(path: Path) -> int:
    """Bytes of a file, or of all files below a folder; what is going away counts nothing."""
    total = 0
    for one in (path, *path.rglob("*")):
        with suppress(OSError):
            total += one.lstat().st_size if not one.is_dir() else 0
    return total


def idle(folder: Path) -> float:
    """Seconds since anything in `folder` changed, by the clock of its disk; 0 where that cannot be told."""
    try:
        return now(folder.parent) - max(path.stat().st_mtime for path in (folder, *folder.rglob("*")))
    except OSError:  # read-only, or going away
        return 0.0


def now(folder: Path) -> float:
    """What the clock says that files in `folder` have their times from; raises OSError where none can be made."""
    probe = folder / f"{PART}{owners.owner()}"
    try:
        probe.touch()
        return probe.stat().st_mtime
    finally:
        with suppress(OSError):
            probe.unlink(missing_ok=True)


@contextmanager
def disk_errors(root: Path) -> Iterator[None]:
    """Turn an OSError while writing under `root` into a StoreError with the remedy."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        remedy = "Free some space, or choose another with --cache-dir or ASR_CACHE_DIR."
        if error.errno == errno.ENOENT:
            remedy = "What was being written there was removed meanwhile; ask for it again."
        raise StoreError(f"cannot write to the cache directory {root}: {reason}. {remedy}") from error
