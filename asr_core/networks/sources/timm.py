"""timm's networks (an optional requirement)."""

from asr_core.errors import ModelError
from asr_core.networks.sources import NetworkSource
from asr_core.registry import register

PREFIX = "timm:"
NEAREST = 3  # names that a message lists


@register("network source")
class TimmNetworks(NetworkSource):
    """timm:NAME, anything that timm builds with convs; `pip install timm` first."""

    name = "timm"
    label = "timm"
    foreign = True

    @classmethod
    def knows(cls, architecture):
        return architecture.startswith(PREFIX) and len(architecture) > len(PREFIX)

    @classmethod
    def build(cls, architecture, params, classes, image_size):
        name = architecture.removeprefix(PREFIX)
        try:
            import timm
        except ImportError as error:
            raise ModelError(f"{architecture} needs timm ({error}); pip install timm.") from None
        if not timm.is_model(name):
            near = timm.list_models(f"*{name.split('.')[0][:12]}*")[:NEAREST]
            hint = f"; it has {', '.join(near)}" if near else ""
            raise ModelError(f"timm {timm.__version__} has no network {name[:80]!r}{hint}.")
        return timm.create_model(name, pretrained=False, num_classes=classes)
