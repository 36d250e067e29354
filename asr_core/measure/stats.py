"""Per-channel mean and variance of conv outputs, streamed: activations are never kept."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from asr_core.errors import DataError, ModelError
from asr_core.measure import guards, sums
from asr_core.measure.guards import Images
from asr_core.networks import models


@dataclass
class Moments:
    """Count, mean and sum of squared deviations per channel: float64 tensors of shape (channel,)."""

    count: int
    mean: torch.Tensor
    m2: torch.Tensor

    @property
    def variance(self) -> torch.Tensor:
        """Variance dividing by N*H*W, activation units squared."""
        return self.m2 / self.count

    def merge(self, other: "Moments") -> "Moments":
        """Moments of both samples together (Chan, Golub, LeVeque 1979)."""
        count = self.count + other.count
        delta = other.mean - self.mean
        mean = self.mean + delta * (other.count / count)
        m2 = self.m2 + other.m2 + delta * delta * (self.count * (other.count / count))
        return Moments(count, mean, m2)


def moments(output: torch.Tensor) -> Moments:
    """Moments of one conv output (N, C, H, W) over batch and space, accumulated in float64."""
    return moments_of_rows(sums.rows_of(output))


def moments_of_rows(rows: torch.Tensor) -> Moments:
    """Moments of rows (pixel, channel); exactly no variance of a constant channel."""
    shift = rows[0].double()
    return of_sums(len(rows), shift, *sums.summed(rows, shift))


def of_sums(count: int, shift: torch.Tensor, total: torch.Tensor, squares: torch.Tensor) -> Moments:
    """Moments of values from sums of them, less a shift, and of its squares: float64 (channel,)."""
    return Moments(count, shift + total / count, (squares - total * (total / count)).clamp(min=0))


@contextmanager
def frozen(model: nn.Module) -> Iterator[nn.Module]:
    """Run `model` in eval mode without gradients; its modes are as before afterwards."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            yield model
    finally:
        for module, mode in modes:
            module.training = mode


def as_image(layer: nn.Module, values: torch.Tensor) -> torch.Tensor:
    """Input or output of a layer as (N, C, H, W); of a conv that took a single image (C, H, W), of a linear layer
    (N, H, W, C), or (N, tokens, C) with W = 1."""
    if not isinstance(layer, nn.Linear):
        return values if values.ndim == 4 else values.unsqueeze(0)
    if values.ndim == 4:
        return values.movedim(-1, 1)
    return values.reshape(len(values), -1, values.shape[-1]).movedim(-1, 1).unsqueeze(-1)


def _as_given(layer: nn.Module, values: torch.Tensor | None, like: torch.Tensor) -> torch.Tensor | None:
    """The inverse of `as_image`, in the shape of `like`; None stays."""
    if values is None:
        return None
    if not isinstance(layer, nn.Linear):
        return values if values.ndim == like.ndim else values.squeeze(0)
    return values.movedim(1, -1).reshape(like.shape)


@contextmanager
def hooked(model: nn.Module, hook: Callable[..., Any]) -> Iterator[None]:
    """Call `hook(name, layer, output, input)` after each layer of `models.conv_layers`, both `as_image`, before hooks
    that the layer has already; what it returns replaces the output (unless None)."""

    def seen(layer: nn.Module, given: tuple, named: dict[str, torch.Tensor], output: torch.Tensor, name: str) -> Any:
        values = as_image(layer, input_of(given, named))
        return _as_given(layer, hook(name, layer, as_image(layer, output), values), output)

    layers = models.conv_layers(model).items()
    handles = [
        layer.register_forward_hook(partial(seen, name=n), prepend=True, with_kwargs=True) for n, layer in layers
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def input_of(given: tuple, named: dict[str, torch.Tensor]) -> torch.Tensor:
    """What a layer was called with, `layer(x)` or `layer(input=x)`."""
    return given[0] if given else named["input"]


def collect(model: nn.Module, images: Images) -> dict[str, Moments]:
    """Moments of each conv's output over all `images`, by layer name in execution order.

    images: as `guards.batches` takes. A conv that does not run as a module is left out. Raises DataError without
    images, ModelError if the network cannot run on them, or no conv runs.
    """
    found: dict[str, Moments] = {}
    ran = False

    def add(name: str, conv: nn.Module, output: torch.Tensor, given: Any = None) -> None:
        new = moments(output)
        found[name] = found[name].merge(new) if name in found else new

    with frozen(model), hooked(model, add):
        for batch in guards.batches(images):
            guards.forward(model, batch)
            ran = True
    if not ran:
        raise DataError(guards.NO_IMAGES)
    if not found:
        raise ModelError(f"no Conv2d of {type(model).__name__} runs as a module; give a network that calls its convs.")
    return {name: Moments(m.count, m.mean.cpu(), m.m2.cpu()) for name, m in found.items()}


def stats_table(collected: dict[str, Moments]) -> pd.DataFrame:
    """Columns layer, channel, mean, variance: one row per channel, layers in execution order."""
    sizes = [len(m.mean) for m in collected.values()]
    return pd.DataFrame(
        {
            "layer": np.repeat(list(collected), sizes),
            "channel": np.concatenate([np.arange(size) for size in sizes]),
            "mean": torch.cat([m.mean for m in collected.values()]).numpy(),
            "variance": torch.cat([m.variance for m in collected.values()]).numpy(),
        }
    )


def from_table(table: pd.DataFrame, count: dict[str, int]) -> dict[str, Moments]:
    """The inverse of `stats_table`; `count` holds the values (N*H*W) behind each layer's moments."""
    found = {}
    for name, rows in table.groupby("layer", sort=False):
        mean, variance = (torch.from_numpy(rows[column].to_numpy(copy=True)) for column in ("mean", "variance"))
        found[name] = Moments(count[name], mean, variance * count[name])
    return found


def channel_stats(model: nn.Module, images: Images) -> pd.DataFrame:
    """Per-channel statistics of every conv's output, before whatever follows it.

    images: tensor or array (N, 3, H, W), normalised as the network expects, or an iterable of such batches, of
    which (images, labels) counts as images. Returns columns layer, channel, mean (activation units), variance
    (units squared, divides by N*H*W), layers in execution order; a conv that does not run has no row. The network
    runs in eval mode and is not changed. Raises ModelError for a network without convs or one that cannot run on the
    images, DataError without images, or for ones that are no finite floats.

    >>> from asr_core.networks.cifar_resnet import CifarResNet
    >>> table = channel_stats(CifarResNet(20, 10), torch.randn(8, 3, 32, 32))
    >>> list(table), len(table)
    (['layer', 'channel', 'mean', 'variance'], 688)
    """
    return stats_table(collect(guards.network(model), images))
