"""Networks of two convs."""

from asr_core.fields import whole
from asr_core.networks.sources import NetworkSource
from asr_core.registry import register


@register("network source")
class Toy(NetworkSource):
    """toy_net: two convs with BatchNorm, and a head."""

    name, label = "toy_networks", "toy networks"
    parameters = {"toy_width": whole(8, "Toy's width", "Channels of each conv of the toy network.", 2, 64)}

    @classmethod
    def names(cls):
        return ("toy_net",)

    @classmethod
    def build(cls, architecture, params, classes, image_size):
        from torch import nn

        ends = ((3, params["toy_width"]), (params["toy_width"], params["toy_width"]))
        parts = [m for a, b in ends for m in (nn.Conv2d(a, b, 3, 2, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU())]
        return nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(params["toy_width"], classes))
