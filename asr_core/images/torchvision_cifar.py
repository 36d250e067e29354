"""CIFAR-10 and CIFAR-100: from a folder that holds their pixels, else from torchvision's files."""

from contextlib import suppress
from pathlib import Path

from asr_core.errors import ImagesAbsent
from asr_core.images import folders
from asr_core.images.download import download_errors
from asr_core.images.splits import Opened, Split
from asr_core.store import Store

PAGE = "https://www.cs.toronto.edu/~kriz/cifar.html"

# torchvision's archive, unpacked and packed
FILES = {
    "CIFAR10": ("cifar-10-batches-py", "cifar-10-python.tar.gz"),
    "CIFAR100": ("cifar-100-python", "cifar-100-python.tar.gz"),
}


def opened(name: str, label: str, digest: str, store: Store, directory: Path) -> Opened:
    """The data set in its canonical order: a folder seen before whose pixels have `digest`, else torchvision's `name`
    (CIFAR10, CIFAR100) below `directory`, downloaded first if need be. Names are the same for both: test[17]."""
    try:
        found = folders.opened(digest, store)
    except ImagesAbsent:
        found = _canonical(_torchvision(name, label, directory))
    return Opened(found.class_names, _named("train", found.train), _named("test", found.test))


def at_hand(name: str, digest: str, store: Store, directory: Path) -> bool:
    """Whether `opened` would fetch nothing: a folder seen before holds the pixels, or torchvision's files lie there."""
    with suppress(ImagesAbsent):
        return bool(folders.locate(digest, store))
    return any((directory / file).exists() for file in FILES[name])


def _torchvision(name: str, label: str, directory: Path) -> Opened:
    import numpy as np
    from PIL import Image
    from torchvision import datasets

    kind = getattr(datasets, name)
    with download_errors(label, PAGE, kind.filename, directory):
        sets = [kind(directory, train=True, download=True), kind(directory, train=False)]

    def part(split, images):
        names = [f"{split}[{i}]" for i in range(len(images))]
        return Split(np.array(images.targets, dtype=np.int64), names, lambda i: Image.fromarray(images.data[i]))

    return Opened(tuple(sets[0].classes), part("train", sets[0]), part("test", sets[1]))


def _canonical(found: Opened) -> Opened:
    from asr_core.images.pixels import digests, order, ordered

    def part(split: Split) -> Split:
        return ordered(split, order(split.labels, digests(split)))

    return Opened(found.class_names, part(found.train), part(found.test))


def _named(name: str, split: Split) -> Split:
    from dataclasses import replace

    return replace(split, names=[f"{name}[{i}]" for i in range(len(split.labels))], folder="")
