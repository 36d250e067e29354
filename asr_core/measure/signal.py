"""Signal or noise: how a network's conv outputs go along with the dense network's, over the same images and pixels.

With y the dense output of a channel (mean mu_dense, variance v_dense), z the other's (mu, v), cov their covariance and
r = sqrt(v / v_dense), the error has three parts:

    E[(z - y)^2] / v_dense = (mu - mu_dense)^2 / v_dense + (r - 1)^2 + 2 (r - cov / v_dense)

A bias mends the first (mean), a factor the second (scale), and no factor the third (decorrelation).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from torch import nn

from asr_core.errors import DataError, ModelError
from asr_core.measure import guards, stats
from asr_core.measure.errorparts import with_parts
from asr_core.measure.guards import Images
from asr_core.measure.stats import Moments
from asr_core.networks import models

BATCH = 16  # images of which the dense network's outputs are held at a time
OTHERWISE = "conv {} runs otherwise in the dense network; give a network and its pruned or repaired copy."


@dataclass
class Joint:
    """Moments of one conv's dense output, of the other's, and of their difference. What all are of: batch and space."""

    dense: Moments
    other: Moments
    difference: Moments

    def merge(self, more: "Joint") -> "Joint":
        """Of both samples together."""
        pairs = ((getattr(self, name), getattr(more, name)) for name in ("dense", "other", "difference"))
        return Joint(*(ours.merge(theirs) for ours, theirs in pairs))

    @property
    def cov(self) -> torch.Tensor:
        """Covariance of both outputs, activation units squared."""
        return (self.dense.variance + self.other.variance - self.difference.variance) / 2


@dataclass
class Part:
    """Rows (pixel, channel) of one run of a conv of the dense network, less their mean, and their moments."""

    centred: torch.Tensor
    moments: Moments

    @property
    def rows(self) -> torch.Tensor:
        """The rows with their mean, float64."""
        return self.centred + self.moments.mean


Outputs = dict[str, list[list[Part]]]  # by layer and run of the conv


def parts_of(output: torch.Tensor) -> list[Part]:
    """A conv's output (N, C, H, W) in parts of `stats.CHUNK` values, in its own precision."""
    found = []
    for rows in _rows(output).split(_count(output)):
        precise = rows.double()
        mean = precise.mean(0)
        precise -= mean
        moments = Moments(len(rows), mean, precise.square().sum(0))
        found.append(Part(precise.to(rows.dtype), moments))
    return found


def _rows(output: torch.Tensor) -> torch.Tensor:
    """(N, C, H, W) as rows (pixel, channel)."""
    if output.device.type == "mps":  # which has no float64
        output = output.cpu()
    return output.movedim(1, -1).reshape(-1, output.shape[1])


