"""Where networks come from, one file each: architectures by name, and what of them can be chosen.

To add a source, add a file with a class derived from NetworkSource and decorated with `@register("network source")`.
Files import torch inside functions, so that names and help are readable without it.
"""

from typing import TYPE_CHECKING, Any

from asr_core.registry import Configurable

if TYPE_CHECKING:
    from torch import nn


class NetworkSource(Configurable):
    """Architectures by name. `parameters`: what can be chosen of them, such as a stem. foreign: built by code of
    somebody else's, of which nothing is known but what the built network says (`networks.own.identity`)."""

    foreign = False

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The architectures that can be listed."""
        return ()

    @classmethod
    def knows(cls, architecture: str) -> bool:
        """Whether the name is of this source, listed or not."""
        return architecture in cls.names()

    @classmethod
    def batchnorm(cls, architecture: str) -> bool:
        """Whether the network holds BatchNorm, which can be recalibrated; of a foreign one, which is asked itself
        (`ModelSpec.without_batchnorm`), True."""
        return True

    @classmethod
    def build(cls, architecture: str, params: dict[str, Any], classes: int, image_size: int) -> "nn.Module":
        """A randomly initialised network that takes (N, 3, image_size, image_size) and returns (N, classes).

        Weights come from the current torch generator. Raises ModelError.
        """
        raise NotImplementedError

    @classmethod
    def remedy(cls, architecture: str, params: dict[str, Any]) -> str:
        """What to use where the network cannot run on images of a size."""
        return "a larger image size"

    @classmethod
    def reason(cls, error: Exception) -> str:
        """What the network raised, in one line of bounded length."""
        return " ".join(str(error).split())[:160]
