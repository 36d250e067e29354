"""The factor of least squared error, per channel."""

from asr_core.registry import register
from asr_core.repairs.methods import COMMON, Factors, RepairMethod, live, raw_factors


@register("repair method")
class LeastSquaresScale(RepairMethod):
    """gamma = cov / (v_pruned + eps): the factor that brings a channel nearest to the dense output, over the same
    images and pixels. It is rho gamma_raw, so it shrinks what is noise, without a prior, and leaves v_dense (1 -
    rho^2). Where the two outputs go against each other it is negative, which BatchNorm does not absorb."""

    name = "ls_bn"
    label = "least-squares scale"
    default_bias = True
    needs = ("covariance",)
    parameters = COMMON

    @classmethod
    def of_layer(cls, layer, params):
        import torch

        gamma_raw = raw_factors(layer.v_dense, layer.v_pruned, params)
        alive = live(layer.v_dense, layer.v_pruned, params["floor"]) & layer.cov.isfinite()
        gamma = layer.cov / (layer.v_pruned + params["eps"])
        least = 1e-6 * gamma_raw  # a factor of exactly 0 would remove the channel's weights and so change the mask
        gamma = torch.where(gamma.abs() < least, least, gamma)
        ones = torch.ones_like(gamma)
        return Factors(torch.where(alive, gamma, ones), gamma_raw, ones)
