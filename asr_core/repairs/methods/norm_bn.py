"""The norm of each channel's weights as before."""

from asr_core.registry import register
from asr_core.repairs.methods import COMMON, Factors, RepairMethod, live, raw_factors


@register("repair method")
class WeightNorm(RepairMethod):
    """gamma = norm of the dense channel's weights over norm of those that are left: what variance matching would be if
    inputs were uncorrelated and equally large (cf. arXiv 1810.05723). Without the mean correction no image is
    needed; a channel without variance or weights keeps 1."""

    name = "norm_bn"
    label = "weight norm"
    needs = ("weights",)
    parameters = COMMON

    @classmethod
    def of_layer(cls, layer, params):
        import torch

        dense, pruned = (weight.flatten(1).norm(dim=1) for weight in (layer.dense_weight, layer.weight))
        alive = live(layer.v_dense, layer.v_pruned, params["floor"]) & (pruned > 0)
        ones = torch.ones_like(dense)
        gamma = torch.where(alive, dense / pruned.where(pruned > 0, 1.0), ones)
        return Factors(gamma, raw_factors(layer.v_dense, layer.v_pruned, params), ones)
