"""Channel-wise variance matching without shrinkage, eq. 4."""

from asr_core.registry import register
from asr_core.repairs.methods import Factors, RepairMethod, raw_factors


@register("repair method")
class ChannelWiseRaw(RepairMethod):
    """One factor per output channel, gamma_raw = sqrt(v_dense / (v_pruned + eps)), eq. 4, without shrinkage."""

    name = "raw_bn"
    label = "raw"
    default_bias = True

    @staticmethod
    def factors(v_dense, v_pruned, params):
        gamma_raw = raw_factors(v_dense, v_pruned, params)
        return Factors(gamma_raw, gamma_raw, gamma_raw.new_ones(len(gamma_raw)))
