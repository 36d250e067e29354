"""A small experiment, and how fast a machine may run it."""

from asr_core.spec.experiment import ExperimentSpec, Setting
from asr_core.spec.recalibration import default_states
from asr_core.spec.repairs import BN_ONLY, RepairSpec

SMALL = ExperimentSpec.of_setting(
    Setting.of(architecture="mobilenet_v3_small", epochs=1, sparsity=0.5, stat_images=64, calib_batch_size=64),
    repairs=(BN_ONLY, RepairSpec.of("lw_bn"), RepairSpec.of("asr_bn", "sequential")),
    states=default_states((2, 4)),
)
SPEED = {
    "start": 3.0,
    "build": 0.5,
    "assemble": 0.25,
    "evaluation": 0.001,
    "recalibration": 0.002,
    "stats": 0.003,
    "repair": 0.004,
    "train": 0.01,
    "decode": 0.0001,
}
