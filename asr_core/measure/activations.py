"""The output maps of one conv, whole: for looking at single images. (Statistics stream, see `asr_core.measure.stats`.)"""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from torch import nn

from asr_core.errors import DataError, ModelError, SpecError
from asr_core.measure import guards, stats
from asr_core.networks import models
from asr_core.pipeline import maps

BYTES = 8 << 20  # of stored maps of one network and layer
PRECISE = 1e-3  # of a channel's largest value: what float16 may lose


def activation_maps(model: nn.Module, images, layer: str, channels=None) -> np.ndarray:
    """Output maps of conv `layer`: float32, shape (image, channel, H, W), before whatever follows the conv.

    images: tensor (N, 3, H, W), normalised as the network expects, or an iterable of such batches.
    channels: indices of output channels; None: all. Of a conv that runs several times, the first
    run. The network runs in eval mode and is not changed. Raises SpecError for an unknown layer or
    channel, DataError without images or for images of several sizes, ModelError if the conv does not run.
    """
    model = guards.network(model)
    convs = models.conv_layers(model)
    if layer not in list(convs):
        raise SpecError(maps.nearest_layer(str(layer), list(convs)))
    picked = _checked(channels, convs[layer].out_channels, layer)
    found = _first_runs(model, convs[layer], images, picked)
    if not found:
        raise DataError("no images were given, so there are no maps; give at least one.")
    if not all(found):
        raise ModelError(f"{layer} does not run as a module on these images, so it has no maps; choose another layer.")
    if len(sizes := {each[0].shape[1:] for each in found}) > 1:
        raise DataError(f"the maps have {len(sizes)} sizes, as the images have; give images of one size.")
    return np.concatenate([each[0] for each in found])


def _first_runs(model: nn.Module, conv: nn.Conv2d, images, picked: list[int]) -> list[list[np.ndarray]]:
    """Per batch, the picked channels of the conv's first run: a list of one, or an empty one where it does not run."""
    found: list[list[np.ndarray]] = []

    def keep(conv, _, output):
        if not found[-1]:
            found[-1].append(output[:, picked].float().cpu().numpy())

    handle = conv.register_forward_hook(keep)
    try:
        with stats.frozen(model):
            for batch in guards.batches(images, 8):
                found.append([])
                guards.forward(model, batch)
    finally:
        handle.remove()
    return found


def _checked(channels, count: int, layer: str) -> list[int]:
    """The channels as a list of indices; raises SpecError for one that the layer does not have."""
    if channels is not None and not isinstance(channels, Iterable):
        raise SpecError(f"channels is {channels!r}; give a list of output channels of {layer}, 0 to {count - 1}.")
    chosen = list(range(count)) if channels is None else list(channels)
    wrong = [channel for channel in chosen if isinstance(channel, bool) or channel not in range(count)]
    if wrong or not chosen:
        raise SpecError(f"channels is {wrong or chosen}; {layer} has {count} output channels, 0 to {count - 1}.")
    return [int(channel) for channel in chosen]


def compact(found: np.ndarray) -> np.ndarray:
    """As float16 where that keeps each channel to a thousandth of its largest value, else as float32."""
    with np.errstate(over="ignore", invalid="ignore"):
        half = found.astype(np.float16)
        lost = np.nan_to_num(np.abs(half.astype(np.float32) - found), nan=0.0)
    worth = np.abs(np.where(np.isfinite(found), found, 0)).max((0, 2, 3), initial=0.0)
    return half if (lost.max((0, 2, 3)) <= PRECISE * worth).all() else found


def one_of_each(indices: np.ndarray, labels: np.ndarray, count: int) -> np.ndarray:
    """`count` of `indices`: the first image of every class, then the second of every class, and so on. labels: of all images."""
    own = labels[indices]
    earlier = pd.Series(own).groupby(own).cumcount()
    return indices[np.lexsort((own, earlier))][:count]


def compute(lab, task: maps.MapTask):
    """Files and facts of a maps entry; fewer images than asked where the layer is large."""
    indices = one_of_each(
        lab.data.eval_indices(lab.spec.evaluation.eval_images, lab.spec.evaluation.seed),
        lab.data.test_labels,
        task.images,
    )
    batch = lab.data.test_batch(indices)
    model = lab.in_state(task)
    one = activation_maps(model, batch[:1], task.layer)
    fit = min(len(indices), max(1, BYTES // (one.nbytes // 2)))
    lab.report.advance(task.images)
    found = compact(activation_maps(model, batch[:fit], task.layer) if fit > 1 else one)
    files, labels = lab.data.test_files(), lab.data.test_labels
    return {"maps.npy": found}, {
        "layer": task.layer,
        "shape": list(found.shape),
        "test_images": [int(i) for i in indices[:fit]],
        "files": [files[i] for i in indices[:fit]],
        "classes": [lab.data.class_names[labels[i]] for i in indices[:fit]],
        "fewer": _why_fewer(task.images, len(indices), fit, one),
    }


def _why_fewer(asked: int, there: int, fit: int, one: np.ndarray) -> str | None:
    if fit < min(asked, there):
        size = " x ".join(str(side) for side in one.shape[1:])
        return f"{fit} of {asked} images are kept: maps of {size} values take {one.nbytes / 2 / 2**20:.1f} MiB per image, {BYTES >> 20} MiB are kept per network."
    return f"{there} of {asked} images: the evaluation subset has no more." if there < asked else None


def check(lab, layer: str) -> None:
    """Everything that can be refused before anything expensive: network, layer, weights, images."""
    spec = lab.spec
    model = models.outline(spec.model, spec.data.classes, spec.data.image_size)
    models.check_network(model)
    if layer not in (convs := models.conv_layers(model)):
        raise SpecError(maps.nearest_layer(layer, list(convs)))
    lab.check_own_weights(model)
    lab.data.check_counts(spec.calibration.stat_images, spec.evaluation.eval_images)
