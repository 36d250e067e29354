"""Layer-wise repair, eq. 1."""

from asr_core.registry import register
from asr_core.repairs.methods import Factors, RepairMethod, raw_factors, variance_ratio_root


@register("repair method")
class LayerWise(RepairMethod):
    """One scalar per layer, gamma_lw = sqrt(mean v_dense / (mean v_pruned + eps)), eq. 1. The paper calls
    it "REFLOW style"; REFLOW's own abstract describes BatchNorm recalibration, so the label names the equation.
    All channels get it, dead ones too: they can come alive once the layers before them are repaired. A layer whose
    mean pruned variance is at or under the floor keeps 1."""

    name = "lw_bn"
    label = "LW (eq. 1)"

    @staticmethod
    def factors(v_dense, v_pruned, params):
        import torch

        finite = v_dense.isfinite() & v_pruned.isfinite()
        count = finite.sum().clamp(min=1)
        mean_dense, mean_pruned = (_mean(v.where(finite, v.new_zeros(())), count) for v in (v_dense, v_pruned))
        ones = torch.ones_like(v_dense)
        gamma = ones
        if mean_pruned > params["floor"]:
            gamma = ones * variance_ratio_root(mean_dense, mean_pruned, params["eps"], params["floor"])
        return Factors(gamma, raw_factors(v_dense, v_pruned, params), ones)


def _mean(v, count):
    """Sum over count, never above the largest value: channels that are all at the floor are at the floor together."""
    return (v / count).sum().minimum(v.max())
