"""A data set that is at hand but not decoded: labels, names and a function that opens image i."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, eq=False)
class Split:
    """One split: labels (N,) int64, a name for each image, and `image(i)` -> PIL image.

    Names of files are relative to `folder`.
    """

    labels: np.ndarray
    names: list[str]
    image: Callable
    folder: str = ""


@dataclass(frozen=True, eq=False)
class Opened:
    """A data set that is at hand but not decoded."""

    class_names: tuple[str, ...]
    train: Split
    test: Split
