"""Repairability of every conv at five trial sparsities: ours, and the naive way with the same numbers."""

import time

import torch
from torch import nn

from asr_core.networks import models
from asr_core.pruning import repairability as distortion
from asr_core.pruning.budget import TRIALS
from asr_core.pruning.rules import smallest
from asr_core.spec.model import ModelSpec
from benchmarks.report import Line

TOLERANCE = 1e-4  # relative, of RR


@torch.inference_mode()
def naive(model: nn.Module, images: torch.Tensor) -> dict[tuple[str, float], float]:
    """RR by (layer, sparsity): the dense outputs are kept whole, then a forward pass per layer and sparsity."""
    found, convs = {}, models.conv_layers(model)
    dense = _outputs(model, images, convs)
    for name, conv in convs.items():
        weight = conv.weight.data
        for sparsity in TRIALS:
            mask = smallest({"": weight}, round(sparsity * weight.numel()))[""]
            conv.weight.data = weight * mask
            found[name, sparsity] = _rr(dense[name], _outputs(model, images, {name: conv})[name])
        conv.weight.data = weight
    return found


def _outputs(model: nn.Module, images: torch.Tensor, convs: dict) -> dict[str, torch.Tensor]:
    found = {}
    handles = [
        conv.register_forward_hook(lambda _, __, output, name=name: found.update({name: output.clone()}))
        for name, conv in convs.items()
    ]
    model(images)
    for handle in handles:
        handle.remove()
    return found


def _rr(dense: torch.Tensor, pruned: torch.Tensor) -> float:
    """D_res / D_raw as they are defined, on whole outputs."""
    over = (0, 2, 3)
    (v_dense, mean), (v_pruned, mean_pruned) = (
        torch.var_mean(y, over, correction=0, keepdim=True) for y in (dense, pruned)
    )
    gamma = torch.where(v_pruned > 1e-12, (v_dense / (v_pruned + 1e-8)).sqrt(), 0.0)
    repaired = mean + gamma * (pruned - mean_pruned)
    return float((repaired - dense).square().mean(over).sum() / (pruned - dense).square().mean(over).sum())


def line(images: int, size: int, repeats: int) -> Line:
    """Seconds of both on a randomly initialised resnet18; medians."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = models.build(ModelSpec(architecture="resnet18"), 10, size)
        batch = torch.randn(images, 3, size, size).contiguous(memory_format=torch.channels_last)
    times = {"ours": [], "naive": []}
    for _ in range(repeats):
        layers = _timed(times["ours"], lambda: distortion.repairability(model, batch)[0])
        other = _timed(times["naive"], lambda: naive(model, batch))
    worst = max(abs(row.rr / other[row.layer, row.sparsity] - 1) for row in layers.itertuples())
    ours, theirs = (sorted(found)[repeats // 2] for found in times.values())
    what = (
        f"repairability vs a forward per layer and sparsity (resnet18, {images} images of {size} pixels; RR equal to "
        f"{worst:.0e})"
    )
    return Line(what, ours, theirs, "s", theirs / ours if worst <= TOLERANCE else 0.0, ">= 8")


def _timed(times: list[float], function):
    start = time.perf_counter()
    found = function()
    times.append(time.perf_counter() - start)
    return found
