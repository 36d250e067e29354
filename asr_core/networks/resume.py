"""What a training needs to go on after it was stopped: one file in the store, gone when the training is over.

The file is safetensors with JSON in its header, replaced as a whole: a reader finds one state or the one before.
"""

import json
import shutil
import time
import uuid
import warnings
from pathlib import Path
from typing import Annotated

import msgspec

from asr_core.store import Store, disk_errors

STATE = "state.safetensors"
PAUSE = 30  # seconds between two savings, at least
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
            part = self.folder / f"{STATE}.{uuid.uuid4().hex[:8]}"
            try:
                save_file({n: t.cpu().contiguous() for n, t in tensors.items()}, part, {"facts": json.dumps(facts)})
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
