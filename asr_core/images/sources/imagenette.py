"""Imagenette, with val/ as the test split."""

from pathlib import Path

from asr_core.errors import DataError
from asr_core.images import trees
from asr_core.images.class_maps import IMAGENETTE
from asr_core.images.download import download_errors
from asr_core.images.sources import ImageSource
from asr_core.registry import register

PAGE = "https://github.com/fastai/imagenette"
FOLDERS = {"160px": "imagenette2-160", "320px": "imagenette2-320", "full": "imagenette2"}
MEGABYTES = {"160px": 99, "320px": 341, "full": 1557}
COUNTS = {"train": 9469, "val": 3925}


@register("image source")
class Imagenette(ImageSource):
    """Ten easy classes of ImageNet; torchvision downloads the smallest variant that is large enough."""

    name = "imagenette"
    label = "Imagenette"
    classes = 10
    sizes = (COUNTS["train"], COUNTS["val"])

    @classmethod
    def to_download(cls, data, store, directory):
        variant = variant_of(data.image_size)
        return 0 if (directory / FOLDERS[variant]).is_dir() else MEGABYTES[variant]

    @classmethod
    def open(cls, data, store, directory):
        from torchvision import datasets

        variant = variant_of(data.image_size)
        root, archive = directory / FOLDERS[variant], f"{FOLDERS[variant]}.tgz"
        with store.lock("download", cls.name):
            if not root.is_dir():
                with download_errors(cls.label, PAGE, archive, directory):
                    datasets.Imagenette(directory, size=variant, download=True)
            tree = _complete(root, archive)
        names = datasets.Imagenette(directory, size=variant).classes
        return trees.opened_tree(tree, tuple(synonyms[0] for synonyms in names))

    @classmethod
    def class_folders_of(cls, data, store, directory):
        return tuple(IMAGENETTE)


def variant_of(image_size: int) -> str:
    """The smallest variant whose shorter side is at least `image_size` pixels: 160px, 320px or full."""
    return "160px" if image_size <= 160 else "320px" if image_size <= 320 else "full"


def _complete(root: Path, archive: str) -> trees.Tree:
    """The tree at `root`; one that was unpacked only in part, which torchvision takes, is refused."""
    try:
        tree = trees.read_tree(root)
        counts = {split: len(files) for split, files in tree.files.items()}
    except DataError:
        counts = {}
    if counts != COUNTS:
        raise DataError(
            f"{root} is not complete: Imagenette has {COUNTS['train']:,} images in train/ and "
            f"{COUNTS['val']:,} in val/. Remove the folder and run again to unpack {archive} afresh."
        )
    return tree
