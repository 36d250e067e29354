"""Layer-wise repair, eq. 1."""

from asr_core.registry import register
from asr_core.repairs import Factors, RepairMethod, live, raw_factors, variance_ratio_root


@register("repair method")
class LayerWise(RepairMethod):
    """One scalar per layer, gamma_lw = sqrt(mean v_dense / (mean v_pruned + eps)), eq. 1. The paper calls
    it "REFLOW style"; REFLOW's own abstract describes BatchNorm recalibration, so the label names the equation."""

    name = "lw_bn"
    label = "LW+BN (eq. 1)"

    @staticmethod
    def factors(v_dense, v_pruned, params):
        import torch

        alive = live(v_dense, v_pruned, params["floor"])
        finite = v_dense.isfinite() & v_pruned.isfinite()
        count = finite.sum().clamp(min=1)
        mean_dense = (v_dense.where(finite, torch.zeros_like(v_dense)) / count).sum()
        mean_pruned = (v_pruned.where(finite, torch.zeros_like(v_pruned)) / count).sum()
        scalar = variance_ratio_root(mean_dense, mean_pruned, params["eps"], params["floor"])
        ones = torch.ones_like(v_dense)
        return Factors(torch.where(alive, scalar, ones), raw_factors(v_dense, v_pruned, params), ones)
