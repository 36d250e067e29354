"""Repair a pruned network: statistics -> factors -> weights and biases, simultaneously or sequentially."""

import copy
import warnings
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from torch import nn

from asr_core import registry
from asr_core.errors import ModelError
from asr_core.measure import guards, stats
from asr_core.networks import models
from asr_core.repairs.methods import Factors
from asr_core.spec.repairs import RepairSpec

# Sequential repair holds one batch of all statistics images; above this it goes layer by layer.
MAX_PIXELS = 256 * 224 * 224

TABLE = ("layer", "channel", "gamma", "gamma_raw", "shrinkage", "prior_var", "b_new", "alive", "fallback")


@dataclass
class LayerRepair:
    """What is done to one conv: factors, and the new bias (None: leave the bias as it is). finite: whether all that
    was measured of it is."""

    factors: Factors
    bias: torch.Tensor | None
    alive: torch.Tensor
    finite: bool = True


def layer_repair(conv: nn.Conv2d, dense: stats.Moments, pruned: stats.Moments, spec: RepairSpec) -> LayerRepair:
    """Factors and new bias of one conv from its dense and pruned moments.

    With `bias` on, b_new = mu_dense - gamma * (mu_pruned - b_old): exact also for convs that have a
    bias (eq. 10 as printed is exact only where b_old is scaled by gamma too).
    """
    cls, params = registry.get("repair method", spec.method), spec.parameters
    factors = cls.factors(dense.variance, pruned.variance, params)
    alive = pruned.variance.isfinite() & (pruned.variance > params["floor"])
    finite = all(bool(m.isfinite().all()) for part in (dense, pruned) for m in (part.mean, part.variance))
    if not spec.bias:
        return LayerRepair(factors, None, alive, finite)
    old = conv.bias.detach().cpu().double() if conv.bias is not None else torch.zeros_like(dense.mean)
    new = dense.mean - factors.gamma * (pruned.mean - old)
    return LayerRepair(factors, torch.where(new.isfinite(), new, old), alive, finite)


def compute_repairs(
    pruned: nn.Module,
    batch,
    spec: RepairSpec,
    dense_stats: dict,
    pruned_stats: dict | Any,
    left_out: Collection[str] = (),
) -> dict:
    """LayerRepair by layer for a network, in either order; `pruned` is not changed.

    `dense_stats`, `pruned_stats`: from stats.collect on the same images (`pruned_stats` is needed for
    order `simultaneous` only); `batch`: the statistics images as one tensor, for `sequential` only;
    `left_out`: layers that no repair touches.
    """
    repaired_layers = list(dense_stats)
    if spec.parameters["skip_first"]:
        repaired_layers = repaired_layers[1:]
    repaired_layers = [name for name in repaired_layers if name not in left_out]
    if spec.order == "simultaneous":
        convs = models.conv_layers(pruned)
        _check_ran(repaired_layers, pruned_stats)
        return {
            name: layer_repair(convs[name], dense_stats[name], pruned_stats[name], spec) for name in repaired_layers
        }
    if batch.shape[0] * batch.shape[2] * batch.shape[3] > MAX_PIXELS:
        warnings.warn(
            f"{len(batch)} statistics images exceed one batch; sequential repair goes layer by layer", stacklevel=2
        )
        return _layer_by_layer(pruned, batch, spec, dense_stats, repaired_layers)
    return _in_one_pass(pruned, batch, spec, dense_stats, repaired_layers)


def _in_one_pass(pruned, batch, spec, dense_stats, repaired_layers) -> dict:
    """Sequential repair in one forward pass: each hook measures, fixes the factor, corrects the output."""
    wanted, repairs, again = set(repaired_layers), {}, set()

    def mend(name, conv, output):
        if name not in wanted:
            return None
        if name in repairs:
            again.add(name)
        else:
            measured = stats.moments(output)
            measured = stats.Moments(measured.count, measured.mean.cpu(), measured.m2.cpu())
            repairs[name] = layer_repair(conv, dense_stats[name], measured, spec)
        return corrected(output, conv, repairs[name])

    with stats.frozen(pruned), stats.hooked(pruned, mend):
        guards.forward(pruned, batch)
    if again:  # the dense statistics are of all runs of a conv, which one pass meets one after the other
        return _layer_by_layer(pruned, batch, spec, dense_stats, repaired_layers)
    _check_ran(repaired_layers, repairs)
    return repairs


def _check_ran(layers, ran) -> None:
    """Raise ModelError if one of the `layers`, which ran in the dense network, is not among those that `ran`."""
    if silent := [name for name in layers if name not in ran]:
        raise ModelError(
            f"conv {silent[0]} runs in the dense network but not in the pruned one; give a network and its pruned copy."
        )


