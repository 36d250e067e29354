"""Networks of the user's own: a function that returns an nn.Module."""

from asr_core.networks import named
from asr_core.networks.sources import NetworkSource
from asr_core.registry import register


@register("network source")
class OwnNetworks(NetworkSource):
    """package.module:function or file.py:function, which returns an nn.Module; called with num_classes and image_size
    where it takes them. On a server only those that its owner names."""

    name = "own"
    label = "own networks"
    foreign = True

    @classmethod
    def names(cls):
        return named.listed()

    @classmethod
    def knows(cls, architecture):
        return named.is_own(architecture)

    @classmethod
    def build(cls, architecture, params, classes, image_size):
        from asr_core.networks.own import built

        return built(architecture, classes, image_size)

    @classmethod
    def remedy(cls, architecture, params):
        return "images of the size that it was made for, or mend it"

    @classmethod
    def reason(cls, error):
        from asr_core.networks.own import said

        return said(error).rstrip(".")
