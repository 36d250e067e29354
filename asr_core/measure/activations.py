"""The output maps of one conv, whole: for looking at single images. (Statistics stream, see
`asr_core.measure.stats`.)"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from asr_core.checks import nearest_layer
from asr_core.errors import DataError, ModelError, SpecError
from asr_core.measure import guards, stats
from asr_core.measure.guards import Images
from asr_core.networks import models

PRECISE = 1e-3  # of a channel's largest value: what float16 may lose


def activation_maps(model: nn.Module, images: Images, layer: str, channels: Iterable[int] | None = None) -> np.ndarray:
    """Output maps of conv `layer`: float32, shape (image, channel, H, W), before whatever follows the conv.

    images: tensor (N, 3, H, W), normalised as the network expects, or an iterable of such batches.
    channels: indices of output channels; None: all. Of a conv that runs several times, the first
    run. The network runs in eval mode and is not changed. Raises SpecError for an unknown layer or
    channel, DataError without images or for images of several sizes, ModelError if the conv does not run.

    >>> from asr_core.networks.cifar_resnet import CifarResNet
    >>> activation_maps(CifarResNet(20, 10), torch.randn(2, 3, 32, 32), "conv1", channels=[0, 5]).shape
    (2, 2, 32, 32)
    """
    model = guards.network(model)
    convs = models.conv_layers(model)
    if layer not in list(convs):
        raise SpecError(nearest_layer(str(layer), list(convs)))
    picked = _checked(channels, len(convs[layer].weight), layer)
    found = _first_runs(model, convs[layer], images, picked)
    if not found:
        raise DataError("no images were given, so there are no maps; give at least one.")
    if not all(found):
        raise ModelError(f"{layer} does not run as a module on these images, so it has no maps; choose another layer.")
    if len(sizes := {each[0].shape[1:] for each in found}) > 1:
        raise DataError(f"the maps have {len(sizes)} sizes, as the images have; give images of one size.")
    return np.concatenate([each[0] for each in found])


def _first_runs(model: nn.Module, conv: nn.Conv2d, images: Images, picked: list[int]) -> list[list[np.ndarray]]:
    """Per batch, the picked channels of the conv's first run: a list of one, or an empty one where it does not run."""
    found: list[list[np.ndarray]] = []

    def keep(conv: nn.Module, _: Any, output: torch.Tensor) -> None:
        if not found[-1]:
            found[-1].append(stats.as_image(conv, output)[:, picked].float().cpu().numpy())

    handle = conv.register_forward_hook(keep, prepend=True)
    try:
        with stats.frozen(model):
            for batch in guards.batches(images, 8):
                found.append([])
                guards.forward(model, batch)
    finally:
        handle.remove()
    return found


def _checked(channels: Any, count: int, layer: str) -> list[int]:
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
    """`count` of `indices`: the first image of every class, then the second of every class, and so on. labels: of all
    images."""
    own = labels[indices]
    earlier = pd.Series(own).groupby(own).cumcount()
    return indices[np.lexsort((own, earlier))][:count]
