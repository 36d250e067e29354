"""A user's own images and weights, uploaded: checked, bounded, and kept in the store by the digest of their content.

A name that came with an upload is never used as one here; what is kept is found again by its digest
alone. Imports no torch and unpickles nothing: a weights file is tried on its network in a process of
its own (`asr_core.networks.fit`), with weights only.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO

from asr_core.errors import DataError, WeightsError
from asr_core.images import archives, folders
from asr_core.networks import known_weights
from asr_core.networks.fit import KEPT
from asr_core.networks.known_weights import Known
from asr_core.spec.experiment import ModelSpec
from asr_core.store import Store, disk_errors
from asr_core.store.entries import PROJECT, WEIGHTS

LARGEST = 256  # MB of one upload; as server.maxUploadSize in .streamlit/config.toml
PATIENCE = 120  # seconds that a file may take to be tried
DIGITS = 24  # of the sha256 that names a zip


def keep_images(store: Store, archive: BinaryIO) -> dict:
    """Unpack a zip of an ImageFolder tree into the store; returns what `folders.identify` says of it.

    Raises DataError (see archives.unpack), StoreError.
    """
    _check_size(archive, DataError, "name a folder on the server's machine instead")
    digest = _digest(archive)[:DIGITS]
    target = store.uploads / digest / f"upload-{digest[:8]}"
    if not target.is_dir():
        with store.workspace() as part:
            archives.unpack(archive, part / "images")
            _publish(part / "images", target)
    return folders.identify(target, store)


def keep_weights(store: Store, name: str, file: BinaryIO, model: ModelSpec, classes: int, image_size: int) -> Known:
    """Keep weights that fit the network; returns their identity (DenseSpec.weights_digest) and notes on how they were read.

    Kept is what the network takes of the file, as safetensors. name: of the uploaded file, for its suffix.
    image_size in pixels. Raises WeightsError, naming what does not fit, and StoreError.
    """
    suffix = known_weights.check_name(name)
    _check_size(
        file, WeightsError, "compute with `python -m asr_core run --weights FILE` instead; the result appears here"
    )
    asked = known_weights.name_of(_digest(file), model, classes, image_size)
    known = known_weights.recall(store, asked)
    if known and (store.uploads / known.digest / WEIGHTS).is_file():
        return known
    with store.workspace() as part:
        path = part / f"weights{suffix}"
        with open(path, "wb") as copy:
            file.seek(0)
            while block := file.read(archives.COPY):
                copy.write(block)
        if suffix == ".safetensors":
            _check_safetensors(path)
        known = _tried(path, model, classes, image_size)
        _publish(path.with_name(KEPT), store.uploads / known.digest / WEIGHTS)
    return known_weights.remember(store, asked, known)


def weights_file(store: Store, digest: str) -> Path:
    """Where the weights of identity `digest` were kept, unread; raises WeightsError if they are not there."""
    path = store.uploads / digest / WEIGHTS
    if re.fullmatch("[0-9a-f]{8,64}", digest) and path.is_file():
        return path
    raise WeightsError(
        f"weights {digest} are not on this machine; upload their file again in the dashboard, or name it with --weights FILE."
    )


def _check_size(file: BinaryIO, kind: type, remedy: str) -> None:
    size = file.seek(0, os.SEEK_END)
    if not 0 < size <= LARGEST * 2**20:
        raise kind(
            f"the file has {size / 2**20:.0f} MB; it must hold something, and at most {LARGEST} MB. For a larger one, {remedy}."
        )


def _digest(file: BinaryIO) -> str:
    file.seek(0)
    return hashlib.file_digest(file, "sha256").hexdigest()


def _publish(made: Path, target: Path) -> None:
    """Move a finished file or folder to its place, unless another process was faster with the same content."""
    with disk_errors(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.rename(made, target)
        except OSError:
            if not target.is_dir():
                raise


def _check_safetensors(path: Path) -> None:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            names = list(file.keys())
    except (SafetensorError, OSError) as error:
        raise WeightsError(
            f"the file is no sound .safetensors ({' '.join(str(error).split())[:120]}); save the state_dict again."
        ) from None
    if not names:
        raise WeightsError("the file holds no tensor; save a state_dict into it.")


def _tried(path: Path, model: ModelSpec, classes: int, image_size: int) -> Known:
    """What the file is to its network, which a process tells that may import torch; raises WeightsError with its reason."""
    asked = json.dumps({"model": asdict(model), "classes": classes, "image_size": image_size})
    paths = os.pathsep.join(filter(None, (str(PROJECT), os.environ.get("PYTHONPATH"))))
    try:
        tried = subprocess.run(
            [sys.executable, "-m", "asr_core.networks.fit", path.name, asked],
            cwd=path.parent,
            timeout=PATIENCE,
            capture_output=True,
            text=True,
            errors="replace",
            env=os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        raise WeightsError(
            f"the file could not be read within {PATIENCE} s; save the state_dict again as .safetensors."
        ) from None
    said = tried.stdout.strip().splitlines()
    if tried.returncode:
        raise WeightsError(
            said[-1]
            if said
            else f"the file could not be read (exit {tried.returncode}); save the state_dict again as .safetensors."
        )
    found = json.loads(said[-1])
    return Known(found["digest"], tuple(found["notes"]))
