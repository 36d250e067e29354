"""Prune a network: a rule chooses masks, the masks become permanent zeros, and a table says what went."""

import math
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from asr_core import registry
from asr_core.checks import left_out
from asr_core.errors import ModelError, SpecError
from asr_core.measure import absorption, guards
from asr_core.measure.guards import Images
from asr_core.networks import models
from asr_core.pruning.budget import check_floors
from asr_core.pruning.repairability import repairability
from asr_core.pruning.rules import kept_of

LEFT_OUT = "left out by name"


def prunable(model: nn.Module, include_linear: bool = False) -> dict[str, torch.Tensor]:
    """Weights a rule may prune, by layer name, in registration order: `models.conv_layers`, and all linear layers on
    request."""
    return {name: layer.weight for name, layer in models.weight_layers(model, include_linear).items()}


def choose_masks(
    model: nn.Module, rule: str, images: Images | None = None, ignore: str | None = None, **params: Any
) -> tuple[dict[str, torch.Tensor], pd.DataFrame]:
    """Masks (True = keep) by layer, and the per-layer table of `prune`; layers that are left out keep all."""
    cls = registry.get("pruning rule", rule)
    params = cls.checked(**params)
    models.check_network(model, batchnorm=False)
    guards.own_weights(model, params["include_linear"])
    every = prunable(model, params["include_linear"])
    whole = left_out(every, ignore)
    weights = {name: weight for name, weight in every.items() if name not in whole}
    measured = _repairability(model, rule, images, params) if cls.measures else {}
    masks, skipped = cls.masks(weights, params, floors(model, weights, params), measured)
    masks = {name: mask.cpu() for name, mask in masks.items()}
    table = layer_table(masks, cls.asked(params), skipped, cls.ties(weights, masks, params))
    kept = {name: torch.ones(every[name].shape, dtype=torch.bool) for name in every if name in whole}
    if kept:
        rest = layer_table(kept, 0.0, dict.fromkeys(kept, LEFT_OUT), dict.fromkeys(kept, (0, 0)))
        table = pd.concat([table, rest]).set_index("layer").loc[list(every)].reset_index()
    return {name: (masks | kept)[name] for name in every if name in masks or name in kept}, table


def floors(model: nn.Module, weights: dict[str, torch.Tensor], params: dict) -> dict[str, int]:
    """The least number of weights that each layer keeps, where `params` hold that it is more than 0."""
    least = {name: math.ceil(round(params.get("min_density", 0.0) * w.numel(), 6)) for name, w in weights.items()}
    if params.get("keep_first"):
        first = absorption.conv_index(model)["layer"].iloc[0]
        if first in weights:
            least[first] = weights[first].numel()
    own = models.conv_layers(model)
    heads = [name for name, w in weights.items() if w.ndim == 2 and name not in own]
    if params.get("keep_head") and heads:
        least[heads[-1]] = weights[heads[-1]].numel()
    return {name: count for name, count in least.items() if count}


def check_budget(model: nn.Module, rule: str, ignore: str | None = None, **params: Any) -> None:
    """Raise SpecError if what the layers must keep exceeds what the sparsity leaves, or for patterns that leave out
    none or all; `model` may be an outline."""
    params = registry.get("pruning rule", rule).checked(**params)
    weights = prunable(model, params["include_linear"])
    weights = {name: weights[name] for name in weights.keys() - left_out(weights, ignore)}
    if least := floors(model, weights, params):
        check_floors(least, kept_of(weights, params["sparsity"]))


def _repairability(model: nn.Module, rule: str, images: Images | None, params: dict) -> dict[str, float]:
    """RR of each prunable layer at the asked sparsity."""
    if images is None:
        raise SpecError(
            f"images is None; rule {rule} measures layers on calibration images: give 64 or so, normalised as the "
            "network expects."
        )
    layers, _ = repairability(model, images, (params["sparsity"],), include_linear=params["include_linear"])
    return dict(zip(layers["layer"], layers["rr"], strict=True))


def layer_table(masks: dict[str, torch.Tensor], asked: float, skipped: dict[str, str], ties: dict) -> pd.DataFrame:
    """One row per layer: the columns of `prune`."""
    rows = []
    for name, mask in masks.items():
        kept = int(mask.sum())
        rows.append((name, mask.numel(), kept, asked, 1 - kept / mask.numel(), skipped.get(name, ""), *ties[name]))
    return pd.DataFrame(rows, columns=["layer", "weights", "kept", "asked", "achieved", "skipped", "tied", "tied_cut"])


