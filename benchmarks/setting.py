"""The setting to measure: one experiment, its stores, and the same images as torch data sets."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.utils.data import Dataset, Subset, TensorDataset
from torchvision import transforms
from torchvision.datasets import ImageFolder

from asr_core.images import data, pixels
from asr_core.images.splits import Split
from asr_core.images.trees import opened_tree, read_tree
from asr_core.networks import models
from asr_core.pipeline import asked
from asr_core.spec.experiment import ExperimentSpec
from asr_core.spec.keys import Keys
from asr_core.spec.recalibration import NO_STATE
from asr_core.spec.repairs import DENSE, NO_REPAIR
from asr_core.store import Store
from asr_core.store.entries import WEIGHTS
from benchmarks import straightforward


@dataclass(frozen=True)
class Asked:
    """Options of `asr_core run` that differ from its defaults, by their names there."""

    options: dict

    def spec(self, store: Store) -> ExperimentSpec:
        """The experiment they describe."""
        return asked.experiment(store, **self.options)

    def command(self) -> list[str]:
        """The same on the command line."""
        words = []
        for name, value in self.options.items():
            text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
            words += [f"--{name.replace('_', '-')}", text] if not isinstance(value, bool) else _flag(name, value)
        return words


def _flag(name: str, value: bool) -> list[str]:
    return [f"--{name.replace('_', '-')}"] if value else []


def with_dense_only(source: Store, root: Path, dense_id: str) -> Store:
    """A new store at `root` that holds only the dense network and the decoded images of `source`."""
    dense = source.find("dense", dense_id, WEIGHTS).folder  # perhaps a shipped one
    for folder, name in ((source.root / "images", "images"), (dense, f"dense/{dense_id}")):
        shutil.copytree(folder, root / name, copy_function=_link)
    if (source.root / "sources.json").exists():
        shutil.copy(source.root / "sources.json", root)
    return Store(root)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another disk
        shutil.copy2(source, target)


def dense_network(spec: ExperimentSpec, store: Store, dense_id: str) -> torch.nn.Module:
    """The stored dense network in eval mode, channels_last."""
    return models.with_weights(
        spec.model, spec.data.classes, spec.data.image_size, store.find("dense", dense_id, WEIGHTS).weights()
    )


def image_sets(images: data.Dataset, folder: str | None) -> tuple[Dataset, Dataset]:
    """(train, test) as a reader would open them, in the order of `images`: an ImageFolder tree, else tensors in
    memory."""
    if folder is None:
        pairs = ((images.train_images, images.train_labels), (images.test_images, images.test_labels))
        return tuple(TensorDataset(images.batch(x).contiguous(), torch.from_numpy(y.copy())) for x, y in pairs)
    size = images.spec.image_size
    steps = [transforms.ToTensor(), transforms.Normalize(images.mean, images.std)]
    first = ImageFolder(Path(folder, "train"))[0][0]
    if first.size != (size, size):
        steps = [transforms.Resize(size), transforms.CenterCrop(size), *steps]
    tree, change = read_tree(folder), transforms.Compose(steps)
    opened = opened_tree(tree)
    parts = zip(tree.splits, (opened.train, opened.test), strict=True)
    return tuple(_ordered(ImageFolder(tree.root / name, change), split) for name, split in parts)


def _ordered(found: ImageFolder, split: Split) -> Dataset:
    """The images of a folder in the order that they have in an experiment: by class, then by their pixels."""
    places = {path: place for place, (path, _) in enumerate(found.samples)}
    order = pixels.order(split.labels, pixels.digests(split))
    return Subset(found, [places[f"{split.folder}/{split.names[i]}"] for i in order])


def straightforward_setting(spec: ExperimentSpec, images: data.Dataset, folder: str | None) -> straightforward.Setting:
    """The other side's setting: the same images in the same order, the same grid."""
    calibration = spec.calibration
    train, test = image_sets(images, folder)
    count = spec.max_batches * calibration.calib_batch_size
    return straightforward.Setting(
        train=train,
        test=test,
        sparsity=spec.prune.parameters["sparsity"],
        stat_indices=images.calibration_indices(calibration.stat_images, calibration.draw).tolist(),
        calib_indices=images.calibration_indices(count, calibration.draw).tolist(),
        eval_indices=images.eval_indices(spec.evaluation.eval_images, spec.evaluation.subset).tolist(),
        methods=tuple(dict.fromkeys(repair.method for repair in spec.repairs)),
        budgets=tuple(sorted({state.calib_batches for state in spec.states} - {0})),
        calib_batch_size=calibration.calib_batch_size,
    )


def predictions(spec: ExperimentSpec, store: Store, dense_id: str) -> dict:
    """Stored predictions by (method, order, bias, start, averaging, b), as `straightforward.Outcome` names them."""
    keys, found = Keys(spec, dense_id), {}
    recalibrated = [state for state in spec.states if state.calib_batches]
    wanted = [(DENSE, state) for state in (NO_STATE, *recalibrated)] + [(NO_REPAIR, NO_STATE)]
    wanted += [(repair, state) for repair in spec.repairs for state in spec.states]
    for network, state in wanted:
        entry = store.find("evaluation", keys.evaluation(network, state))
        name = (network.method, network.order, network.bias, state.start, state.averaging, state.calib_batches)
        found[name] = entry.arrays("predictions")["predictions"]
    return found
