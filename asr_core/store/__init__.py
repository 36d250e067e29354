"""The only module that knows paths in cache/: content-addressed entries, written once, atomically.

An entry is a folder STAGE/KEY with files and a `manifest.json` that a person can read: what was
asked, how long it took, versions, file hashes. Shipped entries (cache/shipped) are read-only and
looked up first. An entry that fails its hashes is set aside with a warning and computed again.
"""

import os
import shutil
import time
import uuid
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import filelock
import psutil

from asr_core.errors import StoreError
from asr_core.store.entries import MANIFEST, PROJECT, Entry, digest_file, read_manifest, versions, write, write_json


def default_root() -> Path:
    """`ASR_CACHE_DIR`, or cache/ beside the package."""
    return Path(os.environ.get("ASR_CACHE_DIR") or PROJECT / "cache")


class Store:
    """Entries under `root` (local) and `root`/shipped (read-only). Safe for several processes."""

    def __init__(self, root: Path | str | None = None):
        self.root = Path(root) if root else default_root()
        self.shipped = self.root / "shipped"
        self.jobs = self.root / "jobs"  # one folder per job: not entries
        self.uploads = self.root / "uploads"  # a user's images and weights (asr_core.images.uploads): not entries
        self.trainings = (
            self.root / "trainings"
        )  # of dense networks, not finished (asr_core.networks.resume): not entries
        self._verified: set[Path] = set()

    def __eq__(self, other: object) -> bool:
        """Stores of one folder are equal, so that what was read of its entries, which never change, can be kept by
        store."""
        return isinstance(other, Store) and self.root == other.root

    def __hash__(self) -> int:
        return hash(self.root)

    def find(self, stage: str, key: str, holding: str | None = None) -> Entry | Any:
        """The sound entry of `stage` under `key`, shipped first, or None; a damaged one is set aside.

        holding: a file that it must have (a shipped dense network can come without its weights).
        """
        for base in (self.shipped, self.root):
            folder = base / stage / key
            if folder.is_dir() and (entry := self._sound(folder)) and (holding is None or entry.has(holding)):
                return entry
        return None

    def has(self, stage: str, key: str) -> bool:
        """Whether an entry lies there; its files are not read, however large."""
        return any((base / stage / key / MANIFEST).is_file() for base in (self.shipped, self.root))

    def manifests(self, stage: str) -> list[dict]:
        """Manifests of all entries of `stage`, files unread: shipped first, then oldest first."""
        found = []
        for base in (self.shipped, self.root):
            readable = [m for folder in (base / stage).glob("*") if (m := read_manifest(folder))]
            found += sorted(readable, key=lambda manifest: manifest["finished"])
        return found

    def stamp(self, stage: str) -> tuple[int, ...]:
        """A cheap mark that changes when an entry of `stage` appears or goes: its folders' times."""
        folders = [base / stage for base in (self.shipped, self.root)]
        return tuple(folder.stat().st_mtime_ns if folder.is_dir() else 0 for folder in folders)

    def get_or_compute(
        self, stage: str, key: str, compute: Callable[[], tuple[dict[str, Any], dict[str, Any]]], spec: Any = None
    ) -> Entry:
        """The entry under `key`, computed once even if several processes ask at the same time.

        `compute()` returns (files, facts): files maps a name to a DataFrame (.parquet), dict of
        arrays (.npz), array (.npy), dict of tensors (.safetensors), JSON value, or the Path of a file
        in a `workspace()` of this store, which is moved; facts is a small dict kept in the manifest.
        """
        if entry := self.find(stage, key):
            return entry
        with self.lock(stage, key):
            if entry := self.find(stage, key):
                return entry
            start = time.perf_counter()
            files, facts = compute()
            return self.put(stage, key, files, facts, spec, time.perf_counter() - start)

    def put(self, stage: str, key: str, files: dict, facts: dict, spec: Any = None, seconds: float = 0.0) -> Entry:
        """Publish an entry atomically: all of it appears, or nothing does."""
        with self.workspace() as part:
            listing = {}
            for name, value in files.items():
                write(part / name, value)
                listing[name] = {"sha256": digest_file(part / name), "bytes": (part / name).stat().st_size}
                if name.endswith(".parquet"):
                    listing[name]["rows"] = len(value)
            manifest = {
                "stage": stage,
                "key": key,
                "spec": spec,
                "facts": facts,
                "files": listing,
                "seconds": round(seconds, 3),
                "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                "versions": versions(),
            }
            write_json(part / MANIFEST, manifest)
            target = self.root / stage / key
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                part.rename(target)
            except OSError:
                if not target.is_dir():  # otherwise another process published the same content
                    raise
        self._verified.add(target)
        return Entry(target)

    @contextmanager
    def lock(self, *name: str) -> Iterator[None]:
        """Hold the named lock among all processes that share this store."""
        with disk_errors(self.root):
            folder = self.root / ".locks"
            folder.mkdir(parents=True, exist_ok=True)
            lock = filelock.FileLock(folder / ("-".join(name) + ".lock"))
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def check_writable(self) -> None:
        """Raise StoreError now, rather than after an hour, if nothing can be written here."""
        with self.workspace() as part:
            (part / "probe").write_bytes(b"0" * 4096)

    def clearable(self) -> list[str]:
        """What `clear` can remove: stages with local entries, and `trainings` and `uploads` where there are any."""
        return [*self.local_stages(), *(p.name for p in (self.trainings, self.uploads) if p.is_dir())]

    def clear(self, stages: Iterable[str]) -> int:
        """Remove local entries of `stages` (see `clearable`); shipped ones stay. Returns how many went."""
        count = 0
        for stage in stages:
            for folder in (self.root / stage).glob("*"):
                shutil.rmtree(folder)
                count += 1
        return count

    def local_stages(self) -> list[str]:
        """Stages with local entries, sorted."""
        others = (self.shipped, self.jobs, self.uploads, self.trainings)
        return sorted(p.name for p in self.root.glob("[!.]*") if p.is_dir() and p not in others)

    def stages(self) -> list[str]:
        """Stages with local or shipped entries, sorted."""
        return sorted({*self.local_stages(), *(p.name for p in self.shipped.glob("[!.]*") if p.is_dir())})

    def verify(self) -> list[str]:
        """Check every file against its hash; a line per damaged entry, which is set aside."""
        damaged = []
        for base in (self.shipped, self.root):
            for folder in sorted(f for stage in self.stages() for f in (base / stage).glob("*") if f.is_dir()):
                self._verified.discard(folder)
                with warnings.catch_warnings(record=True) as caught:
                    warnings.simplefilter("always")
                    self._sound(folder)
                damaged += [str(warning.message) for warning in caught]
        return damaged

    def _sound(self, folder: Path) -> Entry | None:
        """The entry if its files have their hashes (checked once per process); else set it aside."""
        try:
            entry = Entry(folder)
            damage = None if folder in self._verified else entry.damage()
        except FileNotFoundError:
            if not folder.is_dir():  # another process set it aside or cleared it
                return None
            damage = "its manifest is missing"
        except ValueError:  # not JSON, not text, or not a manifest
            damage = "its manifest is unreadable"
        if damage is None:
            self._verified.add(folder)
            return entry
        self._set_aside(folder, damage)
        return None

    def _set_aside(self, folder: Path, damage: str) -> None:
        aside = self.root / ".damaged" / f"{folder.parent.name}-{folder.name}-{uuid.uuid4().hex[:6]}"
        name = f"{folder.parent.name}/{folder.name}"
        warnings.warn(f"stored entry {name}: {damage}; set aside, will be computed again", stacklevel=4)
        if self.shipped in folder.parents:
            return  # read-only: skipped, never moved
        with disk_errors(self.root):
            aside.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):  # another process was faster
                folder.rename(aside)

    def sweep(self) -> None:
        """Remove what killed processes left half written."""
        for folder in (self.root / ".tmp").glob("*"):
            pid = folder.name.split("-")[0]
            if not (pid.isdigit() and psutil.pid_exists(int(pid))):
                shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def workspace(self) -> Iterator[Path]:
        """A private folder in the store, for files too large for memory; gone afterwards, whatever happens."""
        with disk_errors(self.root):
            base = self.root / ".tmp"
            base.mkdir(parents=True, exist_ok=True)
            self.sweep()
            part = base / f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
            part.mkdir()
            try:
                yield part
            finally:
                shutil.rmtree(part, ignore_errors=True)


@contextmanager
def disk_errors(root: Path) -> Iterator[None]:
    """Turn an OSError while writing under `root` into a StoreError with the remedy."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise StoreError(
            f"cannot write to the cache directory {root}: {reason}. Free some space, "
            "or choose another with --cache-dir or ASR_CACHE_DIR."
        ) from error
