"""BatchNorm absorbs a repair: after full re-estimation every repaired network is the same network.

Where each consumer of a conv is a BatchNorm, replacing its output y by g*y + c changes nothing once the
statistics are re-estimated, up to BatchNorm's eps. With cumulative averaging nothing of the initial
statistics is left, so BN only, LW, raw and ASR must give equal logits: in float64 with eps 1e-12 to 1e-8.
"""

import copy

import numpy as np
import pytest
import torch
from tiny_networks import FAMILIES, PreActivation, noise, seeded
from torch import nn

from asr_core import prune, recalibrate, repair
from asr_core.networks import models
from asr_core.repairs import batchnorm
from asr_core.spec.model import ModelSpec
from asr_core.spec.recalibration import NO_STATE, BatchNormState

# Few batches from reset: that the start still shows is what these tests are about.
pytestmark = pytest.mark.filterwarnings("ignore:.* is left of the start")

# Small inputs, but no 1x1 feature map before the last pool. Pruned at 60 % in each layer: dead channels,
# which have no scale to absorb, would need whole rows of zeros, and there are none.
NETWORKS = {
    "resnet18": ModelSpec.of(architecture="resnet18", stem="half"),
    "resnet50": ModelSpec.of(architecture="resnet50", stem="half"),
    "densenet121": ModelSpec.of(architecture="densenet121", stem="half"),
    "vgg16_bn": ModelSpec.of(architecture="vgg16_bn", stem="imagenet", head="linear"),
}
REPAIRS = {
    "LW, simultaneous": {"method": "lw_bn", "order": "simultaneous"},
    "raw, sequential, with mean correction": {"method": "raw_bn", "order": "sequential", "bias": True},
    "ASR, simultaneous, with mean correction": {"method": "asr_bn", "order": "simultaneous", "bias": True},
}


def precise(model: nn.Module) -> nn.Module:
    """In float64, with a BatchNorm eps that plays no part."""
    model = model.double().eval()
    for bn in models.batchnorms(model).values():
        bn.eps = 1e-12
    return model


def doubles(count, seed, size) -> torch.Tensor:
    return noise(count, seed, size).double()


def logits(model, images):
    with torch.no_grad():
        return model(images)


@pytest.mark.parametrize("name", NETWORKS)
def test_cumulative_recalibration_makes_all_methods_the_same_network(name):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = precise(models.build(NETWORKS[name], 10, 32))
    batches, images = [doubles(4, seed, 32) for seed in (1, 2)], doubles(4, 3, 32)
    dense = recalibrate(model, batches, (2,), averaging="cumulative")[2]
    pruned, _ = prune(dense, "uniform", sparsity=0.6)
    before = logits(pruned, images)
    expected = logits(recalibrate(pruned, batches, (2,), averaging="cumulative")[2], images)
    for label, choices in REPAIRS.items():
        repaired, table = repair(dense, pruned, images, **choices)
        assert table["alive"].all() and not table["fallback"].any()
        assert (logits(repaired, images) - before).abs().max() > 1e-2, label
        found = logits(recalibrate(repaired, batches, (2,), averaging="cumulative")[2], images)
        assert (found - expected).abs().max() < 1e-8, label


def tiny_pair(cls):
    dense = precise(seeded(cls))
    return dense, prune(dense, "uniform", sparsity=0.5)[0], [doubles(8, seed, 8) for seed in range(3)]


@pytest.mark.parametrize("cls", FAMILIES.values(), ids=FAMILIES)
@pytest.mark.parametrize("start", ["reset", "keep"])
def test_an_ema_leaves_a_gap_between_the_methods(cls, start):
    """The left-over of the initial statistics, (1 - momentum)^b of it, is what separates them."""
    dense, pruned, batches = tiny_pair(cls)
    repaired, _ = repair(dense, pruned, batches[0], "raw_bn", "sequential")
    gaps = {}
    for momentum in (0.1, 0.9, 1.0):
        plain, mended = (recalibrate(m, batches, (3,), start, "ema", momentum)[3] for m in (pruned, repaired))
        gaps[momentum] = (logits(plain, batches[0]) - logits(mended, batches[0])).abs().max().item()
    assert gaps[0.1] > 1e-2 and gaps[0.9] < gaps[0.1] and gaps[1.0] < 1e-8


@pytest.mark.parametrize("bias", [False, True], ids=["nobias", "bias"])
@pytest.mark.parametrize("name", ["resnet", "vgg"])
def test_a_repair_is_no_more_than_another_start_of_an_ema_from_reset(name, bias):
    """Repair y -> g*y + c, ema from (0, 1), is no repair, ema from (-c/g, 1/g^2)."""
    dense, pruned, batches = tiny_pair(FAMILIES[name])
    repaired, table = repair(dense, pruned, batches[0], "raw_bn", "sequential", bias=bias)
    found = recalibrate(repaired, batches, (3,), "reset", "ema", 0.1)[3]
    restarted = batchnorm.load_running(copy.deepcopy(pruned), other_start(pruned, repaired, table))
    expected = recalibrate(restarted, batches, (3,), "keep", "ema", 0.1)[3]
    assert (logits(found, batches[1]) - logits(expected, batches[1])).abs().max() < 1e-8
    plain = recalibrate(pruned, batches, (3,), "reset", "ema", 0.1)[3]
    assert (logits(found, batches[1]) - logits(plain, batches[1])).abs().max() > 1e-3


def other_start(pruned, repaired, table):
    """The start (-c/g, 1/g^2) of the BatchNorm behind each repaired conv, (0, 1) behind the first one.

    With biases b and b', g*(y - b) + b' = g*y + c has c = b' - g*b.
    """
    layers = list(zip(models.conv_layers(pruned), models.batchnorms(pruned), strict=True))
    start = {}
    for conv, bn in layers:
        gamma = table.loc[table["layer"] == conv, "gamma"].to_numpy()
        if not len(gamma):
            start[bn] = (0.0 * bias_of(pruned, conv), 1 + 0.0 * bias_of(pruned, conv))
            continue
        shift = bias_of(repaired, conv) - gamma * bias_of(pruned, conv)
        start[bn] = (-shift / gamma, 1 / gamma**2)
    return start


def bias_of(model, name) -> np.ndarray:
    conv = model.get_submodule(name)
    return np.zeros(conv.out_channels) if conv.bias is None else conv.bias.detach().numpy()


def test_a_batchnorm_behind_an_addition_does_not_absorb_a_repair():
    """A pre-activation residual block: scaling one addend changes the sum for good."""
    dense, pruned, batches = tiny_pair(PreActivation)
    repaired, _ = repair(dense, pruned, batches[0], "raw_bn", "sequential")
    plain, mended = (recalibrate(m, batches, (3,), averaging="cumulative")[3] for m in (pruned, repaired))
    assert (logits(plain, batches[0]) - logits(mended, batches[0])).abs().max() > 1e-3


def test_without_recalibration_the_methods_are_different_networks():
    assert BatchNormState.of(calib_batches=0) == NO_STATE
    dense, pruned, batches = tiny_pair(FAMILIES["vgg"])
    found = [
        logits(recalibrate(repair(dense, pruned, batches[0], method)[0], batches, (0,))[0], batches[0])
        for method in ("bn_only", "lw_bn", "raw_bn", "asr_bn")
    ]
    for i, a in enumerate(found):
        assert all((a - b).abs().max() > 1e-3 for b in found[:i])
