"""The parts of a setting: which images, which network, how it came to be, what is pruned.

Each is frozen and validated; each field is declared once (asr_core.fields). Imports neither torch nor pandas.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Self

from asr_core import registry
from asr_core.checks import digest
from asr_core.errors import SpecError, UnknownName
from asr_core.fields import Part, choice, declarations, declared, text, whole

NORMALIZATIONS = ("dataset", "imagenet")


class Chosen(Part):
    """A part whose first field names something registered, which may declare parameters of its own.

    `params` holds them as sorted (name, value) pairs, `parameters` as a dict.
    """

    kind: ClassVar[str]
    params: tuple[tuple[str, Any], ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        named = self.chosen.named(**dict(self.params))
        object.__setattr__(self, "params", tuple(sorted(named.items())))

    @property
    def chosen(self) -> type[Any]:
        """The registered class."""
        return registry.get(self.kind, getattr(self, next(iter(declarations(type(self))))))

    @property
    def parameters(self) -> dict[str, Any]:
        """All parameters with their values."""
        return self.chosen.defaults() | dict(self.params)

    def values(self) -> dict[str, Any]:
        return super().values() | self.parameters

    def canonical(self) -> dict[str, Any]:
        own = {name: value for name, value in super().canonical().items() if name in declarations(type(self))}
        return own | {"params": self.params}

    @classmethod
    def of(cls, chosen: str | None = None, /, **values: Any) -> Self:
        """The part of a registered name and further fields or parameters; raises UnknownName for any other.

        >>> PruneSpec.of("erk", sparsity=0.5).words
        'ERK 50 %'
        """
        if chosen is not None:
            values = {next(iter(declarations(cls))): chosen} | values
        part = cls.pick(**values)
        for name in values:
            if name not in declarations(cls) and name not in part.chosen.parameters:
                raise UnknownName(f"parameter of {part.chosen.name}", name, part.chosen.parameters)
        return part

    @classmethod
    def pick(cls, **values: Any) -> Self:
        """The part of those `values` that are its fields or parameters of what they choose; None is not given."""
        part = super().pick(**values)
        given = {name: values[name] for name in part.chosen.parameters if values.get(name) is not None}
        values = Part.values(part) | {"params": tuple(given.items())}
        return cls(**values)

    @classmethod
    def foreign(cls, **values: Any) -> list[str]:
        """Names of given `values` that only other registered choices know."""
        part = super().pick(**values)
        return [
            n for n in registry.parameters(cls.kind) if values.get(n) is not None and n not in part.chosen.parameters
        ]


@dataclass(frozen=True, kw_only=True)
class DataSpec(Chosen):
    """Which images. `digest` names the content of a folder; a path is never identity."""

    kind: ClassVar[str] = "image source"

    dataset: str = declared(
        choice("digits", "Dataset", "Images that train, calibrate and test.", lambda: registry.names("image source"))
    )
    digest: str | None = declared(
        text(None, "Images", "Digest of a folder's content.", digest, optional=True, derived=True)
    )
    image_size: int = declared(
        whole(32, "Image side", "Side of the square input.", 8, 1024, unit="pixels", offered=(32, 64, 128, 224))
    )
    classes: int = declared(whole(None, "Classes", "Classes of a folder.", 2, optional=True, derived=True))
    normalization: str = declared(
        choice(
            "dataset",
            "Normalisation",
            "Mean and standard deviation of inputs: of the training images (dataset) or ImageNet's (imagenet).",
            NORMALIZATIONS,
        )
    )
    params: tuple[tuple[str, Any], ...] = ()

    @classmethod
    def pick(cls, **values: Any) -> Self:
        """As for every part; what only a folder has is let go with it."""
        folder = values.get("dataset") == "folder"
        return super().pick(**(values if folder else values | {"digest": None, "classes": None}))

    def check_together(self) -> None:
        fixed = self.chosen.classes
        if (self.dataset == "folder") != (self.digest is not None):
            raise SpecError("a folder needs the digest of its content, and only a folder has one; give folder:PATH.")
        if self.classes is None and fixed is None:
            raise SpecError(f"{self.dataset} needs its number of classes; give folder:PATH.")
        if None not in (self.classes, fixed) and self.classes != fixed:
            raise SpecError(f"{self.dataset} has {fixed} classes, not {self.classes}; leave classes out.")
        object.__setattr__(self, "classes", self.classes or fixed)


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


@dataclass(frozen=True, kw_only=True)
class ModelSpec(Chosen):
    """Which network: an architecture by name, and the parameters of the source that knows it (such as stem and
    head)."""

    kind: ClassVar[str] = "network source"

    architecture: str = declared(
        text("cifar_resnet20", "Architecture", "Name of a network.", _architecture, choices=architectures)
    )
    params: tuple[tuple[str, Any], ...] = ()

    @property
    def chosen(self) -> type[Any]:
        return source_of(self.architecture)

    @property
    def words(self) -> str:
        """The architecture and what of it is changed: 'vgg16_bn, linear head'."""
        return ", ".join([self.architecture, *worded(self)])


@dataclass(frozen=True, kw_only=True)
class PruneSpec(Chosen):
    """Which weights go: a rule of `asr_core.pruning` and its parameters."""

    kind: ClassVar[str] = "pruning rule"

    pruning: str = declared(
        choice(
            "global_l1",
            "Pruning",
            "Which weights go.",
            lambda: registry.names("pruning rule"),
            named=lambda name: registry.get("pruning rule", name).label,
            one="pruning rule",
        )
    )
    params: tuple[tuple[str, Any], ...] = ()

    @property
    def words(self) -> str:
        """The pruning in words: 'global L1 95 %', '2:4 (linear layers too)'."""
        rule, more = self.how
        sparsity = "" if "sparsity" not in self.parameters else f" {100 * self.parameters['sparsity']:g} %"
        return f"{rule}{sparsity}{more}"

    @property
    def how(self) -> tuple[str, str]:
        """How the network is pruned, without a sparsity: ('LAMP', ' (linear layers too)')."""
        named = self.chosen.title(self.parameters)
        more = worded(self, but=("sparsity", *self.chosen.titled))
        return named, f" ({', '.join(more)})" if more else ""


def worded(part: Part, but: tuple[str, ...] = ()) -> list[str]:
    """What of a part is not at its default, in words: ['linear head']."""
    known = declarations(type(part)) | (part.chosen.parameters if isinstance(part, Chosen) else {})
    own = list(part.parameters.items()) if isinstance(part, Chosen) else list(part.values().items())
    return [known[n].worded(v) for n, v in own if v != known[n].default and n not in but]
