"""No repair before BatchNorm recalibration."""

from asr_core.registry import register
from asr_core.repairs.methods import RepairMethod


@register("repair method")
class BNOnly(RepairMethod):
    """Leaves weights and biases as pruning left them; only BatchNorm's running statistics are re-estimated."""

    name = "bn_only"
    label = "BN only"
    changes_weights = False
    parameters = {}
