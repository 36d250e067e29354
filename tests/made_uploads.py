"""Files as a user would upload them, and their trial without a process."""

import contextlib
import io
import subprocess
import zipfile

import numpy as np
import torch
from PIL import Image

from asr_core.networks import fit, models
from asr_core.spec.model import ModelSpec

MODEL = ModelSpec.of(architecture="shufflenet_v2_x0_5", stem="small")
TREE = [f"{split}/{name}/{i}.png" for split in ("train", "test") for name in ("cat", "dog") for i in range(2)]


def picture(value: int = 0) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((8, 8, 3), value, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def zipped(names=TREE, more=(), change=None) -> io.BytesIO:
    """A zip of small pictures under `names`, then (name, bytes) of `more`; `change(info)` edits each member."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in [*((name, picture(i)) for i, name in enumerate(names)), *more]:
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            if change:
                change(info)
            archive.writestr(info, content)
    return buffer


def state_of(classes: int = 10, seed: int = 0) -> dict:
    """The state_dict of an untrained MODEL."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return models.build(MODEL, classes, 32).state_dict()


def saved(state, kind: str = "new") -> io.BytesIO:
    """What torch.save writes, in its present or its `legacy` format."""
    buffer = io.BytesIO()
    torch.save(state, buffer, _use_new_zipfile_serialization=kind != "legacy")
    return buffer


def tried_here(command, *, cwd, **_) -> subprocess.CompletedProcess:
    """In place of subprocess.run: `python -m asr_core.networks.fit` in this process, for starting one imports torch for
    seconds."""
    assert command[1:3] == ["-m", "asr_core.networks.fit"]
    said = io.StringIO()
    with contextlib.chdir(cwd), contextlib.redirect_stdout(said):
        status = fit.main(*command[3:])
    return subprocess.CompletedProcess(command, status, said.getvalue())
