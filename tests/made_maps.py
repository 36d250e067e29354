"""A real stored result of a small untrained network on the digits, made once per test run: results and maps without
training."""

import shutil
import tempfile
from functools import cache
from pathlib import Path

import torch

from asr_core.networks import models, weights
from asr_core.pipeline import maps
from asr_core.pipeline import run as experiment
from asr_core.spec.experiment import ExperimentSpec, Setting
from asr_core.spec.keys import recipe_key
from asr_core.spec.recalibration import NO_STATE, BatchNormState
from asr_core.spec.repairs import BN_ONLY, RepairSpec
from asr_core.store import Store
from asr_core.store.entries import WEIGHTS

RECALIBRATED = BatchNormState.of("reset", "ema", 0.1, 1)
SETTING = Setting.of(
    architecture="shufflenet_v2_x0_5",
    stem="small",
    epochs=1,
    sparsity=0.8,
    stat_images=16,
    calib_batch_size=16,
    eval_images=20,
)
SPEC = ExperimentSpec.of_setting(
    SETTING,
    repairs=(BN_ONLY, RepairSpec.of("lw_bn"), RepairSpec.of("asr_bn", "sequential", True)),
    states=(NO_STATE, RECALIBRATED),
)
LAYER = "stage2.0.branch2.0"
WANTED = maps.MapSpec(layer=LAYER, images=3)


@cache
def root() -> Path:
    """A cache with the result of SPEC and no maps; read-only by convention: copy it to change it."""
    folder = Path(tempfile.mkdtemp(prefix="asr-maps-"))
    store = Store(folder)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        state = models.build(SPEC.model, SPEC.data.classes, SPEC.data.image_size).state_dict()
    dense_id = weights.weights_identity(state)
    store.put("dense", dense_id, {WEIGHTS: state}, {"recipe": recipe_key(SPEC), "dense_id": dense_id})
    experiment.run(SPEC, store)
    return folder


def copy(folder: Path) -> Store:
    """A store in `folder` that a test may change."""
    shutil.copytree(root(), folder, dirs_exist_ok=True)
    return Store(folder)
