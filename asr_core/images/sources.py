"""Where images come from: a bundled set, torchvision's downloaders, or a folder.

Each opener returns a `Source`: class names and, for each split, labels, names and a function that
opens image i. Nothing is decoded here.
"""

import os
import socket
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from io import BytesIO
from pathlib import Path

import numpy as np

from asr_core.errors import DataError
from asr_core.images import folders
from asr_core.spec.experiment import DataSpec
from asr_core.store import Store
from asr_core.store.entries import PROJECT

LABELS = {
    "digits": "scikit-learn digits",
    "cifar10": "CIFAR-10",
    "cifar100": "CIFAR-100",
    "imagenette": "Imagenette",
}
PAGES = {
    "cifar10": "https://www.cs.toronto.edu/~kriz/cifar.html",
    "cifar100": "https://www.cs.toronto.edu/~kriz/cifar.html",
    "imagenette": "https://github.com/fastai/imagenette",
}
DIGITS_TEST = 360  # of 1,797
IMAGENETTE = {"160px": "imagenette2-160", "320px": "imagenette2-320", "full": "imagenette2"}
IMAGENETTE_COUNTS = {"train": 9469, "val": 3925}
STALL_SECONDS = 30


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
class Source:
    """A data set that is at hand but not decoded."""

    class_names: tuple[str, ...]
    train: Split
    test: Split


def data_directory(data_dir: Path | str | None = None) -> Path:
    """Where torchvision's sets lie: `data_dir`, else `ASR_DATA_DIR`, else data/ beside the package."""
    return Path(data_dir or os.environ.get("ASR_DATA_DIR") or PROJECT / "data").expanduser()


def open_source(data: DataSpec, store: Store, data_dir: Path | str | None = None) -> Source:
    """The images that `data` names, downloaded first if need be; raises DataError."""
    if data.dataset == "digits":
        return _digits()
    if data.dataset == "folder":
        return _folder(folders.locate(data.digest, store))
    with store.lock("download", data.dataset):
        if data.dataset == "imagenette":
            return _imagenette(data.image_size, data_directory(data_dir))
        return _cifar(data.dataset, data_directory(data_dir))


def _digits() -> Source:
    """1,437 training and 360 test scans of 8x8 pixels; stratified split that no other seed moves."""
    from PIL import Image
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    scans = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    split = train_test_split(np.arange(len(scans)), test_size=DIGITS_TEST, random_state=0, stratify=digits.target)

    def part(indices):
        names = [f"digits[{i}]" for i in indices]
        return Split(digits.target[indices].astype(np.int64), names, lambda i: Image.fromarray(scans[indices[i]]))

    return Source(tuple(str(name) for name in digits.target_names), *(part(np.sort(indices)) for indices in split))


def _folder(tree: folders.Tree, splits: tuple[str, str] = ("train", "test"), class_names=None) -> Source:
    """An ImageFolder tree, in the order of its sorted relative paths."""

    def part(split):
        names = tree.files[split]
        labels = np.array(tree.labels(split), dtype=np.int64)
        return Split(labels, names, lambda i: _opened(f"{tree.root}/{names[i]}"), str(tree.root))

    return Source(class_names or tree.class_names, *map(part, splits))


def _opened(path: str):
    """A PIL image of bytes in memory: faster than a file handle, and none is left open on an error."""
    from PIL import Image

    with open(path, "rb", buffering=0) as file:
        return Image.open(BytesIO(file.read()))


def _cifar(name: str, directory: Path) -> Source:
    """CIFAR-10 or CIFAR-100 as torchvision keeps it; torchvision checks each file's md5."""
    from PIL import Image
    from torchvision import datasets

    kind = {"cifar10": datasets.CIFAR10, "cifar100": datasets.CIFAR100}[name]
    with _download_errors(name, kind.filename, directory):
        sets = [kind(directory, train=True, download=True), kind(directory, train=False)]

    def part(split, images):
        names = [f"{split}[{i}]" for i in range(len(images))]
        return Split(np.array(images.targets, dtype=np.int64), names, lambda i: Image.fromarray(images.data[i]))

    return Source(tuple(sets[0].classes), part("train", sets[0]), part("test", sets[1]))


def imagenette_variant(image_size: int) -> str:
    """The smallest variant whose shorter side is at least `image_size` pixels: 160px, 320px or full."""
    return "160px" if image_size <= 160 else "320px" if image_size <= 320 else "full"


def _imagenette(image_size: int, directory: Path) -> Source:
    """Imagenette, with val/ as the test split."""
    from torchvision.datasets import Imagenette

    variant = imagenette_variant(image_size)
    root, archive = directory / IMAGENETTE[variant], f"{IMAGENETTE[variant]}.tgz"
    if not root.is_dir():
        with _download_errors("imagenette", archive, directory):
            Imagenette(directory, size=variant, download=True)
    tree = _complete_imagenette(root, archive)
    names = Imagenette(directory, size=variant).classes
    return _folder(tree, ("train", "val"), tuple(synonyms[0] for synonyms in names))


def _complete_imagenette(root: Path, archive: str) -> folders.Tree:
    """The tree at `root`; one that was unpacked only in part, which torchvision takes, is refused."""
    try:
        tree = folders.read_tree(root, ("train", "val"))
        counts = {split: len(files) for split, files in tree.files.items()}
    except DataError:
        counts = {}
    if counts != IMAGENETTE_COUNTS:
        raise DataError(
            f"{root} is not complete: Imagenette has {IMAGENETTE_COUNTS['train']:,} images in train/ and "
            f"{IMAGENETTE_COUNTS['val']:,} in val/. Remove the folder and run again to unpack {archive} afresh."
        )
    return tree


@contextmanager
def _download_errors(name: str, archive: str, directory: Path):
    """Say what to do when torchvision cannot fetch or unpack; a stalled connection ends after 30 s."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(STALL_SECONDS)
    try:
        yield
    except (OSError, RuntimeError, HTTPException, EOFError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"cannot get {LABELS[name]}: {reason.rstrip('.')}. Download {archive} from {PAGES[name]} into {directory} "
            "and run again, or use images of your own: --dataset folder:PATH."
        ) from error
    finally:
        socket.setdefaulttimeout(before)
