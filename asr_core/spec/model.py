"""The part of a setting that says which network. Imports neither torch nor pandas."""

import re
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from asr_core import registry
from asr_core.checks import digest
from asr_core.errors import SpecError, UnknownName
from asr_core.fields import Chosen, declared, flag, text, whole, worded


def architectures() -> list[str]:
    """Names of all architectures that the sources of networks list."""
    return [
        name for source in registry.names("network source") for name in registry.get("network source", source).names()
    ]


def _architecture(name: str, value: Any) -> str:
    source_of(value)
    return value


def source_of(architecture: str) -> type[Any]:
    """The source of networks that knows `architecture`; raises UnknownName."""
    for name in registry.names("network source"):
        if registry.get("network source", name).knows(architecture):
            return registry.get("network source", name)
    raise UnknownName("architecture", architecture, architectures())


def _logits(name: str, value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"-?\d{1,3}|[A-Za-z_]\w{0,60}", value):
        raise SpecError(f"{name} is {str(value)[:60]!r}; give the key (a word) or the index of the logits.")
    return value


def _class_map(name: str, value: Any) -> str:
    parts = str(value).replace(" ", "").split(",")
    if len(parts) < 2 or not all(re.fullmatch(r"\d{1,6}", part) for part in parts):
        raise SpecError(f"{name} is {str(value)[:60]!r}; give one output for each class, such as 0,217,482.")
    if len({int(part) for part in parts}) < len(parts):
        raise SpecError(f"{name} gives two classes one output; give each class its own.")
    return ",".join(str(int(part)) for part in parts)


@dataclass(frozen=True, kw_only=True)
class ModelSpec(Chosen):
    """Which network: an architecture by name, and the parameters of the source that knows it (such as stem and
    head)."""

    kind: ClassVar[str] = "network source"

    architecture: str = declared(
        text(
            "cifar_resnet20",
            "Architecture",
            "A name of torchvision, cifar_resnet20 and its kin, small_convnext, timm:NAME, or a function that returns "
            "the network: package.module:function or file.py:function (on a server, those that its owner names).",
            _architecture,
            choices=architectures,
        )
    )
    network_digest: str | None = declared(
        text(None, "Network", "Digest of what an own network does.", digest, optional=True, derived=True, silent=True)
    )
    without_batchnorm: bool = declared(
        flag(
            "Without BatchNorm",
            "Whether a network of timm or of one's own has no BatchNorm to recalibrate, as it says itself.",
            derived=True,
            silent=True,
        )
    )
    logits: str | None = declared(
        text(
            None,
            "Logits",
            "Key or index of the logits, of a network that returns a dict or tuple.",
            _logits,
            optional=True,
            none="what it returns",
            silent=True,
            words="logits {}",
        )
    )
    outputs: int | None = declared(
        whole(
            None,
            "Outputs",
            "Outputs of the head, where they are more than the images' classes (with a class map).",
            2,
            10**6,
            optional=True,
            none="one for each class",
            silent=True,
            words="{} outputs",
        )
    )
    class_map: str | None = declared(
        text(
            None,
            "Class map",
            "The head's output of each class, in the order of the classes, such as 0,217,482.",
            _class_map,
            optional=True,
            none="none",
            silent=True,
            words="classes mapped",
        )
    )
    params: tuple[tuple[str, Any], ...] = ()

    @property
    def chosen(self) -> type[Any]:
        return source_of(self.architecture)

    @property
    def batchnorm(self) -> bool:
        """Whether there is BatchNorm to recalibrate: of one of its own networks a source says it, any other itself.

        >>> ModelSpec.of("cifar_resnet20").batchnorm, ModelSpec.of("small_convnext").batchnorm
        (True, False)
        >>> ModelSpec.of("timm:convnext_atto", without_batchnorm=True).batchnorm
        False
        """
        return not self.without_batchnorm and self.chosen.batchnorm(self.architecture)

    @property
    def columns(self) -> tuple[int, ...]:
        """The head's output of each class, in the order of the classes; empty without a map."""
        return tuple(map(int, self.class_map.split(","))) if self.class_map else ()

    def check_together(self) -> None:
        if (self.class_map is None) != (self.outputs is None):
            raise SpecError("a head of more outputs than classes needs both: class_map, and outputs, their number.")
        if self.outputs is not None and max(self.columns) >= self.outputs:
            raise SpecError(f"class_map names output {max(self.columns)}; outputs is {self.outputs}, so 0 to the last.")

    @classmethod
    def pick(cls, **values: Any) -> Self:
        """As for every part; what only a network of somebody else's code says of itself is let go with it."""
        foreign = ":" in (values.get("architecture") or "")
        return super().pick(**(values if foreign else values | {"network_digest": None, "without_batchnorm": None}))

    @property
    def words(self) -> str:
        """The architecture and what of it is changed: 'vgg16_bn, linear head'."""
        return ", ".join([self.architecture, *worded(self)])