def corrected(output: torch.Tensor, conv: nn.Conv2d, repair: LayerRepair) -> torch.Tensor:
    """The conv's output (N, C, H, W) as it will be once the repair is in its weights and bias."""
    gamma = repair.factors.gamma
    old = conv.bias.detach().cpu().double() if conv.bias is not None else torch.zeros_like(gamma)
    shift = (old if repair.bias is None else repair.bias) - gamma * old
    gamma, shift = (t.to(output.device, output.dtype).view(1, -1, 1, 1) for t in (gamma, shift))
    return output * gamma + shift


def _layer_by_layer(pruned, batch, spec, dense_stats, repaired_layers) -> dict:
    """Sequential repair with bounded memory: one streamed pass of the network per layer."""
    model, repairs = copy.deepcopy(pruned), {}
    convs = models.conv_layers(model)
    for name in repaired_layers:
        measured = stats.collect(model, batch)
        _check_ran([name], measured)
        repairs[name] = layer_repair(convs[name], dense_stats[name], measured[name], spec)
        apply_repairs(model, {name: repairs[name]})
    return repairs


@torch.no_grad()
def apply_repairs(model: nn.Module, repairs: dict[str, LayerRepair]) -> nn.Module:
    """Put factors and biases into the convs of `model`, in place (eq. 9-10); zeros stay zeros. Returns it."""
    convs = models.conv_layers(model)
    for name, repair in repairs.items():
        _scale(convs[name].weight, repair.factors.gamma, name)
    for name, repair in repairs.items():  # after the large pieces of memory that scaling takes: not between them
        if repair.bias is not None:
            convs[name].bias = nn.Parameter(repair.bias.to(convs[name].weight))
    return model


def _scale(weight: torch.Tensor, gamma: torch.Tensor, name: str) -> None:
    """Multiply each output channel of `weight` by its factor, in float64 (float32 on mps): the product is rounded once.

    Raises ModelError where half precision cannot hold it: weights would become infinite, or zero and so leave the mask.
    """
    precise = torch.float32 if weight.device.type == "mps" else torch.float64
    gamma = gamma.to(weight.device, precise).view(-1, 1, 1, 1)
    for part, factors in models.in_parts(weight, gamma):
        scaled = (part.to(precise) * factors).to(part.dtype)
        if part.dtype.itemsize < 4 and not (scaled.isfinite().all() and torch.equal(scaled == 0, part == 0)):
            raise ModelError(
                f"{str(part.dtype).removeprefix('torch.')} cannot hold the weights of {name} times factors of "
                f"{float(gamma.min()):.3g} to {float(gamma.max()):.3g}; repair in float32: network.float()."
            )
        part.copy_(scaled)


def repairs_table(repairs: dict[str, LayerRepair]) -> pd.DataFrame:
    """One row per repaired channel: layer, channel, gamma, gamma_raw, shrinkage, prior_var, b_new, alive, fallback.

    b_new is the new bias (NaN: left as it was); alive is False for dead channels; fallback is True
    where the layer's prior variance was at or under the floor.
    """
    parts = [pd.DataFrame(columns=TABLE)] if not repairs else []
    for name, repair in repairs.items():
        f = repair.factors
        part = pd.DataFrame(
            {
                "layer": name,
                "channel": range(len(f.gamma)),
                "gamma": f.gamma.numpy(),
                "gamma_raw": f.gamma_raw.numpy(),
                "shrinkage": f.shrinkage.numpy(),
                "prior_var": f.prior_var,
                "b_new": repair.bias.numpy() if repair.bias is not None else float("nan"),
                "alive": repair.alive.numpy(),
                "fallback": f.fallback,
            }
        )
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def repairs_from_table(table: pd.DataFrame) -> dict[str, LayerRepair]:
    """The inverse of `repairs_table`: what is needed to apply a stored repair again."""
    repairs = {}
    for name, rows in table.groupby("layer", sort=False):
        tensor = {
            c: torch.from_numpy(rows[c].to_numpy(copy=True))
            for c in ("gamma", "gamma_raw", "shrinkage", "b_new", "alive")
        }
        factors = Factors(
            tensor["gamma"],
            tensor["gamma_raw"],
            tensor["shrinkage"],
            float(rows["prior_var"].iloc[0]),
            bool(rows["fallback"].iloc[0]),
        )
        bias = None if tensor["b_new"].isnan().any() else tensor["b_new"]
        repairs[name] = LayerRepair(factors, bias, tensor["alive"])
    return repairs
