"""How much of the local damage of pruning one layer a repair could mend, measured in one dense forward per batch.

For conv l at a trial sparsity, pruned by magnitude within the layer, everything else dense:

    D_raw = sum_i E[(Y_pruned - Y_dense)^2] / sum_i Var(Y_dense)
    Y_rep = mu_dense + sqrt(v_dense / (v_pruned + eps)) * (Y_pruned - mu_pruned)     a dead channel becomes mu_dense
    D_res = sum_i E[(Y_rep - Y_dense)^2] / sum_i Var(Y_dense) ;   RR = D_res / D_raw

over output channels i, batch and space: our reading of the abstract of arXiv 2605.25508. RR can exceed 1, and
is undefined where D_raw = 0. Only a layer's dense input is needed: a hook runs the pruned layer on it.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd
import torch
from torch import nn

from asr_core.checks import checked_sparsity, positive
from asr_core.errors import DataError, SpecError
from asr_core.measure import guards, stats, sums
from asr_core.measure.guards import Images
from asr_core.measure.stats import Moments
from asr_core.networks import models
from asr_core.pruning.budget import TRIALS
from asr_core.pruning.rules import Cut, cuts


def repairability(
    model: nn.Module,
    images: Images,
    sparsities: Iterable[float] = TRIALS,
    eps: float = 1e-8,
    floor: float = 1e-12,
    include_linear: bool = False,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """D_raw, D_res and RR of every conv at each trial sparsity: (per layer, per output channel).

    images: tensor or array (N, 3, H, W), normalised as the network expects, or an iterable of such batches; no labels.
    Columns layer, (channel,) sparsity, d_raw, d_res (in units of the layer's, or the channel's, dense variance; NaN
    where that is 0), rr (NaN where d_raw is 0, or the layer never runs), layers in registration order. A channel is
    dead where its pruned variance is at most `floor` (activation units squared). include_linear: linear layers too.
    The network runs in eval mode and is not changed. Raises SpecError for a sparsity outside [0, 1), ModelError for a
    network without convs or with weights that are computed or shared, DataError without images.

    >>> from asr_core.networks.cifar_resnet import CifarResNet
    >>> layers, _ = repairability(CifarResNet(20, 10), torch.randn(8, 3, 32, 32), sparsities=[0.9])
    >>> list(layers), len(layers)
    (['layer', 'sparsity', 'd_raw', 'd_res', 'rr'], 19)
    """
    model = guards.network(model)
    sparsities = _checked(sparsities)
    eps, floor = positive("eps", eps, zero=True), positive("floor", floor)
    guards.own_weights(model, include_linear)
    layers = {name: Layer(m, sparsities) for name, m in models.weight_layers(model, include_linear).items()}
    seen = 0
    with stats.frozen(model), _watched(layers):
        for batch in guards.batches(images):
            guards.forward(model, batch)
            seen += len(batch)
    if not seen:
        raise DataError(guards.NO_IMAGES)
    trials = list(enumerate(sparsities))
    return _tables({(name, s): layer.distortions(k, eps, floor) for name, layer in layers.items() for k, s in trials})


def _checked(sparsities: Any) -> list[float]:
    if not isinstance(sparsities, Iterable) or not (chosen := list(sparsities)):
        raise SpecError(f"sparsities is {sparsities!r}; give a list of fractions, for example (0.5, 0.9).")
    return [checked_sparsity(value) for value in chosen]


@dataclass
class Pair:
    """Moments of a pruned layer's outputs, and of their change: pruned minus dense. (From the variances of both, and of
    the dense outputs, follows the covariance; the change itself keeps small distortions exact.)"""

    pruned: Moments
    change: Moments

    def merge(self, other: "Pair") -> "Pair":
        """Moments of both samples together."""
        return Pair(self.pruned.merge(other.pruned), self.change.merge(other.change))


class Layer:
    """One layer under trial: its cuts, and the moments of its outputs so far, dense and for each cut."""

    def __init__(self, module: nn.Module, sparsities: list[float]):
        self.module = module
        size = module.weight.numel()
        self.cuts = cuts(module.weight, [round(sparsity * size) for sparsity in sparsities])
        self.dense: Moments | None = None
        self.trials: list[Pair] = []

    def see(self, given: torch.Tensor, output: torch.Tensor) -> None:
        """Add one batch: the dense `output`, and what each pruned layer makes of the same input `given`."""
        rows = _rows(self.module, output)
        dense = stats.moments_of_rows(rows)
        trials = [_pair(_rows(self.module, self._run(given, cut)), rows) for cut in self.cuts]
        if self.dense is not None:
            dense = self.dense.merge(dense)
            trials = [old.merge(new) for old, new in zip(self.trials, trials, strict=True)]
        self.dense, self.trials = dense, trials

    def _run(self, given: torch.Tensor, cut: Cut) -> torch.Tensor:
        """What the layer's own forward makes of the cut weights. (Calling the module would call the hook.)"""
        held, weight = self.module._parameters, self.module.weight
        held["weight"] = cut.of(weight)
        try:
            return self.module.forward(given)
        finally:
            held["weight"] = weight

    def distortions(self, trial: int, eps: float, floor: float) -> "Distortions":
        """Per channel, in activation units squared; NaN for a layer that never ran."""
        if self.dense is None:
            return Distortions(*torch.full((3, len(self.module.weight)), torch.nan, dtype=torch.float64))
        v_dense, pair = self.dense.variance, self.trials[trial]
        v_pruned, v_change = pair.pruned.variance, pair.change.variance
        gamma = torch.where(v_pruned > floor, (v_dense / (v_pruned + eps)).sqrt(), 0.0)
        raw = v_change + pair.change.mean.square()
        # E[(gamma * (pruned - mu_pruned) - (dense - mu_dense))^2], its covariance written as
        # (v_pruned + v_dense - v_change) / 2
        left = (gamma * v_change + (gamma - 1) * (gamma * v_pruned - v_dense)).clamp(min=0)
        return Distortions(v_dense, raw, torch.where(raw > 0, left, 0.0))