def achieved(table: pd.DataFrame) -> float:
    """Overall sparsity of a layer table: removed / all prunable weights; layers that were left out do not count."""
    table = table[table["skipped"] != LEFT_OUT]
    return float(1 - table["kept"].sum() / table["weights"].sum())


@torch.no_grad()
def apply_masks(model: nn.Module, masks: dict[str, torch.Tensor]) -> nn.Module:
    """Set the dropped weights of `model` to zero, in place; returns it."""
    for name, mask in masks.items():
        weight = model.get_submodule(name).weight
        weight.mul_(mask.to(weight.device))
    return model


def prune(
    model: nn.Module, rule: str, images: Images | None = None, ignore: str | None = None, **params: Any
) -> tuple[nn.Module, pd.DataFrame]:
    """A pruned copy of `model`, and a table per layer; `model` is not changed.

    rule: `global_l1`, `uniform`, `erk`, `lamp`, `rr` (sparsity in [0, 1), keep_first, keep_head, min_density), or `n_m`
    (keep_n, group_m); all take `include_linear`. images: what `rr` measures the layers on, a tensor (N, 3, H, W),
    normalised as the network expects, or an iterable of such batches; no other rule looks at them. ignore: patterns of
    the names of layers that are left out, as "conv1,layer1.*". Table columns:
    layer, weights, kept, asked and achieved (sparsities in [0, 1]), skipped (a reason, or ''), tied and tied_cut: where
    weights of equal magnitude lay at the threshold and only some could go, how many they were and how many went (the
    earlier in registration order go first, in a group of `n_m` whichever torch's topk leaves; rounded weights have
    many). Of a compiled network, the copy is not compiled.
    Raises UnknownName, SpecError for bad parameters and missing images, ModelError for a network without convs, or
    whose weights are computed, shared, or not finite.

    >>> from asr_core.networks.cifar_resnet import CifarResNet
    >>> pruned, layers = prune(CifarResNet(20, 10), "global_l1", sparsity=0.9)
    >>> print(round(achieved(layers), 3), list(layers)[:3])
    0.9 ['layer', 'weights', 'kept']
    """
    model = guards.network(model)
    masks, table = choose_masks(model, rule, images, ignore, **params)
    return apply_masks(guards.copied(model), masks), table


def kept_table(model: nn.Module, masks: dict[str, torch.Tensor]) -> pd.DataFrame:
    """Per output channel of each conv of the dense `model`: layer, channel, kept_fraction (of weights)
    and kept_energy (kept sum of w^2 / sum of w^2, NaN for a channel of zeros)."""
    parts = []
    for name, conv in models.conv_layers(model).items():
        keep = masks[name].flatten(1)
        whole, kept = _energies(conv.weight.detach(), keep)
        parts.append(
            pd.DataFrame(
                {
                    "layer": name,
                    "channel": range(len(keep)),
                    "kept_fraction": (keep.count_nonzero(1) / keep.shape[1]).double().numpy(),
                    "kept_energy": (kept / whole).numpy(),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def _energies(weight: torch.Tensor, keep: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Sums of w^2 per output channel, float64: of all weights, and of those in `keep` (C_out, weights of a channel)."""
    found = []
    for part, kept in models.in_parts(weight, keep):
        energy = part.cpu().flatten(1).square()
        found.append([each.sum(1, dtype=torch.float64) for each in (energy, energy * kept)])
    whole, kept = map(torch.cat, zip(*found, strict=True))
    return whole, kept


def pack(masks: dict[str, torch.Tensor]) -> dict[str, np.ndarray]:
    """Masks as bits: uint8 arrays for storage."""
    return {name: np.packbits(mask.cpu().numpy().reshape(-1)) for name, mask in masks.items()}


def unpack(bits: dict[str, np.ndarray], model: nn.Module) -> dict[str, torch.Tensor]:
    """Masks from their bits; shapes and layouts come from `model`. Raises ModelError if they do not fit."""
    masks = {}
    for name, packed in bits.items():
        weight = model.get_submodule(name).weight
        shape = weight.shape
        if len(packed) != -(-shape.numel() // 8):
            raise ModelError(f"the stored mask of {name} does not fit its {tuple(shape)} weights.")
        mask = torch.from_numpy(np.unpackbits(packed, count=shape.numel()).view(bool)).reshape(shape)
        masks[name] = torch.empty_like(weight, dtype=torch.bool, device="cpu").copy_(mask)
    return masks
