"""A small ConvNeXt for 32x32 images: a network without BatchNorm."""

from asr_core.networks.sources import NetworkSource
from asr_core.registry import register


@register("network source")
class SmallConvNeXts(NetworkSource):
    """small_convnext: depthwise convs, LayerNorm, and linear layers on the channels of each pixel."""

    name = "small_convnext"
    label = "small ConvNeXt"

    @classmethod
    def names(cls):
        return ("small_convnext",)

    @classmethod
    def batchnorm(cls, architecture):
        return False

    @classmethod
    def build(cls, architecture, params, classes, image_size):
        from asr_core.networks.small_convnext import SmallConvNeXt

        return SmallConvNeXt(classes)
