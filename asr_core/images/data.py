"""Images for an experiment: decoded once into the store, in a fixed order, with fixed seeded choices.

`resolve` turns a name into a DataSpec, `load` a DataSpec into a `Dataset`: memory-mapped uint8
arrays, and batches of them as normalised float32 tensors. Training images calibrate, test images
evaluate; the two never mix.
"""

import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from asr_core import registry
from asr_core.checks import choose
from asr_core.errors import DataError
from asr_core.images import folders
from asr_core.images.decode import decode
from asr_core.images.download import data_directory
from asr_core.images.trees import Tree, read_tree
from asr_core.spec.digests import key
from asr_core.spec.parts import DataSpec
from asr_core.store import Store

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CALIBRATION, EVALUATION = 1, 2  # independent random streams


def resolve(dataset: str, store: Store, first: Callable[[Tree], None] | None = None, **values) -> DataSpec:
    """The DataSpec of a registered dataset, or of `folder:PATH`, with further fields as `values`.

    A folder is checked and its pixels digested (remembered in the store while its listing is unchanged), and is a
    registered dataset where its pixels are; what of it is left out is warned of. first: is called with a listed folder
    before its images are read. Raises UnknownName, SpecError, DataError.
    """
    path = _folder_of(dataset)
    if not path:
        every = [f"{name}:PATH" if name == "folder" else name for name in registry.names(DataSpec.kind)]
        return DataSpec.pick(dataset=choose("dataset", dataset, every), **values)
    DataSpec.pick(dataset="digits", **values)  # what else is wrong is said before a folder is read
    found = folders.identify(path, store, first)
    for note in found["notes"]:
        warnings.warn(f"{path}: {note}.", stacklevel=2)
    own = {"digest": found["digest"], "classes": found["classes"]} if found["dataset"] == "folder" else {}
    return DataSpec.pick(dataset=found["dataset"], **values | own)


def _folder_of(dataset: str) -> str:
    """The path in `folder:PATH`; '' for a registered name."""
    kind, _, path = dataset.partition(":")
    return path if kind == "folder" else ""


def label(data: DataSpec, store: Store) -> str:
    """Human name of the images, e.g. 'CIFAR-10'."""
    return data.chosen.label_of(data, store)


def counts(data: DataSpec, store: Store) -> tuple[int, int]:
    """Training and test images of `data`, nothing decoded; raises DataError for a folder never seen here."""
    return data.chosen.sizes_of(data, store)


def class_folders(dataset: str, data: DataSpec, store: Store) -> tuple[str, ...]:
    """Name of each class, or of its folder, in the order of the labels: of the folder that `dataset` names, since the
    same images may lie elsewhere under other names. Raises DataError for images that are not at hand."""
    if path := _folder_of(dataset):
        return read_tree(path).class_names
    return data.chosen.class_folders_of(data, store, data_directory(None))


def to_download(data: DataSpec, store: Store, data_dir: Path | str | None = None) -> int:
    """Megabytes to fetch before the images can be decoded; 0 where they are decoded or at hand."""
    if store.has("images", images_key(data)):
        return 0
    return data.chosen.to_download(data, store, data_directory(data_dir))


def class_names(data: DataSpec, store: Store) -> tuple[str, ...]:
    """Names of the classes, in the order of the labels, as far as they are known here: of decoded images, or the
    source's own; () else."""
    entry = store.find("images", images_key(data))
    return tuple(entry["class_names"]) if entry else data.chosen.class_names


def evaluated(tests: int, eval_images: int | None, subset: int) -> np.ndarray:
    """Which of `tests` test images an evaluation sees: all (None), or a fixed seeded subset, sorted.

    >>> evaluated(360, 3, 0)
    array([165, 184, 269])
    """
    if eval_images is None:
        return np.arange(tests)
    return np.sort(np.random.default_rng((EVALUATION, subset)).permutation(tests)[:eval_images])


def images_key(data: DataSpec) -> str:
    """Store key of the decoded images: all normalisations share them."""
    return key("images", replace(data, normalization="dataset"))


def load(data: DataSpec, store: Store, progress=None, data_dir: Path | str | None = None) -> "Dataset":
    """The images of `data`, decoded into the store if they are not there yet.

    `progress(stage, images)` is told how many more images are decoded. `data_dir` is where
    torchvision's sets lie (else `ASR_DATA_DIR`, else data/). Raises DataError, StoreError.
    """
    found = images_key(data)
    entry = store.find("images", found)
    if entry is None:
        with store.workspace() as scratch:

            def compute():
                source = data.chosen.open(data, store, data_directory(data_dir))
                return decode(source, data.image_size, label(data, store), scratch, progress)

            decoded = replace(data, normalization="dataset").values()
            entry = store.get_or_compute("images", found, compute, spec=decoded)
    labels = entry.arrays("labels")
    own = entry["mean"], entry["std"]
    known = {"dataset": own, "imagenet": (IMAGENET_MEAN, IMAGENET_STD)}
    mean, std = data.given_normalization or known[data.normalization]
    return Dataset(
        spec=data,
        label=entry["label"],
        class_names=tuple(entry["class_names"]),
        train_images=entry.array("train_images"),
        train_labels=labels["train"],
        test_images=entry.array("test_images"),
        test_labels=labels["test"],
        mean=tuple(mean),
        std=tuple(std),
        files_path=entry.path("test_files.json"),
    )


