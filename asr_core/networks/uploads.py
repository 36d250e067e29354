"""Weights sent to the dashboard: tried on their network in a process of their own, and kept. Imports no torch."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import BinaryIO

from asr_core.errors import WeightsError
from asr_core.networks import known_weights, suffixes
from asr_core.networks.known_weights import KEPT, Known
from asr_core.spec.model import ModelSpec
from asr_core.store import Store
from asr_core.store.entries import PROJECT, WEIGHTS
from asr_core.store.received import check_size, check_total, digest_of, is_whole, publish

COPY = 1 << 20  # bytes copied at a time
PATIENCE = 120  # seconds that a file may take to be tried


def keep_weights(store: Store, name: str, file: BinaryIO, model: ModelSpec, classes: int, image_size: int) -> Known:
    """Keep weights that fit the network; returns their identity (DenseSpec.weights_digest) and notes on how they were
    read.

    Kept is what the network takes of the file, as safetensors. name: of the uploaded file, for its suffix.
    image_size in pixels. Raises WeightsError, naming what does not fit, and StoreError.
    """
    suffix = suffixes.check_name(name)
    check_size(
        file, WeightsError, "compute with `python -m asr_core run --weights FILE` instead; the result appears here"
    )
    asked = known_weights.name_of(digest_of(file), model, classes, image_size)
    known = known_weights.recall(store, asked)
    if known and is_whole(store.uploads / known.digest):
        return known
    with store.workspace() as part:
        path = part / f"weights{suffix}"
        with open(path, "wb") as copy:
            file.seek(0)
            while block := file.read(COPY):
                copy.write(block)
        if suffix == ".safetensors":
            _check_safetensors(path)
        known = _tried(path, model, classes, image_size)
        check_total(store, path.with_name(KEPT), WeightsError)
        publish(store, path.with_name(KEPT), known.digest, WEIGHTS)
    return known_weights.remember(store, asked, known)


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
    """What the file is to its network, which a process tells that may import torch; raises WeightsError with its
    reason."""
    asked = json.dumps({"model": model.values(), "classes": classes, "image_size": image_size})
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
