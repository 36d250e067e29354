"""Repair a pruned network: statistics -> factors -> weights and biases, simultaneously or sequentially."""

import copy
import warnings
from dataclasses import dataclass

import pandas as pd
import torch
from torch import nn

from asr_core import models, registry, stats
from asr_core.errors import DataError, ModelError
from asr_core.grid import RepairSpec
from asr_core.repairs import Factors

# Sequential repair holds one batch of all statistics images; above this it goes layer by layer.
MAX_PIXELS = 256 * 224 * 224

TABLE = ("layer", "channel", "gamma", "gamma_raw", "shrinkage", "prior_var", "bias", "alive", "fallback")


@dataclass
class LayerRepair:
    """What is done to one conv: factors, and the new bias (None: leave the bias as it is)."""

    factors: Factors
    bias: torch.Tensor | None
    alive: torch.Tensor


def repair_factors(method: str, v_dense, v_pruned, **params) -> torch.Tensor:
    """Factors `gamma` of one layer, float64, shape (channel,); finite for any variances.

    method: `lw_bn` (eq. 1), `raw_bn` (eq. 4), `asr_bn` (eq. 5 to 8; prior=, prior_value=), all with
    eps= and floor=. v_dense, v_pruned: variances per channel (activation units squared), anything
    torch.as_tensor takes. Dead channels (v_pruned <= floor) and layers at the prior floor get 1.
    Raises UnknownName or SpecError for a bad method or parameter, ModelError for unequal shapes
    or negative variances.
    """
    cls = registry.get("repair method", method)
    v_dense = torch.as_tensor(v_dense, dtype=torch.float64).reshape(-1)
    v_pruned = torch.as_tensor(v_pruned, dtype=torch.float64).reshape(-1)
    if len(v_dense) != len(v_pruned) or len(v_dense) == 0:
        raise ModelError(f"{len(v_dense)} dense and {len(v_pruned)} pruned variances; give one of each per channel.")
    both = torch.cat([v_dense, v_pruned])
    if (both < 0).any():
        raise ModelError(
            f"a variance is {both[both < 0][0]:g}; give variances of at least 0 (standard deviations squared)."
        )
    if not cls.changes_weights:
        return torch.ones_like(v_dense)
    return cls.factors(v_dense, v_pruned, cls.checked(**params)).gamma


def layer_repair(conv: nn.Conv2d, dense: stats.Moments, pruned: stats.Moments, spec: RepairSpec) -> LayerRepair:
    """Factors and new bias of one conv from its dense and pruned moments.

    With `bias` on, b_new = mu_dense - gamma * (mu_pruned - b_old): exact also for convs that have a
    bias (eq. 10 as printed is exact only where b_old is scaled by gamma too).
    """
    cls, params = registry.get("repair method", spec.method), _params(spec)
    factors = cls.factors(dense.variance, pruned.variance, params)
    alive = pruned.variance.isfinite() & (pruned.variance > params["floor"])
    if not spec.bias:
        return LayerRepair(factors, None, alive)
    old = conv.bias.detach().cpu().double() if conv.bias is not None else torch.zeros_like(dense.mean)
    new = dense.mean - factors.gamma * (pruned.mean - old)
    return LayerRepair(factors, torch.where(new.isfinite(), new, old), alive)


def _params(spec: RepairSpec) -> dict:
    params = dict(spec.params)
    return params | ({"prior": spec.prior} if spec.prior else {})


def compute_repairs(pruned: nn.Module, batch, spec: RepairSpec, dense_stats: dict, pruned_stats: dict | None) -> dict:
    """LayerRepair by layer for a network, in either order; `pruned` is not changed.

    `dense_stats`, `pruned_stats`: from stats.collect on the same images (`pruned_stats` is needed for
    order `simultaneous` only); `batch`: the statistics images as one tensor, for `sequential` only.
    """
    repaired_layers = list(dense_stats)
    if _params(spec)["skip_first"]:
        repaired_layers = repaired_layers[1:]
    if spec.order == "simultaneous":
        convs = models.conv_layers(pruned)
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
    wanted, repairs = set(repaired_layers), {}

    def mend(name, conv, output):
        if name not in wanted:
            return None
        if name not in repairs:  # a conv that is called again keeps its first factors
            measured = stats.moments(output)
            measured = stats.Moments(measured.count, measured.mean.cpu(), measured.m2.cpu())
            repairs[name] = layer_repair(conv, dense_stats[name], measured, spec)
        return corrected(output, conv, repairs[name])

    with stats.frozen(pruned), stats.hooked(pruned, mend):
        pruned(batch.to(next(pruned.parameters()).device))
    return repairs


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
        measured = stats.collect(model, stats.as_batches(batch))[name]
        repairs[name] = layer_repair(convs[name], dense_stats[name], measured, spec)
        apply_repairs(model, {name: repairs[name]})
    return repairs


