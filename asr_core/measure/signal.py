"""Signal or noise: how a network's conv outputs go along with the dense network's, over the same images and pixels.

With y the dense output of a channel (mean mu_dense, variance v_dense), z the other's (mu, v), cov their covariance and
r = sqrt(v / v_dense), the error has three parts:

    E[(z - y)^2] / v_dense = (mu - mu_dense)^2 / v_dense + (r - 1)^2 + 2 (r - cov / v_dense)

A bias mends the first (mean), a factor the second (scale), and no factor the third (decorrelation).
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from asr_core.errors import DataError, ModelError
from asr_core.measure import guards, stats, sums
from asr_core.measure.errorparts import MOMENTS, with_parts
from asr_core.measure.guards import Images
from asr_core.measure.stats import Moments
from asr_core.networks import models

BATCH = 16  # images of which the dense network's outputs are held at a time
SMALL = 64 * 64  # pixels of an image up to which four times as many are
OTHERWISE = "conv {} runs otherwise in the dense network; give a network and its pruned or repaired copy."


@dataclass
class Part:
    """Rows (pixel, channel) of one run of a conv of the dense network, a `shift` near them, and `sums` of what is left
    without it and of its squares, float64 (2, channel)."""

    rows: torch.Tensor
    shift: torch.Tensor
    sums: torch.Tensor


Outputs = dict[str, list[Part]]  # by layer and run of the conv
Shifts = dict[str, torch.Tensor]  # by layer


class Joint:
    """Moments of one conv's dense output, of the other's, and of their difference. What all are of: batch and space.

    Sums are of what is left less a shift, in float64: so they lose nothing to large means, and nothing where both
    outputs are nearly equal.
    """

    def __init__(self):
        self.count = 0
        self.shifts: Any = None  # of the dense output and of the other's, (2, channel)
        self.sums: Any = 0.0  # of dense, other and difference, and of their squares: (6, channel)

    def add(self, part: Part, output: torch.Tensor) -> None:
        """A further run: the dense output, of always the same shift, and the other's (N, C, H, W)."""
        rows = sums.rows_of(output)
        if self.shifts is None:
            self.shifts = torch.stack([part.shift, rows[0].double()])
        beside = sums.summed_beside(rows, self.shifts[1], part.rows, part.shift)
        self.sums = self.sums + torch.cat([part.sums, beside])
        self.count += len(rows)

    @property
    def other(self) -> Moments:
        """Of the other's output."""
        found = told([self])
        return Moments(self.count, found["mu"], found["v"] * self.count)

    @property
    def cov(self) -> torch.Tensor:
        """Covariance of both outputs, activation units squared."""
        return told([self])["cov"]


def told(found: Collection[Joint]) -> dict[str, torch.Tensor]:
    """MOMENTS and `apart`, the variance of the difference, of the channels of convs one after the other: float64."""
    totals, shifts = torch.cat([each.sums for each in found], 1), torch.cat([each.shifts for each in found], 1)
    counts = torch.cat([torch.full_like(each.sums[0], each.count) for each in found])
    means, squares = (totals / counts).unflatten(0, (3, 2)).unbind(1)
    v_dense, v, apart = (squares - means**2).clamp(min=0)
    mu_dense = shifts[0] + means[0]
    mu = mu_dense + (shifts[1] - shifts[0] + means[2])  # so that of nearly equal means the difference keeps its digits
    moments = mu_dense, mu, v_dense, v, (v_dense + v - apart) / 2, apart
    return dict(zip((*MOMENTS, "apart"), moments, strict=True))


def part_of(output: torch.Tensor, shift: torch.Tensor | None = None) -> Part:
    """A copy of a conv's output (N, C, H, W), since what follows may change it in place; the shift is its first row if
    none is given."""
    rows = sums.rows_of(output).clone()
    shift = rows[0].double() if shift is None else shift
    return Part(rows, shift, sums.summed(rows, shift))


def outputs_of(
    dense: nn.Module, batch: torch.Tensor, layers: Iterable[str] | None = None, shifts: Shifts | None = None
) -> Outputs:
    """All conv outputs (of `layers` only, if given) of one batch, kept; eval mode, the network is not changed.

    shifts: what outputs of earlier batches were shifted by, so that theirs and these can be put together; those of
    further layers are added to it.
    """
    found: Outputs = {}
    known: Shifts = {} if shifts is None else shifts

    def keep(name: str, conv: nn.Module, output: torch.Tensor, given: Any = None) -> None:
        if layers is None or name in layers:
            part = part_of(output, known.get(name))
            known.setdefault(name, part.shift)
            found.setdefault(name, []).append(part)

    with stats.frozen(dense), stats.hooked(dense, keep):
        guards.forward(dense, batch)
    return found


def reference(dense: nn.Module, images: Images) -> Iterator[tuple[torch.Tensor, Outputs]]:
    """(batch, the dense network's outputs of it), batch by batch: what `compare` takes."""
    shifts: Shifts = {}
    small = isinstance(images, (torch.Tensor, np.ndarray)) and np.prod(images.shape[2:]) <= SMALL
    for batch in guards.batches(images, 4 * BATCH if small else BATCH):
        yield batch, outputs_of(dense, batch, shifts=shifts)


def compare(known: Iterable[tuple[torch.Tensor, Outputs]], other: nn.Module) -> dict[str, Joint]:
    """Joint moments by layer of what `reference` gives and of `other`, in the dense network's order of execution.

    Raises DataError without images, ModelError where the two networks run their convs differently.
    """
    found: dict[str, Joint] = {}
    for batch, outputs in known:
        found = found or {name: Joint() for name in outputs}
        _beside(other, batch, outputs, found)
    if not found:
        raise DataError(guards.NO_IMAGES)
    return found


def _beside(other: nn.Module, batch: torch.Tensor, outputs: Outputs, found: dict[str, Joint]) -> None:
    """Add what `other` makes of a batch, beside the dense network's `outputs` of it."""
    runs = dict.fromkeys(found, 0)

    def add(name: str, conv: nn.Module, output: torch.Tensor, given: Any = None) -> None:
        run = runs.get(name, 0)
        if run >= len(outputs.get(name, ())) or name not in found:
            raise ModelError(OTHERWISE.format(name))
        found[name].add(outputs[name][run], output)
        runs[name] = run + 1

    with stats.frozen(other), stats.hooked(other, add):
        guards.forward(other, batch)
    if silent := [name for name, done in runs.items() if done < len(outputs.get(name, ()))]:
        raise ModelError(OTHERWISE.format(silent[0]))


def signal_table(found: dict[str, Joint]) -> pd.DataFrame:
    """The table of `signal` from joint moments."""
    sizes = [each.sums.shape[1] for each in found.values()]
    numbers = {name: values.cpu().numpy() for name, values in told(found.values()).items()}
    columns = {"layer": np.repeat(list(found), sizes), "channel": np.concatenate([np.arange(size) for size in sizes])}
    return pd.DataFrame(columns | with_parts(numbers))


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
