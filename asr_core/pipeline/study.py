"""A network that lives in a notebook, through the whole experiment: its tables in memory, its results in the store."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from asr_core.errors import DataError, SpecError
from asr_core.measure import guards
from asr_core.networks import named
from asr_core.pipeline import asked
from asr_core.pipeline import run as pipeline
from asr_core.runtime import Runtime
from asr_core.store import Store
from asr_core.store.received import is_whole, publish
from asr_core.store.results import Result

Part = tuple[np.ndarray, np.ndarray]  # images, labels
LAYOUT = "give (train, test), each a pair (images, labels): uint8 (N, H, W, 3) and N class indices"


def study(
    network: nn.Module,
    images: str | tuple,
    *,
    name: str,
    store: Store | Path | str | None = None,
    device: str = "auto",
    **values: Any,
) -> Result:
    """Prune, repair, recalibrate and test a trained network, as `python -m asr_core run` does; returns its tables.

    images: a dataset (`"cifar10"`, `"folder:PATH"`), or ((train_images, train_labels), (test_images, test_labels)):
    uint8 (N, H, W, 3) and N class indices, not normalised: `normalization` says how they become inputs. name: a word by
    which the dashboard shows the results, as network `notebook:NAME`; the network itself is known by its weights and
    by what it does. store: of the results (None: the dashboard's own). values: fields of a setting and of its repairs,
    by their names on the command line (sparsity=0.9, methods=("asr_bn",), logits="out"). The network is not changed,
    and stays in this process: the dashboard shows what is stored, and computes no more of it. Figures draw from the
    tables (asr_core.figures). Raises AsrError, in one line, for whatever cannot be studied.

    >>> import tempfile
    >>> network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3),
    ...     nn.BatchNorm2d(8), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     found = study(network, "digits", name="mine", store=folder, sparsity=0.5, methods=("asr_bn",), budgets=(1,))
    >>> found.setting["model"]["architecture"], sorted(set(found.channels["layer"]))
    ('notebook:mine', ['0', '3'])
    """
    _check_values(values)
    store = store if isinstance(store, Store) else Store(store)
    store.check_writable()
    model = guards.copied(guards.network(network)).cpu().eval()
    architecture = named.hold(name, model)
    if not isinstance(images, str):
        parts = _parts(images)
        values["image_size"] = values.get("image_size") or min(parts[0][0].shape[1:3])
        images = f"folder:{_tree(parts, name, store)}"
    with store.workspace() as part:
        weights = _saved(model, part / "weights.safetensors")
        spec = asked.experiment(store, architecture=architecture, dataset=images, weights=weights, **values)
        return pipeline.run(spec, store, where=Runtime(device=device, weights=weights))


def _check_values(values: dict[str, Any]) -> None:
    if given := values.keys() & {"architecture", "dataset", "weights"}:
        raise SpecError(f"{min(given)} cannot be given: the network and the images say what it is.")


def _saved(model: nn.Module, path: Path) -> str:
    from safetensors.torch import save_file

    save_file({n: t.detach().clone().contiguous() for n, t in model.state_dict().items()}, path)
    return str(path)


def _parts(images: Any) -> tuple[Part, Part]:
    """The training and the test part of `images`, as LAYOUT says; raises DataError."""
    try:
        train, test = [(np.asarray(x), guards.class_labels(y)) for x, y in images]
    except (TypeError, ValueError):
        raise DataError(f"images are a {type(images).__name__} of another form; {LAYOUT}.") from None
    both = {"training": train, "test": test}
    for split, (x, y) in both.items():
        if x.dtype != np.uint8 or x.ndim != 4 or x.shape[-1] != 3 or len(x) != len(y) or x.size == 0:
            raise DataError(f"{split} images are {x.dtype} {x.shape} with {len(y)} labels; {LAYOUT}.")
    if len({*train[0].shape[1:3], *test[0].shape[1:3]}) > 1:
        sizes = " and ".join(f"{x.shape[1]}x{x.shape[2]}" for x, _ in (train, test))
        raise DataError(f"the images are {sizes} pixels; give squares, all of one size.")
    classes = int(max(train[1].max(), test[1].max())) + 1
    if classes < 2:
        raise DataError("all labels are 0; give images of at least 2 classes.")
    for split, (_, y) in both.items():
        if (present := len(np.unique(y))) < classes:
            raise DataError(f"{split} images have {present} of {classes} classes; give some of each in both parts.")
    return train, test


def _tree(parts: tuple[Part, Part], name: str, store: Store) -> Path:
    """The images as an ImageFolder tree of PNG files in the store, so that what is stored can be gone on with."""
    (x_train, y_train), (x_test, y_test) = parts
    whole = hashlib.sha256(f"{name} {x_train.shape} {x_test.shape}".encode())
    for part in (x_train, y_train, x_test, y_test):
        whole.update(part.tobytes())
    digest = whole.hexdigest()[:24]
    if not is_whole(store.uploads / digest):
        with store.workspace() as scratch:
            _write(scratch / "images" / "train", x_train, y_train)
            _write(scratch / "images" / "test", x_test, y_test)
            publish(store, scratch / "images", digest, name)
    return store.uploads / digest / name


def _write(folder: Path, images: np.ndarray, labels: np.ndarray) -> None:
    from PIL import Image

    digits = len(str(int(labels.max())))
    for i, (image, label) in enumerate(zip(images, labels, strict=True)):
        place = folder / f"{label:0{digits}d}"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place / f"{i:06d}.png")
