"""The bound of a local store: what was least recently used of what can be computed again goes first."""

import os
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from asr_core.errors import SpecError
from asr_core.store import Store, disk
from asr_core.store.manifests import MANIFEST

# Between images and results. Dense networks take hours, results are what pages list, images may lie nowhere else.
RECOMPUTED = (
    "prune",
    "stats",
    "repair",
    "recalibration",
    "evaluation",
    "maps",
    "repairability",
    "kernels",
    "signal",
    "factors",
)
RECENT = 600  # seconds after its last use that an entry stays, since a process may be at work with it
UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
BOUND = "ASR_CACHE_LIMIT"  # names the environment variable with the bound that jobs keep the store within


@dataclass(frozen=True)
class Trimmed:
    """What `trim` did: entries that went, and bytes of the local store before and after."""

    entries: int
    before: int
    after: int


def size_of(text: str) -> int:
    """Bytes of a size in words; raises SpecError.

    >>> size_of("1.5 GB")
    1500000000
    """
    number, unit = text.strip()[:-2], text.strip()[-2:].upper()
    try:
        size = float(number) * UNITS[unit]
        if not 0 <= size < float("inf"):
            raise ValueError
    except (ValueError, KeyError):
        raise SpecError(f"{text!r} is no size; give a number and one of {', '.join(UNITS)}, e.g. 5GB.") from None
    return int(size)


def bound() -> int | None:
    """The bound of the local store in bytes that the environment names, or None; raises SpecError."""
    return size_of(os.environ[BOUND]) if os.environ.get(BOUND) else None


def trim(store: Store, at_most: int, needed: Collection[tuple[str, str]] = (), recent: float = RECENT) -> Trimmed:
    """Remove local entries of RECOMPUTED stages, least recently used first, until the local store has `at_most` bytes.

    What was set aside goes first. Entries whose (stage, key) is `needed` stay, and those used within `recent` seconds.
    """
    before = after = sum(disk.size(path) for path in _tops(store))
    removed, now = 0, _now(store)
    for used, folder in _removable(store, needed, now):
        if after <= at_most or now - used < recent:
            break
        after -= disk.size(folder)
        removed += _remove(store, folder)
    return Trimmed(removed, before, after)


def _tops(store: Store) -> list[Path]:
    """All that lies in the local store."""
    return [path for path in store.root.glob("*") if path != store.shipped]


def _now(store: Store) -> float:
    """By the clock that the times of its files are from."""
    try:
        return disk.now(store.root)
    except OSError:  # not even an empty file fits
        return time.time()


def _removable(store: Store, needed: Collection[tuple[str, str]], now: float) -> list[tuple[float, Path]]:
    """(last use in Unix seconds, folder), in the order in which they go."""
    found = [(0.0, folder) for folder in (store.root / ".damaged").glob("*")]
    for stage in RECOMPUTED:
        for folder in (store.root / stage).glob("*"):
            if (stage, folder.name) not in needed:
                found.append((_used(folder, now), folder))
    return sorted(found)


def _used(folder: Path, now: float) -> float:
    """When it was last used; a use in the future, from before the clock was set back, counts as one now."""
    try:
        used = (folder / MANIFEST).stat().st_mtime
        if used > now:
            os.utime(folder / MANIFEST, (now, now))
        return min(used, now)
    except OSError:  # no entry, or going away
        return 0.0


def _remove(store: Store, folder: Path) -> bool:
    """Whether the entry was removed by this process: out of its place at once, so that nobody finds half of it."""
    with store.workspace() as part:
        try:
            folder.rename(part / folder.name)
        except FileNotFoundError:  # another process was faster
            return False
    return True
