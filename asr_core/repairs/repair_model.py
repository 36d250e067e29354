"""Repair of convs: what is known of a layer -> factors -> weights and biases; stored as tables and applied again."""

from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
import torch
from torch import nn

from asr_core import registry
from asr_core.errors import ModelError
from asr_core.measure import stats
from asr_core.networks import models
from asr_core.repairs.methods import Factors, Layer
from asr_core.spec.repairs import RepairSpec

KEPT = "kept.safetensors"  # of a stored repair: `kept_of`
TABLE = ("layer", "channel", "gamma", "gamma_raw", "shrinkage", "prior_var", "b_new", "alive", "fallback")


@dataclass
class LayerRepair:
    """What is done to one conv: factors, and the new bias (None: leave the bias as it is). finite: whether all that
    was measured of it is."""

    factors: Factors
    bias: torch.Tensor | None
    alive: torch.Tensor
    finite: bool = True


def layer_repair(
    conv: nn.Conv2d, dense: stats.Moments, pruned: stats.Moments, spec: RepairSpec, **known: Any
) -> LayerRepair:
    """Factors and new bias of one conv from its dense and pruned moments, and what else a method needs (`Layer`).

    With `bias` on, b_new = mu_dense - gamma * (mu_pruned - b_old): exact also for convs that have a
    bias (eq. 10 as printed is exact only where b_old is scaled by gamma too).
    """
    cls, params = registry.get("repair method", spec.method), spec.parameters
    weight = conv.weight.detach().cpu().double() if cls.needs else None
    layer = Layer(dense.mean, dense.variance, pruned.mean, pruned.variance, weight, **known)
    factors = cls.of_layer(layer, params)
    if factors.kept is not None and weight is not None:
        factors = replace(factors, kept=_not_zero(factors.kept, weight[weight != 0], conv.weight.dtype))
    alive = pruned.variance.isfinite() & (pruned.variance > params["floor"])
    finite = all(bool(m.isfinite().all()) for part in (dense, pruned) for m in (part.mean, part.variance))
    if not spec.bias:
        return LayerRepair(factors, None, alive, finite)
    old = conv.bias.detach().cpu().double() if conv.bias is not None else torch.zeros_like(dense.mean)
    new = old + factors.shift if factors.shift is not None else dense.mean - _mean(factors, pruned.mean - old)
    return LayerRepair(factors, torch.where(new.isfinite(), new, old), alive, finite)


def _mean(factors: Factors, before: torch.Tensor) -> torch.Tensor:
    """Mean of the conv's output without its bias once it is repaired; `before`: as it is."""
    return factors.gamma * before if factors.mean is None else factors.mean


def _not_zero(kept: torch.Tensor, old: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """New values of kept weights in `dtype`: where one would be exactly 0, and so leave the mask, a millionth of the
    old one (at least the smallest number) stands in."""
    least = torch.maximum(1e-6 * old.abs(), torch.tensor(torch.finfo(dtype).tiny)).copysign(old).to(dtype)
    kept = kept.to(dtype)
    return torch.where(kept == 0, least, kept)


def corrected(output: torch.Tensor, conv: nn.Conv2d, repair: LayerRepair, given: Any = None) -> torch.Tensor:
    """The conv's output (N, C, H, W) as it will be once the repair is in its weights and bias; given: its input, which
    new weights run on."""
    gamma = repair.factors.gamma
    old = conv.bias.detach().cpu().double() if conv.bias is not None else torch.zeros_like(gamma)
    new = old if repair.bias is None else repair.bias
    if repair.factors.kept is not None:
        return _run(conv, given, with_kept(conv.weight, repair.factors.kept), new.to(conv.weight))
    shift = new - gamma * old
    gamma, shift = (t.to(output.device, output.dtype).view(1, -1, 1, 1) for t in (gamma, shift))
    return output * gamma + shift


def _run(layer: nn.Module, given: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """What a layer makes of its input (N, C, H, W) with another weight and bias."""
    if isinstance(layer, nn.Linear):
        return nn.functional.linear(given.movedim(1, -1), weight, bias).movedim(-1, 1)
    found: torch.Tensor = layer._conv_forward(given, weight, bias)
    return found


def with_kept(weight: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    """`weight` with new values of what is not 0 in it, in order."""
    found = weight.detach().clone()
    found[found != 0] = kept.to(found)
    return found


@torch.no_grad()
def apply_repairs(model: nn.Module, repairs: dict[str, LayerRepair]) -> nn.Module:
    """Put factors and biases into the convs of `model`, in place (eq. 9-10); zeros stay zeros. Returns it."""
    convs = models.conv_layers(model)
    for name, repair in repairs.items():
        if repair.factors.kept is not None:
            convs[name].weight.copy_(with_kept(convs[name].weight, repair.factors.kept))
        else:
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
    gamma = gamma.to(weight.device, precise).view(-1, *[1] * (weight.ndim - 1))
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
    where the layer's prior variance was at or under the floor. gamma is NaN where weights are new instead: `kept_of`.
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


def kept_of(repairs: dict[str, LayerRepair]) -> dict[str, torch.Tensor]:
    """By layer, the new values of the weights that pruning kept, of repairs that have some."""
    return {name: repair.factors.kept for name, repair in repairs.items() if repair.factors.kept is not None}


def repairs_from_table(table: pd.DataFrame, kept: dict[str, torch.Tensor] | Any = None) -> dict[str, LayerRepair]:
    """The inverse of `repairs_table` and `kept_of`: what is needed to apply a stored repair again."""
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
            kept=(kept or {}).get(name),
        )
        bias = None if tensor["b_new"].isnan().any() else tensor["b_new"]
        repairs[name] = LayerRepair(factors, bias, tensor["alive"])
    return repairs
