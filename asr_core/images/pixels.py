"""What a data set is, whatever it comes in: its pixels. A PNG tree and torchvision's archive of them are one.

Every image becomes RGB in 8 bits at its own size. Their sha256 orders the images of a split (by class, then by
digest), and names the whole.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from asr_core.images.splits import Split, reading

ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")
TRANSPARENT = "transparent"  # images that were put on white


def rgb(image: Any, seen: Counter | None = None) -> Any:
    """A PIL image in RGB, 8 bits a channel: 16-bit grey divided by 257, transparent pixels on white.

    seen: counts TRANSPARENT. Raises ValueError for floats and 32-bit integers: nothing tells which value is white.
    """
    image = _eight_bits(image)
    if image.mode in ALPHA or "transparency" in image.info:
        return _on_white(image, seen)
    return image.convert("RGB")


def _on_white(image: Any, seen: Counter | None) -> Any:
    from PIL import Image

    image = image.convert("RGBA")
    if image.getchannel("A").getextrema()[0] == 255:
        return image.convert("RGB")
    if seen is not None:
        seen[TRANSPARENT] += 1
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def _eight_bits(image: Any) -> Any:
    """The image with values up to 255, which `convert` would clip: of 16-bit grey ones, value / 257, rounded."""
    from PIL import Image

    sixteen = image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM"))
    if sixteen:
        return Image.fromarray(np.rint(np.asarray(image) / 257).astype(np.uint8))
    if image.mode in ("F", "I"):
        kind = "floats" if image.mode == "F" else "32-bit integers"
        raise ValueError(f"its pixels are {kind}, of which nothing tells what is white; save it with 8 or 16 bits")
    return image


def digests(split: Split, seen: Counter | None = None) -> list[bytes]:
    """sha256 of each image of a split: its width, height and RGB values. Raises DataError naming an unreadable one."""
    found = []
    for i in range(len(split.labels)):
        with reading(split, i):
            image = rgb(split.image(i), seen)
            content = hashlib.sha256(b"%d %d\n" % image.size)
            content.update(image.tobytes())
        found.append(content.digest())
    return found


def order(labels: Sequence[int] | np.ndarray, images: list[bytes]) -> np.ndarray:
    """The canonical order of a split: by label, then by digest; int64 (N,).

    >>> order([1, 0, 0], [b"a", b"c", b"b"]).tolist()
    [2, 1, 0]
    """
    return np.array(sorted(range(len(images)), key=lambda i: (int(labels[i]), images[i])), np.int64)


def ordered(split: Split, places: np.ndarray, names: list[str] | None = None) -> Split:
    """The images of a split at `places`, in that order; with other `names`, if given."""
    picked = [split.names[i] for i in places] if names is None else names
    return replace(split, labels=split.labels[places], names=picked, image=lambda i: split.image(places[i]))


def digest(*splits: tuple[np.ndarray, list[bytes]]) -> str:
    """16 hex digits that name a data set: sha256 over (labels, digests) of its splits, each in its canonical order."""
    whole = hashlib.sha256()
    for labels, images in splits:
        whole.update(b"%d\n" % len(images))
        for i in order(labels, images):
            whole.update(b"%d %s\n" % (labels[i], images[i]))
    return whole.hexdigest()[:16]