def _chosen(images: np.ndarray, indices) -> np.ndarray:
    """images[indices]. Of a mapped file they are read: each touched page would draw its neighbours into this process's
    memory."""
    if not isinstance(images, np.memmap):
        return images[indices]
    found = np.empty((len(indices), *images.shape[1:]), images.dtype)
    with open(str(images.filename), "rb", buffering=0) as file:
        for image, index in zip(found, indices, strict=True):
            file.seek(images.offset + int(index) * image.nbytes)
            file.readinto(image)
    return found


@dataclass(frozen=True, eq=False, kw_only=True)
class Dataset:
    """Decoded images in a fixed order.

    train_images, test_images: uint8 (N, H, W, 3), memory-mapped and read-only; labels: int64 (N,).
    mean, std: per channel, of values in [0, 1]: the training split's, ImageNet's or given ones, as
    `spec.normalization` says.
    """

    spec: DataSpec
    label: str
    class_names: tuple[str, ...]
    train_images: np.ndarray = field(repr=False)
    train_labels: np.ndarray = field(repr=False)
    test_images: np.ndarray = field(repr=False)
    test_labels: np.ndarray = field(repr=False)
    mean: tuple[float, ...]
    std: tuple[float, ...]
    files_path: Path = field(repr=False)

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    def test_files(self) -> list[str]:
        """Name of each test image: its path within the folder, or e.g. 'digits[17]'."""
        return json.loads(self.files_path.read_text())

    def batch(self, images: np.ndarray):
        """(x / 255 - mean) / std: uint8 (N, H, W, 3) -> float32 tensor (N, 3, H, W), channels_last."""
        import torch

        count, height, width, _ = images.shape
        pixels = height * width
        std = torch.tensor(self.std, dtype=torch.float64)
        std = torch.where(std > 0, std, 1.0)  # a channel that never changes is 0, not NaN
        scale = (1 / (255 * std)).float().repeat(pixels)
        shift = (-torch.tensor(self.mean, dtype=torch.float64) / std).float().repeat(pixels)
        values = torch.from_numpy(np.array(images, order="C")).view(count, pixels * 3).float()
        torch.addcmul(shift, values, scale, out=values)
        return values.view(count, height, width, 3).permute(0, 3, 1, 2)

    def train_batch(self, indices):
        """The training images at `indices` as one normalised batch."""
        return self.batch(_chosen(self.train_images, indices))

    def test_batch(self, indices):
        """The test images at `indices` as one normalised batch."""
        return self.batch(_chosen(self.test_images, indices))

    def check_counts(self, stat_images: int, eval_images: int | None) -> None:
        """Raise DataError if more statistics or test images are asked than there are."""
        n, tests = len(self.train_labels), len(self.test_labels)
        if stat_images > n:
            raise DataError(f"{stat_images} statistics images asked, {self.label} has {n} to train on; ask for fewer.")
        if eval_images is not None and eval_images > tests:
            raise DataError(f"{eval_images} test images asked, {self.label} has {tests}; ask for fewer, or for all.")

    def calibration_indices(self, count: int, seed: int) -> np.ndarray:
        """The first `count` of an endless seeded walk through the training split, int64 (count,).

        Each image comes once per shuffle; a shorter walk of the same seed is its beginning.
        """
        n = len(self.train_labels)
        shuffles = [np.random.default_rng((CALIBRATION, seed, k)).permutation(n) for k in range(-(-count // n))]
        return np.concatenate([np.empty(0, np.int64), *shuffles])[:count]

    def stat_batch(self, stat_images: int, seed: int):
        """The statistics images: the first `stat_images` of the walk, as one batch; raises DataError."""
        self.check_counts(stat_images, None)
        return self.train_batch(self.calibration_indices(stat_images, seed))

    def calibration_batches(self, count: int, batch_size: int, seed: int, skip: int = 0):
        """Yield the first `count` full batches of the walk, normalised, but for the first `skip` of them."""
        for indices in self.calibration_indices(count * batch_size, seed).reshape(count, batch_size)[skip:]:
            yield self.train_batch(indices)

    def eval_indices(self, eval_images: int | None, seed: int) -> np.ndarray:
        """All test images (None), or a fixed seeded subset of `eval_images`, sorted; raises DataError."""
        self.check_counts(0, eval_images)
        return evaluated(len(self.test_labels), eval_images, seed)
