"""A data set that is at hand but not decoded: labels, names and a function that opens image i."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from asr_core.errors import DataError

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


@contextmanager
def reading(split: Split, i: int) -> Iterator[None]:
    """Name the image that cannot be read, whatever Pillow raises: OSError, SyntaxError, struct.error, ..."""
    try:
        yield
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        if type(error).__name__ == "UnidentifiedImageError":  # its text names a buffer, not the file
            reason = "no image format that Pillow knows"
        path = Path(split.folder, split.names[i])
        raise DataError(f"image {path} cannot be read: {reason.rstrip('.')}. Mend or remove the file.") from error
