"""A weights file by its identity: that of its tensors as the network takes them, whatever file they came in.

The store's weights.json remembers the identity by the file's sha256 and the network, so that a file seen before
needs no torch, and imports none.
"""

import hashlib
import re
import warnings
from dataclasses import dataclass
from pathlib import Path

from asr_core.errors import SpecError, WeightsError
from asr_core.networks.suffixes import check_name
from asr_core.spec.digests import canonical
from asr_core.spec.model import ModelSpec
from asr_core.store import Store, disk_errors
from asr_core.store.entries import WEIGHTS, digest_file, read_cache, write_cache

MEMORY = "weights.json"
KEPT = "kept.safetensors"  # what a network takes of a tried file
READING = 1  # of files: raise it where the same file is read as other tensors


@dataclass(frozen=True)
class Known:
    """What a file is to a network. digest: `weights.weights_identity` of its tensors; notes: what was chosen or
    folded."""

    digest: str
    notes: tuple[str, ...] = ()


def identify(path: Path | str, store: Store, model: ModelSpec, classes: int, image_size: int) -> Known:
    """What the file is to the network; imports torch and tries the file only if the store does not remember it.

    image_size in pixels. Warns of each of the notes. Raises SpecError for a file that cannot be opened, WeightsError
    for one that does not fit.
    """
    check_name(str(path))
    try:
        content = digest_file(path)
    except OSError as error:
        raise SpecError(f"cannot read weights file {path}: {error.strerror}.") from None
    name = name_of(content, model, classes, image_size)
    known = recall(store, name)
    if known is None:
        from asr_core.networks import models, weights

        fitted = weights.fitted(models.outline(model, classes, image_size), path)
        known = remember(store, name, Known(fitted.identity, fitted.notes))
    for note in known.notes:
        warnings.warn(f"{path}: {note}.", stacklevel=2)
    return known


def name_of(content: str, model: ModelSpec, classes: int, image_size: int) -> str:
    """Under what a file (sha256 of its content) and a network are remembered."""
    return hashlib.sha256(canonical([READING, content, model, classes, image_size]).encode()).hexdigest()[:32]


def recall(store: Store, name: str) -> Known | None:
    """What is remembered under `name_of`."""
    known = _remembered(store).get(name)
    return Known(known["digest"], tuple(known["notes"])) if known else None


def remember(store: Store, name: str, known: Known) -> Known:
    """Keep `known` under `name_of`; returns it."""
    with store.lock("weights"), disk_errors(store.root):
        kept = {"digest": known.digest, "notes": list(known.notes)}
        write_cache(store.root / MEMORY, {**_remembered(store), name: kept})
    return known


def weights_file(store: Store, digest: str) -> Path:
    """Where the weights of identity `digest` were kept, unread; raises WeightsError if they are not there."""
    path = store.uploads / digest / WEIGHTS
    if re.fullmatch("[0-9a-f]{8,64}", digest) and path.is_file():
        return path
    raise WeightsError(
        f"weights {digest} are not on this machine; upload their file again in the dashboard, or name it with "
        "--weights FILE."
    )


def _remembered(store: Store) -> dict:
    return read_cache(store.root / MEMORY, Known)
