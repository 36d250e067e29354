"""Adaptive Signal Resuscitation, eq. 4 to 8."""

from asr_core.registry import register
from asr_core.repairs.methods import (
    COMMON,
    PRIOR,
    PRIOR_VALUE,
    Factors,
    RepairMethod,
    live,
    prior_variance,
    raw_factors,
    shrunk,
)


@register("repair method")
class ASR(RepairMethod):
    """Channel-wise factors shrunk toward 1: shrinkage = v_pruned / (v_pruned + prior_var), eq. 6, and
    gamma = 1 + shrinkage * (gamma_raw - 1), eq. 7-8. The prior variance is the layer's median pruned
    variance (the lower middle of an even count, as torch.median), its mean, or a fixed value. Where it
    is at or under the floor the whole layer keeps factor 1."""

    name = "asr_bn"
    label = "ASR"
    default_bias = True
    parameters = COMMON | {"prior": PRIOR, "prior_value": PRIOR_VALUE}

    @staticmethod
    def factors(v_dense, v_pruned, params):
        gamma_raw = raw_factors(v_dense, v_pruned, params)
        prior_var = prior_variance(v_pruned, params)
        fallback = not prior_var > params["floor"]
        trusted = live(v_dense, v_pruned, params["floor"]) & (not fallback)
        # 1 / (1 + prior/v) rather than v / (v + prior): no overflow for huge variances
        shrinkage = (1 / (1 + prior_var / v_pruned)).where(trusted, v_pruned.new_zeros(()))
        return Factors(shrunk(gamma_raw, shrinkage), gamma_raw, shrinkage, prior_var, fallback)
