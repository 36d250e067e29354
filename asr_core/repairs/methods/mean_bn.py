"""The mean correction alone."""

from asr_core.registry import register
from asr_core.repairs.methods import Factors, RepairMethod, raw_factors


@register("repair method")
class MeanOnly(RepairMethod):
    """gamma = 1; only the bias is set so that each channel has the dense network's mean on the images (empirical bias
    correction: DFQ, arXiv 1906.04721)."""

    name = "mean_bn"
    label = "mean correction"
    default_bias = True
    biases = (True,)

    @staticmethod
    def factors(v_dense, v_pruned, params):
        import torch

        ones = torch.ones_like(v_dense)
        return Factors(ones, raw_factors(v_dense, v_pruned, params), ones)
