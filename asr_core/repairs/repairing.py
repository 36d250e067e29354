"""Repair from a notebook: a network and its pruned copy, or the variances of one layer."""

import warnings
from typing import Any

import pandas as pd
import torch
from torch import nn

from asr_core import registry
from asr_core.checks import left_out
from asr_core.errors import DataError, ModelError, SpecError
from asr_core.measure import guards, stats
from asr_core.measure.guards import Images
from asr_core.networks import models
from asr_core.repairs.passes import compute_repairs
from asr_core.repairs.repair_model import LayerRepair, apply_repairs, repairs_table
from asr_core.spec.repairs import RepairSpec


def repair_factors(method: str, v_dense: Any, v_pruned: Any, **params: Any) -> torch.Tensor:
    """Factors `gamma` of one layer, float64, shape (channel,); finite for any variances.

    method: `lw_bn` (eq. 1), `raw_bn` (eq. 4), `asr_bn` (eq. 5 to 8; prior=, prior_value=), all with
    eps= and floor=. v_dense, v_pruned: variances per channel (activation units squared), anything
    torch.as_tensor takes. Of channel-wise methods, dead channels (v_pruned <= floor) and ones of a variance that is
    not finite get 1; `lw_bn` gives all channels one number; layers at the prior floor (`lw_bn`: of a mean pruned
    variance at the floor) get 1. Raises UnknownName or SpecError for a bad method or parameter, ModelError for
    unequal shapes, or what are no variances.

    >>> repair_factors("raw_bn", v_dense=[4.0, 1.0, 1.0], v_pruned=[1.0, 1.0, 0.0], eps=0)
    tensor([2., 1., 1.], dtype=torch.float64)
    """
    cls = registry.get("repair method", method)
    if cls.needs:
        raise SpecError(
            f"{method} needs {' and '.join(cls.needs)}, not variances alone; use asr_core.repair with images."
        )
    params = cls.checked(**params)
    v_dense, v_pruned = _variances(v_dense), _variances(v_pruned)
    if len(v_dense) != len(v_pruned) or len(v_dense) == 0:
        raise ModelError(f"{len(v_dense)} dense and {len(v_pruned)} pruned variances; give one of each per channel.")
    both = torch.cat([v_dense, v_pruned])
    if (both < 0).any():
        raise ModelError(
            f"a variance is {both[both < 0][0]:g}; give variances of at least 0 (standard deviations squared)."
        )
    if not cls.changes_weights:
        return torch.ones_like(v_dense)
    return cls.factors(v_dense, v_pruned, params).gamma


def _variances(given: Any) -> torch.Tensor:
    """float64 of shape (channel,), on the CPU."""
    try:
        found = torch.as_tensor(given, dtype=None if torch.is_tensor(given) else torch.float64).detach().cpu().double()
    except (TypeError, ValueError, RuntimeError):
        raise ModelError(f"variances are a {type(given).__name__}; give one number per channel.") from None
    if found.ndim > 1:
        raise ModelError(f"variances have shape {tuple(found.shape)}; give those of one layer, one number per channel.")
    return found.reshape(-1)


