"""The residual networks of He et al. 2015 (arXiv 1512.03385), section 4.2, made for 32x32 images."""

from asr_core.networks.sources import NetworkSource
from asr_core.registry import register

DEPTHS = (20, 32, 44, 56, 110)


@register("network source")
class CifarResNets(NetworkSource):
    """cifar_resnet20 to cifar_resnet110: 16, 32 and 64 channels, zero-padded shortcuts, a stem and a head of their
    own."""

    name = "cifar"
    label = "CIFAR ResNets"

    @classmethod
    def names(cls):
        return tuple(f"cifar_resnet{depth}" for depth in DEPTHS)

    @classmethod
    def build(cls, architecture, params, classes, image_size):
        from asr_core.networks.cifar_resnet import CifarResNet

        return CifarResNet(int(architecture.removeprefix("cifar_resnet")), classes)