@torch.no_grad()
def apply_repairs(model: nn.Module, repairs: dict[str, LayerRepair]) -> nn.Module:
    """Put factors and biases into the convs of `model`, in place (eq. 9-10); zeros stay zeros. Returns it."""
    convs = models.conv_layers(model)
    for name, repair in repairs.items():
        _scale(convs[name].weight, repair.factors.gamma)
    for name, repair in repairs.items():  # after the large pieces of memory that scaling takes: not between them
        if repair.bias is not None:
            convs[name].bias = nn.Parameter(repair.bias.to(convs[name].weight))
    return model


def _scale(weight: torch.Tensor, gamma: torch.Tensor) -> None:
    """Multiply each output channel of `weight` by its factor, in float64 (float32 on mps): the product is rounded once."""
    precise = torch.float32 if weight.device.type == "mps" else torch.float64
    gamma = gamma.to(weight.device, precise).view(-1, 1, 1, 1)
    for part, factors in models.in_parts(weight, gamma):
        part.copy_(part.to(precise) * factors)


def repairs_table(repairs: dict[str, LayerRepair]) -> pd.DataFrame:
    """One row per repaired channel: layer, channel, gamma, gamma_raw, shrinkage, prior_var, bias, alive, fallback.

    bias is the new bias (NaN: left as it was); alive is False for dead channels; fallback is True
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
                "bias": repair.bias.numpy() if repair.bias is not None else float("nan"),
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
            for c in ("gamma", "gamma_raw", "shrinkage", "bias", "alive")
        }
        factors = Factors(
            tensor["gamma"],
            tensor["gamma_raw"],
            tensor["shrinkage"],
            float(rows["prior_var"].iloc[0]),
            bool(rows["fallback"].iloc[0]),
        )
        bias = None if tensor["bias"].isnan().any() else tensor["bias"]
        repairs[name] = LayerRepair(factors, bias, tensor["alive"])
    return repairs


def repair(dense, pruned, images, method: str, order: str = "simultaneous", bias: bool | None = None, **params):
    """A repaired copy of `pruned` and its per-channel factor table; neither network is changed.

    dense, pruned: networks of the same layout. images: tensor (N, 3, H, W), normalised; 64 in the
    paper. method: `lw_bn`, `raw_bn`, `asr_bn` (`bn_only` changes nothing). order: `simultaneous`
    (all statistics first) or `sequential` (each layer after those before it; one forward pass).
    bias: the mean correction of eq. 10; None takes the method's default. Columns of the table: see
    `repairs_table`. Raises UnknownName, SpecError for bad parameters, ModelError for networks
    without convs or of different layouts, DataError without images.
    """
    spec = RepairSpec.of(method, order, bias, **params)
    models.check_network(pruned, batchnorm=False)
    if not registry.get("repair method", method).changes_weights:
        return copy.deepcopy(pruned), repairs_table({})
    _check_same_layout(dense, pruned)
    batches = [batch for batch in stats.as_batches(images) if len(batch)]
    if not batches:
        raise DataError(stats.NO_IMAGES)
    images = torch.cat(batches)
    dense_stats = stats.collect(dense, stats.as_batches(images))
    pruned_stats = stats.collect(pruned, stats.as_batches(images)) if order == "simultaneous" else None
    repairs = compute_repairs(pruned, images, spec, dense_stats, pruned_stats)
    warn_fallbacks(repairs, method)
    return apply_repairs(copy.deepcopy(pruned), repairs), repairs_table(repairs)


def _check_same_layout(dense: nn.Module, pruned: nn.Module) -> None:
    shapes = [{name: tuple(conv.weight.shape) for name, conv in models.conv_layers(m).items()} for m in (dense, pruned)]
    for name in shapes[0] | shapes[1]:
        if shapes[0].get(name) != shapes[1].get(name):
            raise ModelError(
                f"conv {name} is {shapes[0].get(name)} in the dense network and {shapes[1].get(name)} in the pruned one; "
                "give the network that was pruned, and its pruned copy."
            )


def warn_fallbacks(repairs: dict[str, LayerRepair], method: str) -> None:
    """Tell the user which layers had a prior variance at the floor and were left at factor 1."""
    if layers := [name for name, r in repairs.items() if r.factors.fallback]:
        warnings.warn(
            f"{method}: prior variance at the floor, factor 1 in the whole of {', '.join(layers)}", stacklevel=3
        )
