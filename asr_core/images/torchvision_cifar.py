"""CIFAR-10 and CIFAR-100 from torchvision's files."""

from pathlib import Path

from asr_core.images.download import download_errors
from asr_core.images.splits import Opened, Split

PAGE = "https://www.cs.toronto.edu/~kriz/cifar.html"


def opened(name: str, label: str, directory: Path) -> Opened:
    """torchvision's data set `name` (CIFAR10, CIFAR100) below `directory`, downloaded first if need be."""
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