@dataclass
class Distortions:
    """float64 tensors of shape (channel,): dense variance, mean squared change by pruning, and what a repair leaves of
    it."""

    v_dense: torch.Tensor
    raw: torch.Tensor
    left: torch.Tensor

    def ratios(self) -> tuple:
        """(D_raw, D_res, RR) per channel; of sums over channels, they are those of the layer. x / 0 is NaN."""
        pairs = ((self.raw, self.v_dense), (self.left, self.v_dense), (self.left, self.raw))
        return tuple(torch.where(below > 0, above / below, torch.nan) for above, below in pairs)

    def summed(self) -> "Distortions":
        """Sums over the channels."""
        return Distortions(self.v_dense.sum(), self.raw.sum(), self.left.sum())


@contextmanager
def _watched(layers: dict[str, Layer]) -> Iterator[None]:
    """While open, every run of a layer is seen by its `Layer`."""

    def seen(module: nn.Module, given: tuple, named: dict[str, torch.Tensor], output: torch.Tensor, to: Layer) -> None:
        to.see(stats.input_of(given, named), output)

    handles = [
        layer.module.register_forward_hook(partial(seen, to=layer), prepend=True, with_kwargs=True)
        for layer in layers.values()
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _rows(module: nn.Module, output: torch.Tensor) -> torch.Tensor:
    """Outputs as (position, channel), in float32 or float64."""
    return sums.rows_of(stats.as_image(module, output))


def _pair(pruned: torch.Tensor, dense: torch.Tensor) -> Pair:
    """Of a pruned layer's rows (position, channel), beside the dense ones."""
    shifts = pruned[0].double(), dense[0].double()
    found = sums.summed_beside(pruned, shifts[0], dense, shifts[1])
    count = len(pruned)
    return Pair(stats.of_sums(count, shifts[0], *found[:2]), stats.of_sums(count, shifts[0] - shifts[1], *found[2:]))


def _tables(found: dict[tuple[str, float], Distortions]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The tables of `repairability`, from what was found by (layer, sparsity)."""
    names = ("d_raw", "d_res", "rr")
    layers = pd.DataFrame(
        [(*place, *map(float, d.summed().ratios())) for place, d in found.items()],
        columns=["layer", "sparsity", *names],
    )
    parts = [
        pd.DataFrame(
            {"layer": layer, "channel": range(len(d.raw)), "sparsity": sparsity}
            | {n: v.numpy() for n, v in zip(names, d.ratios(), strict=True)}
        )
        for (layer, sparsity), d in found.items()
    ]
    return layers, pd.concat(parts, ignore_index=True)