def _count(output: torch.Tensor) -> int:
    return max(1, stats.CHUNK // output.shape[1])


def outputs_of(dense: nn.Module, batch: torch.Tensor, layers: Iterable[str] | None = None) -> Outputs:
    """All conv outputs (of `layers` only, if given) of one batch, kept; eval mode, the network is not changed."""
    found: Outputs = {}

    def keep(name: str, conv: nn.Module, output: torch.Tensor, given: Any = None) -> None:
        if layers is None or name in layers:
            found.setdefault(name, []).append(parts_of(output))

    with stats.frozen(dense), stats.hooked(dense, keep):
        guards.forward(dense, batch)
    return found


def reference(dense: nn.Module, images: Images, size: int = BATCH) -> Iterator[tuple[torch.Tensor, Outputs]]:
    """(batch, the dense network's outputs of it), batch by batch: what `compare` takes."""
    for batch in guards.batches(images, size):
        yield batch, outputs_of(dense, batch)


def joint(dense: list[Part], output: torch.Tensor) -> Joint:
    """Joint moments of one run of a conv: the dense network's, and the other's output (N, C, H, W); in float64."""
    total: Any = None
    for part, rows in zip(dense, _rows(output).split(_count(output)), strict=True):
        rows = rows.double()
        mean = rows.mean(0)
        rows -= mean
        other = Moments(len(rows), mean, rows.square().sum(0))
        rows -= part.centred.to(rows.device)
        apart = Moments(len(rows), mean - part.moments.mean.to(mean.device), rows.square_().sum(0))
        new = Joint(_moved(part.moments, mean), other, apart)
        total = new if total is None else total.merge(new)
    return total


def _moved(moments: Moments, like: torch.Tensor) -> Moments:
    return Moments(moments.count, moments.mean.to(like.device), moments.m2.to(like.device))


def compare(known: Iterable[tuple[torch.Tensor, Outputs]], other: nn.Module) -> dict[str, Joint]:
    """Joint moments by layer of what `reference` gives and of `other`, in the dense network's order of execution.

    Raises DataError without images, ModelError where the two networks run their convs differently.
    """
    found: dict[str, Joint] = {}
    order: list[str] = []
    for batch, outputs in known:
        runs = dict.fromkeys(outputs, 0)
        order = order or list(outputs)

        def add(
            name: str, conv: nn.Module, output: torch.Tensor, given: Any = None, runs=runs, outputs=outputs
        ) -> None:
            run = runs.get(name, 0)
            if run >= len(outputs.get(name, [])):
                raise ModelError(OTHERWISE.format(name))
            new = joint(outputs[name][run], output)
            found[name], runs[name] = found[name].merge(new) if name in found else new, run + 1

        with stats.frozen(other), stats.hooked(other, add):
            guards.forward(other, batch)
        if silent := [name for name, done in runs.items() if done < len(outputs[name])]:
            raise ModelError(OTHERWISE.format(silent[0]))
    if not found:
        raise DataError(guards.NO_IMAGES)
    return {name: found[name] for name in order}


def signal_table(found: dict[str, Joint]) -> pd.DataFrame:
    """The table of `signal` from joint moments."""
    parts = []
    for name, each in found.items():
        dense, other = each.dense, each.other
        columns = {"mu_dense": dense.mean, "mu": other.mean, "v_dense": dense.variance, "v": other.variance}
        columns |= {"cov": each.cov, "apart": each.difference.variance}
        numbers = {column: values.cpu().numpy() for column, values in columns.items()}
        parts.append(pd.DataFrame({"layer": name, "channel": range(len(dense.mean)), **numbers}))
    return with_parts(pd.concat(parts, ignore_index=True)).drop(columns="apart")


def signal(dense: nn.Module, other: nn.Module, images: Images) -> pd.DataFrame:
    """How much of each channel of `other` is the dense network's signal, and what its error consists of.

    dense, other: networks of the same layout; neither is changed. images: as `channel_stats` takes; one pass over both
    networks, batch by batch. One row per channel, layers in execution order: layer, channel, mu_dense, mu (activation
    units), v_dense, v, cov (units squared, divide by N*H*W), rho = cov / sqrt(v_dense v) (NaN where v is at or under
    1e-12), and error_mean, error_scale, error_decorrelation, which add up to E[(z - y)^2] / v_dense (all NaN where
    v_dense is at or under 1e-12). Raises ModelError for networks that run their convs differently, DataError without
    images.

    >>> from asr_core.networks.cifar_resnet import CifarResNet
    >>> network = CifarResNet(20, 10)
    >>> table = signal(network, network, torch.randn(8, 3, 32, 32))
    >>> float(table["rho"].min().round(6)), bool(table["error_decorrelation"].max() < 1e-9)
    (1.0, True)
    """
    dense, other = guards.network(dense), guards.network(other)
    layouts = [[(name, len(conv.weight)) for name, conv in models.conv_layers(m).items()] for m in (dense, other)]
    if layouts[0] != layouts[1]:
        raise ModelError("the two networks have different convs; give a network and a pruned or repaired copy of it.")
    return signal_table(compare(reference(dense, images), other))
