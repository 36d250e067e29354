"""A user's own images and weights, uploaded: checked, bounded, and kept in the store by the digest of their content.

A name that came with an upload is never used as one here; what is kept is found again by its digest
alone. Imports no torch and unpickles nothing: a weights file is tried on its network in a process of
its own (`asr_core.fit`), with weights only.
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

from asr_core import archives, folders
from asr_core.entries import PROJECT, digest_file
from asr_core.errors import DataError, WeightsError
from asr_core.spec import ModelSpec
from asr_core.store import Store, disk_errors

LARGEST = 256  # MB of one upload; as server.maxUploadSize in .streamlit/config.toml
KINDS = (".safetensors", ".pt", ".pth")
PATIENCE = 120  # seconds that a file may take to be tried
DIGITS = 24  # of a digest, as in DenseSpec.weights_digest


def keep_images(store: Store, archive: BinaryIO) -> dict:
    """Unpack a zip of an ImageFolder tree into the store; returns what `folders.identify` says of it.

    Raises DataError (see archives.unpack), StoreError.
    """
    _check_size(archive, DataError, "name a folder on the server's machine instead")
    digest = _digest(archive)
    target = store.uploads / digest / f"upload-{digest[:8]}"
    if not target.is_dir():
        with store.workspace() as part:
            archives.unpack(archive, part / "images")
            _publish(part / "images", target)
    return folders.identify(target, store)


def keep_weights(store: Store, name: str, file: BinaryIO, model: ModelSpec, classes: int, image_size: int) -> str:
    """Keep a state_dict that fits the network; returns its digest (DenseSpec.weights_digest).

    name: of the uploaded file, for its suffix. image_size in pixels. Raises WeightsError, naming
    what does not fit, and StoreError.
    """
    kind = next((kind for kind in KINDS if name.lower().endswith(kind)), None)
    if kind is None:
        raise WeightsError(f"a weights file must end in {', '.join(KINDS)}; save a state_dict as one of them.")
    _check_size(
        file, WeightsError, "compute with `python -m asr_core run --weights FILE` instead; the result appears here"
    )
    digest = _digest(file)
    with store.workspace() as part:
        path = part / f"weights{kind}"
        with open(path, "wb") as copy:
            file.seek(0)
            while block := file.read(archives.COPY):
                copy.write(block)
        if kind == ".safetensors":
            _check_safetensors(path)
        _check_fit(path, model, classes, image_size)
        _publish(path, store.uploads / digest / path.name)
    return digest


def weights_file(store: Store, digest: str) -> Path:
    """The uploaded weights file with `digest`; raises WeightsError if it is not there or has changed."""
    places = (store.uploads / digest).glob("weights.*") if re.fullmatch(f"[0-9a-f]{{{DIGITS}}}", digest) else ()
    for path in places:
        if path.suffix in KINDS and digest_file(path)[:DIGITS] == digest:
            return path
    raise WeightsError(
        f"weights file {digest} is not on this machine; upload it again in the dashboard, or name it with --weights FILE."
    )


def _check_size(file: BinaryIO, kind: type, remedy: str) -> None:
    size = file.seek(0, os.SEEK_END)
    if not 0 < size <= LARGEST * 2**20:
        raise kind(
            f"the file has {size / 2**20:.0f} MB; it must hold something, and at most {LARGEST} MB. For a larger one, {remedy}."
        )


def _digest(file: BinaryIO) -> str:
    file.seek(0)
    return hashlib.file_digest(file, "sha256").hexdigest()[:DIGITS]


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


def _check_fit(path: Path, model: ModelSpec, classes: int, image_size: int) -> None:
    """Try the file on its network in a process that may import torch; raises WeightsError with its reason."""
    asked = json.dumps({"model": asdict(model), "classes": classes, "image_size": image_size})
    paths = os.pathsep.join(filter(None, (str(PROJECT), os.environ.get("PYTHONPATH"))))
    try:
        tried = subprocess.run(
            [sys.executable, "-m", "asr_core.fit", path.name, asked],
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
    if tried.returncode:
        said = tried.stdout.strip().splitlines()
        raise WeightsError(
            said[-1]
            if said
            else f"the file could not be read (exit {tried.returncode}); save the state_dict again as .safetensors."
        )
