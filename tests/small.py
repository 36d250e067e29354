"""A small experiment, and how fast a machine may run it."""

from asr_core.spec.experiment import CalibrationSpec, DenseSpec, ExperimentSpec, ModelSpec, PruneSpec
from asr_core.spec.grid import RepairSpec, default_states

SMALL = ExperimentSpec(
    model=ModelSpec(architecture="mobilenet_v3_small"),
    dense=DenseSpec(epochs=1),
    prune=PruneSpec.of("global_l1", sparsity=0.5),
    calibration=CalibrationSpec(stat_images=64, calib_batch_size=64),
    repairs=(RepairSpec.of("bn_only"), RepairSpec.of("lw_bn"), RepairSpec.of("asr_bn", "sequential")),
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
