"""The parts of a setting: which images, what is pruned.

Each is frozen and validated; each field is declared once (asr_core.fields). Imports neither torch nor pandas.
"""

import math
import re
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from asr_core import registry
from asr_core.checks import as_number, digest
from asr_core.errors import SpecError
from asr_core.fields import Chosen, choice, declared, text, whole, worded

NORMALIZATIONS = ("dataset", "imagenet")


def _normalization(name: str, value: Any) -> str:
    if value in NORMALIZATIONS:
        return value
    parts = [part.split(",") for part in str(value).replace(" ", "").split("/")]
    numbers = [[as_number(one) for one in part] for part in parts]
    finite = all(math.isfinite(one) for part in numbers for one in part)
    if not finite or [len(part) for part in numbers] != [3, 3] or min(numbers[1]) <= 0:
        raise SpecError(
            f"{name} is {str(value)[:60]!r}; give {', '.join(NORMALIZATIONS)}, or means/standard deviations of values "
            "in [0, 1] such as 0.5,0.5,0.5/0.25,0.25,0.25 (the last three above 0)."
        )
    return "/".join(",".join(repr(one) for one in part) for part in numbers)


@dataclass(frozen=True, kw_only=True)
class DataSpec(Chosen):
    """Which images. `digest` names the content of a folder; a path is never identity."""

    kind: ClassVar[str] = "image source"

    dataset: str = declared(
        choice("digits", "Dataset", "Images that train, calibrate and test.", lambda: registry.names("image source"))
    )
    digest: str | None = declared(
        text(None, "Images", "Digest of a folder's pixels.", digest, optional=True, derived=True)
    )
    image_size: int = declared(
        whole(32, "Image side", "Side of the square input.", 8, 1024, unit="pixels", offered=(32, 64, 128, 224))
    )
    classes: int = declared(whole(None, "Classes", "Classes of a folder.", 2, optional=True, derived=True))
    normalization: str = declared(
        text(
            "dataset",
            "Normalisation",
            "Mean and standard deviation of inputs: of the training images (dataset), ImageNet's (imagenet), or given "
            "for values in [0, 1], as R,G,B/R,G,B.",
            _normalization,
            choices=NORMALIZATIONS,
        )
    )
    params: tuple[tuple[str, Any], ...] = ()

    @property
    def given_normalization(self) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
        """(means, standard deviations) where they are given as numbers.

        >>> DataSpec(normalization="0.5,0.5,0.5/1,1,1").given_normalization
        ((0.5, 0.5, 0.5), (1.0, 1.0, 1.0))
        """
        if self.normalization in NORMALIZATIONS:
            return None
        mean, std = (tuple(map(float, part.split(","))) for part in self.normalization.split("/"))
        return mean, std

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


def _patterns(name: str, value: Any) -> str:
    parts = [part.strip() for part in str(value).split(",") if part.strip()]
    if not parts or not all(re.fullmatch(r"[\w.*?\[\]!-]{1,100}", part) for part in parts):
        raise SpecError(f"{name} is {str(value)[:60]!r}; give names of layers with * and ?, such as conv1,layer1.*")
    return ",".join(sorted(set(parts)))


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
    ignore: str | None = declared(
        text(
            None,
            "Left out",
            "Layers that are neither pruned nor repaired: patterns of names, such as conv1,layer1.*",
            _patterns,
            optional=True,
            silent=True,
            words="without {}",
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