def repair(
    dense: nn.Module,
    pruned: nn.Module,
    images: Images,
    method: str,
    order: str = "simultaneous",
    bias: bool | None = None,
    ignore: str | None = None,
    **params: Any,
) -> tuple[nn.Module, pd.DataFrame]:
    """A repaired copy of `pruned` and its per-channel factor table; neither network is changed.

    dense, pruned: networks of the same layout. images: tensor or array (N, 3, H, W), normalised, or an iterable of such
    batches; 64 in the paper. method: `lw_bn`, `raw_bn`, `asr_bn` (`bn_only` changes nothing), or another of
    `asr_core/repairs/methods`. order: `simultaneous` (all statistics first) or `sequential` (each layer after those
    before it; one forward pass, or one per layer where a conv runs several times). bias: the mean correction of eq. 10;
    None: the method's default. ignore: patterns of the names of convs that stay as they are, as "conv1,layer1.*".
    Columns of the table: see `repairs_table`. Warns of layers that are left as they are: at the prior floor, with
    statistics that are not finite, pruned but never run, or if there is none but the first. Raises UnknownName,
    SpecError for bad parameters, ModelError for networks of another kind or of different layouts, DataError without
    images.

    >>> from asr_core.networks.cifar_resnet import CifarResNet
    >>> dense, images = CifarResNet(20, 10), torch.randn(8, 3, 32, 32)
    >>> repaired, factors = repair(dense, dense, images, "asr_bn", order="sequential")
    >>> list(factors)[:3], bool((factors["gamma"] - 1).abs().max() < 1e-6)
    (['layer', 'channel', 'gamma'], True)
    """
    spec = RepairSpec.of(method, order, bias, **params)
    dense, pruned = guards.network(dense), guards.network(pruned)
    if not registry.get("repair method", method).changes_weights:
        return guards.copied(pruned), repairs_table({})
    whole = _checked(dense, pruned, ignore)
    images = _one_batch(images)
    dense_stats = stats.collect(dense, images)
    pruned_stats = stats.collect(pruned, images) if order == "simultaneous" else None
    repairs = compute_repairs(pruned, images, spec, dense_stats, pruned_stats, dense, whole)
    warn_fallbacks(repairs, method)
    _warn_left_alone(pruned, repairs, dense_stats, method)
    return apply_repairs(guards.copied(pruned), repairs), repairs_table(repairs)


def _one_batch(images: Images) -> torch.Tensor:
    """All images as one tensor; raises DataError without images and for images of several sizes."""
    batches = list(guards.batches(images))
    if not batches:
        raise DataError(guards.NO_IMAGES)
    if len(sizes := dict.fromkeys(tuple(batch.shape[1:]) for batch in batches)) > 1:
        raise DataError(
            f"images are of {len(sizes)} shapes, {' and '.join(map(str, list(sizes)[:2]))}; give images of one shape."
        )
    return torch.cat([batch.to(batches[0]) for batch in batches])


def _warn_left_alone(pruned: nn.Module, repairs: dict[str, LayerRepair], ran: Any, method: str) -> None:
    """Tell the user of convs that get no factor although they were pruned, and of channels without finite
    statistics."""
    convs = models.conv_layers(pruned)
    if not repairs:
        warnings.warn(
            f"{method}: only {next(iter(ran))} runs, the first conv, which is skipped: nothing is repaired; "
            "skip_first=False repairs it",
            stacklevel=3,
        )
    if silent := [name for name, conv in convs.items() if name not in ran and (conv.weight == 0).any()]:
        warnings.warn(f"{method}: {', '.join(silent)} never run, so they keep their pruned weights", stacklevel=3)
    if wild := [name for name, r in repairs.items() if not r.finite]:
        warnings.warn(
            f"{method}: statistics that are not finite in {', '.join(wild)}; these channels do not count", stacklevel=3
        )


def _checked(dense: nn.Module, pruned: nn.Module, ignore: str | None) -> set[str]:
    """The convs that stay as they are; raises ModelError for networks that cannot be repaired."""
    guards.own_weights(pruned, biases=True)
    _check_same_layout(dense, pruned)
    return left_out(models.conv_layers(pruned), ignore)


def _check_same_layout(dense: nn.Module, pruned: nn.Module) -> None:
    shapes = [{name: tuple(conv.weight.shape) for name, conv in models.conv_layers(m).items()} for m in (dense, pruned)]
    for name in shapes[0] | shapes[1]:
        if shapes[0].get(name) != shapes[1].get(name):
            raise ModelError(
                f"conv {name} is {shapes[0].get(name)} in the dense network and {shapes[1].get(name)} in the "
                "pruned one; give the network that was pruned, and its pruned copy."
            )


def warn_fallbacks(repairs: dict[str, LayerRepair], method: str) -> None:
    """Tell the user which layers were left as they are: for `asr_bn`, with a prior variance at the floor."""
    if layers := [name for name, r in repairs.items() if r.factors.fallback]:
        warnings.warn(
            f"{method}: {registry.get('repair method', method).fallback_words} {', '.join(layers)}", stacklevel=3
        )
