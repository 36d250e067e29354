"""The only module that knows paths in cache/: content-addressed entries, written once, atomically.

An entry is a folder STAGE/KEY with files and a `manifest.json` that a person can read: what was
asked, how long it took, versions, file hashes. Shipped entries (cache/shipped) are read-only and
looked up first. An entry that fails its hashes, or does not fit (`store.manifests`), is left out with a warning and
computed again; a damaged local one is moved aside, one of another version stays until its place is needed.
"""

import os
import shutil
import time
import uuid
import warnings
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

from asr_core.errors import StoreError
from asr_core.store import disk
from asr_core.store.disk import disk_errors as disk_errors
from asr_core.store.entries import PROJECT, Entry, digest_file, versions, write, write_manifest
from asr_core.store.leftout import LeftOut
from asr_core.store.manifests import MANIFEST, Unfit


def default_root() -> Path:
    """`ASR_CACHE_DIR` (~ is the home folder), or cache/ beside the package."""
    return Path(os.environ.get("ASR_CACHE_DIR") or PROJECT / "cache").expanduser()


class Store:
    """Entries under `root` (local) and `root`/shipped (read-only). Safe for several processes."""

    def __init__(self, root: Path | str | None = None):
        self.root = Path(root).expanduser() if root else default_root()
        self.shipped = self.root / "shipped"
        self.jobs = self.root / "jobs"  # one folder per job: not entries
        self.uploads = self.root / "uploads"  # a user's images and weights (asr_core.images.uploads): not entries
        self.trainings = self.root / "trainings"  # not finished (asr_core.networks.resume): not entries
        self.left_out = LeftOut()
        self._verified: dict[Path, tuple | None] = {}  # what files of sound entries were like

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

    def has(self, stage: str, key: str, holding: str | None = None) -> bool:
        """Whether an entry that fits lies there; its files are not read, however large. holding: see `find`."""
        there = filter(None, (self._listed(base / stage / key) for base in (self.shipped, self.root)))
        return any(holding is None or entry.has(holding) for entry in there)

    def manifests(self, stage: str, local: bool = True) -> list[dict]:
        """Manifests of all entries of `stage` that fit, files unread: shipped first, then `local` ones, oldest
        first."""
        found = []
        for base in (self.shipped, self.root)[: 1 + local]:
            fit = [entry.manifest for folder in (base / stage).glob("[!.]*") if (entry := self._listed(folder))]
            found += sorted(fit, key=lambda manifest: manifest["finished"])
        return found

    def stamp(self, stage: str) -> tuple[int, ...]:
        """A cheap mark that changes when an entry of `stage` appears, goes or is found unfit: its folders' times."""
        folders = [base / stage for base in (self.shipped, self.root)]
        unfit = sum(folder.parent in folders for folder in self.left_out)
        return *(folder.stat().st_mtime_ns if folder.is_dir() else 0 for folder in folders), unfit

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
            write_manifest(part, manifest)
            target = self.root / stage / key
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                part.rename(target)
            except OSError:
                if not self._taken(target):  # otherwise another process published the same content
                    part.rename(target)
        self.left_out.forget(target)
        self._verified[target] = (entry := Entry(target)).mark()
        return entry

    def _taken(self, target: Path) -> bool:
        """Whether a sound entry lies at `target`; what else lies there is moved out of the way."""
        sound = self._sound(target) is not None
        if not sound and target.exists():
            self._move_aside(target)
        return sound

    def lock(self, *name: str) -> AbstractContextManager[None]:
        """Hold the named lock among all processes that share this store."""
        return disk.lock(self.root, *name)

    def check_writable(self) -> None:
        """Raise StoreError now, rather than after an hour, if nothing can be written here."""
        with self.workspace() as part:
            (part / "probe").write_bytes(b"0" * 4096)

    def clearable(self) -> list[str]:
        """What `clear` can remove: stages with local entries, and `trainings` and `uploads` where there are any."""
        return [*self.local_stages(), *(p.name for p in (self.trainings, self.uploads) if p.is_dir())]

    def clear(self, stages: Iterable[str]) -> int:
        """Remove local entries of `stages` (see `clearable`); shipped ones stay. Returns how many went."""
        folders = [folder for stage in stages for folder in (self.root / stage).glob("*")]
        for folder in folders:
            shutil.rmtree(folder)
        return len(folders)

    def local_stages(self) -> list[str]:
        """Stages with local entries, sorted."""
        others = (self.shipped, self.jobs, self.uploads, self.trainings)
        return sorted(p.name for p in self.root.glob("[!.]*") if p.is_dir() and p not in others)

    def stages(self) -> list[str]:
        """Stages with local or shipped entries, sorted."""
        return sorted({*self.local_stages(), *(p.name for p in self.shipped.glob("[!.]*") if p.is_dir())})

    def verify(self) -> list[str]:
        """Check every manifest and file; a line per entry that is damaged, which is set aside, or of another
        version."""
        self.left_out.forget()
        self._verified.clear()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # said by what is returned
            for base in (self.shipped, self.root):
                for folder in sorted(f for stage in self.stages() for f in (base / stage).glob("[!.]*")):
                    self._sound(folder)
        return self.left_out.lines()

    def leave_out(self, stage: str, key: str, reason: str) -> None:
        """Leave an entry out that fits but says what this version does not know."""
        there = [base / stage / key for base in (self.shipped, self.root) if (base / stage / key).is_dir()]
        self.left_out.add(there[0], reason, damaged=False)

    def _listed(self, folder: Path) -> Entry | None:
        """The entry if its manifest fits and its files are not known to be damaged; else None, with a warning."""
        if folder in self.left_out:
            return None
        try:
            entry = Entry(folder)
        except FileNotFoundError:  # never there, going away, or damaged: `find` deals with it
            return None
        except (OSError, Unfit) as error:
            self.left_out.add(folder, str(error), getattr(error, "damaged", True))
            return None
        self.left_out.forget(folder)
        return entry

    def _sound(self, folder: Path) -> Entry | None:
        """The entry if it fits and its files have their hashes; else left out, and moved aside if damaged."""
        entry = None
        try:
            entry = Entry(folder)
            if damage := self._damage(entry):
                raise Unfit(damage)
        except FileNotFoundError:
            if folder.exists():  # else another process set it aside or cleared it
                self._leave_out(folder, "its manifest is missing", damaged=True)
            return None
        except OSError as error:
            self.left_out.add(folder, str(error))
            return None
        except Unfit as error:
            self._leave_out(folder, str(error), error.damaged, entry.manifest if entry else None)
            return None
        self.left_out.forget(folder)
        if self.shipped not in folder.parents:
            with suppress(OSError):  # read-only, or going away
                os.utime(folder / MANIFEST)  # when it was last used, see `store.housekeeping`
        return entry

    def _damage(self, entry: Entry) -> str | None:
        """What is wrong with the files of an entry; they are read again when one of them was written since."""
        mark = entry.mark()
        if mark is None or self._verified.get(entry.folder) != mark:
            if damage := entry.damage():
                return damage
            self._verified[entry.folder] = mark
        return None

    def _leave_out(self, folder: Path, reason: str, damaged: bool, manifest: dict | None = None) -> None:
        if damaged and self.shipped not in folder.parents:  # shipped ones are read-only
            with suppress(StoreError):  # so is this whole store
                self._move_aside(folder)
        self.left_out.add(folder, reason, damaged, manifest)

    def _move_aside(self, folder: Path) -> None:
        aside = self.root / ".damaged" / f"{folder.parent.name}-{folder.name}-{uuid.uuid4().hex[:6]}"
        with disk_errors(self.root):
            aside.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):  # another process was faster
                folder.rename(aside)

    def sweep(self) -> None:
        """Remove what killed processes left half written."""
        disk.sweep(self.root)

    def workspace(self) -> AbstractContextManager[Path]:
        """A private folder in the store, for files too large for memory; gone afterwards, whatever happens."""
        return disk.workspace(self.root)
