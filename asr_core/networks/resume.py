"""What a training needs to go on after it was stopped: one file in the store, gone when the training is over.

The file is safetensors with JSON in its header, replaced as a whole: a reader finds one state or the one before. The
header also holds the sha256 of the file with zeros in that place: a training that was damaged is not gone on with.
"""

import hashlib
import json
import shutil
import time
import warnings
from pathlib import Path
from typing import Annotated

import msgspec

from asr_core.store import Store, disk_errors, owners

STATE = "state.safetensors"
PAUSE = 30  # seconds between two savings, at least
UNSEALED = "0" * 64  # in place of the digest
BLOCK = 1 << 20  # bytes hashed at a time
COST = 0.01  # of the time since the last one, that a saving may take


class Told(msgspec.Struct):
    """What lists tell of a stopped training."""

    losses: Annotated[list[float], msgspec.Meta(min_length=1)]
    epochs: int


class Kept:
    """The state of the training of the dense network with recipe `key`, in `store`."""

    def __init__(self, store: Store, key: str):
        self.root, self.folder = store.root, store.trainings / key
        self.saved, self.took = time.perf_counter(), 0.0

    def due(self) -> bool:
        """Whether enough time has gone by to save again."""
        return time.perf_counter() - self.saved >= max(PAUSE, self.took / COST)

    def save(self, tensors: dict, facts: dict) -> None:
        """Replace what is stored by `tensors` and `facts` (plain JSON values); raises StoreError."""
        from safetensors.torch import save_file

        start = time.perf_counter()
        with disk_errors(self.root):
            self.folder.mkdir(parents=True, exist_ok=True)
            part = self.folder / f"{owners.PART}{owners.owner()}"
            told = {"facts": json.dumps(facts), "sha256": UNSEALED}
            try:
                save_file({n: t.cpu().contiguous() for n, t in tensors.items()}, part, told)
                _seal(part)
                part.replace(self.folder / STATE)
            finally:
                part.unlink(missing_ok=True)
        self.saved = time.perf_counter()
        self.took = self.saved - start

    def load(self) -> tuple[dict, dict] | None:
        """(tensors, facts) as saved; None if there are none, or, with a warning, if they cannot be read."""
        from safetensors import SafetensorError, safe_open

        path = self.folder / STATE
        if not path.is_file():
            return None
        try:
            check(path)
            with safe_open(path, "pt") as file:
                return {name: file.get_tensor(name) for name in file.keys()}, json.loads(file.metadata()["facts"])  # noqa: SIM118
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            warnings.warn(f"the stopped training in {path} cannot be taken up ({error}); it starts anew", stacklevel=2)
            return None

    def remove(self) -> None:
        """Nothing is left, whether or not anything was stored."""
        shutil.rmtree(self.folder, ignore_errors=True)


def stopped(store: Store) -> list[tuple[str, dict]]:
    """(recipe key, facts) of each training that has a state in `store`; read without torch."""
    return [(path.parent.name, facts) for path in sorted(store.trainings.glob(f"*/{STATE}")) if (facts := _facts(path))]


def _digest(path: Path) -> tuple[str, int, str]:
    """(what the header says, where in the file it says so, what is true); raises ValueError where it says nothing."""
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = file.read(min(size, path.stat().st_size))
        said = json.loads(header)["__metadata__"]["sha256"]
        place = header.index(said.encode())
        digest = hashlib.sha256(size.to_bytes(8, "little"))
        digest.update(header[:place] + UNSEALED.encode() + header[place + len(UNSEALED) :])
        while block := file.read(BLOCK):
            digest.update(block)
    return said, 8 + place, digest.hexdigest()


def _seal(path: Path) -> None:
    _, place, digest = _digest(path)
    with open(path, "r+b") as file:
        file.seek(place)
        file.write(digest.encode())


def check(path: Path) -> None:
    """Raise ValueError, KeyError, TypeError or OSError where a state is not as it was saved."""
    said, _, digest = _digest(path)
    if said != digest:
        raise ValueError("it has changed on the disk")


def damaged(store: Store) -> list[str]:
    """A line for each stopped training that will begin anew, as its state is not as it was saved."""
    found = []
    for path in sorted(store.trainings.glob(f"*/{STATE}")):
        try:
            check(path)
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            found.append(f"stopped training {path.parent.name}: {error}; it begins anew")
    return found


def _facts(path: Path) -> dict | None:
    """The JSON in the header of a safetensors file: its length in 8 bytes, then names, and our own under
    __metadata__."""
    try:
        with open(path, "rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        found = json.loads(header["__metadata__"]["facts"])
        msgspec.convert(found, Told)
        return found
    except (OSError, ValueError, KeyError, TypeError, MemoryError, OverflowError, RecursionError):
        return None
