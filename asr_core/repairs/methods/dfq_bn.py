"""The mean correction without an image, from BatchNorm's own parameters."""

from asr_core.registry import register
from asr_core.repairs.methods import Factors, RepairMethod, raw_factors


@register("repair method")
class DataFree(RepairMethod):
    """gamma = 1; to the bias goes what the removed weights gave in the mean: the sum over inputs and kernel positions
    of (W_dense - W_pruned) E[x], with E[x] of a BatchNorm and ReLU by the BatchNorm's scale and shift (DFQ, arXiv
    1906.04721). No image is needed, so both orders are the same. A conv whose input is anything else stays as it is."""

    name = "dfq_bn"
    label = "data-free mean"
    default_bias = True
    biases = (True,)
    needs = ("weights", "batchnorm")
    fallback_words = "the input is no ReLU of a BatchNorm, nothing is corrected in"

    @classmethod
    def of_layer(cls, layer, params):
        import torch

        ones = torch.ones_like(layer.v_dense)
        shift, known = torch.zeros_like(ones), layer.input_mean is not None
        if known:
            lost = (layer.dense_weight - layer.weight).sum((2, 3))  # (out, in / groups)
            means = layer.input_mean.reshape(-1, lost.shape[1])  # (groups, in / groups)
            shift = (lost.reshape(len(means), -1, lost.shape[1]) @ means[:, :, None]).flatten()
        gamma_raw = raw_factors(layer.v_dense, layer.v_pruned, params)
        return Factors(ones, gamma_raw, ones, fallback=not known, shift=shift)
