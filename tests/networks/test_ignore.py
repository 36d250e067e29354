"""Layers that are left out by name: not pruned, not repaired, and a pattern that names none is refused."""

import pandas as pd
import pytest
import torch
from small import SMALL

import asr_core
from asr_core import checks
from asr_core.errors import SpecError
from asr_core.images import data
from asr_core.networks.cifar_resnet import CifarResNet
from asr_core.pruning import masks
from asr_core.spec.keys import Keys
from asr_core.spec.parts import DataSpec, PruneSpec
from asr_core.store import Store

IMAGES = torch.randn(8, 3, 16, 16, generator=torch.Generator().manual_seed(0))
OUT = "conv1,layer1.*"


@pytest.fixture(scope="module")
def network():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return CifarResNet(20, 10).eval()


@pytest.mark.parametrize("rule", ["global_l1", "uniform", "erk", "lamp"])
def test_layers_that_are_left_out_keep_all_and_the_others_have_the_asked_sparsity(rule, network):
    pruned, table = asr_core.prune(network, rule, ignore=OUT, sparsity=0.8)
    left = table["skipped"] == masks.LEFT_OUT
    assert set(table["layer"][left]) == {name for name in table["layer"] if name.startswith(("conv1", "layer1"))}
    assert (table["achieved"][left] == 0).all()
    assert masks.achieved(table) == pytest.approx(0.8, abs=0.001)
    assert torch.equal(pruned.layer1[0].conv1.weight, network.layer1[0].conv1.weight)
    assert list(table["layer"]) == list(masks.prunable(network))


@pytest.mark.parametrize("order", ["simultaneous", "sequential"])
def test_layers_that_are_left_out_are_not_repaired(order, network):
    pruned, _ = asr_core.prune(network, "global_l1", ignore=OUT, sparsity=0.8)
    repaired, table = asr_core.repair(network, pruned, IMAGES, "asr_bn", order=order, ignore=OUT)
    assert not table["layer"].str.startswith(("conv1", "layer1")).any()
    assert torch.equal(repaired.layer1[0].conv2.weight, pruned.layer1[0].conv2.weight)
    assert not torch.equal(repaired.layer3[0].conv2.weight, pruned.layer3[0].conv2.weight)


def test_leaving_out_layers_that_lose_nothing_changes_no_other_factor(network):
    pruned, _ = asr_core.prune(network, "global_l1", ignore=OUT, sparsity=0.8)
    _, some = asr_core.repair(network, pruned, IMAGES, "raw_bn", ignore=OUT)
    _, every = asr_core.repair(network, pruned, IMAGES, "raw_bn")
    rest = every[every["layer"].isin(some["layer"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(some, rest)


@pytest.mark.parametrize(
    ("ignore", "said"),
    [
        ("conv9", r"no layer is called conv9; the 19 layers are conv1, layer1.0.conv1"),
        ("conv1,layer4.*", r"no layer is called layer4\.\*"),
        ("*", r"ignore \* leaves no layer to prune"),
    ],
)
def test_patterns_that_leave_out_none_or_all_are_refused_with_the_layers(ignore, said, network):
    with pytest.raises(SpecError, match=said):
        asr_core.prune(network, "global_l1", ignore=ignore, sparsity=0.8)
    with pytest.raises(SpecError, match=said):
        masks.check_budget(network, "global_l1", ignore, sparsity=0.8)


def test_patterns_match_whole_names_in_their_own_case():
    assert checks.left_out(["conv1", "Conv1", "conv10"], "conv1") == {"conv1"}


def test_the_patterns_are_in_the_key_and_in_words_and_none_are_in_no_key():
    plain, out = PruneSpec(), PruneSpec(ignore="layer1.*, conv1")
    assert out.ignore == "conv1,layer1.*" and "ignore" not in plain.canonical()
    assert plain != out and out.words == "global L1 95 % (without conv1,layer1.*)"
    assert Keys(SMALL, "0").prune != Keys(SMALL.with_(prune=out), "0").prune


# --- inputs ---


def test_given_means_and_deviations_normalise(tmp_path):
    spec = DataSpec(normalization="0.5,0.25,0/0.5,1,2", image_size=8)
    images = data.load(spec, Store(tmp_path))
    assert (images.mean, images.std) == ((0.5, 0.25, 0.0), (0.5, 1.0, 2.0))
    x = images.test_batch([0])
    expected = torch.tensor(images.test_images[:1] / 255).permute(0, 3, 1, 2).float()
    expected = (expected - torch.tensor(images.mean).view(3, 1, 1)) / torch.tensor(images.std).view(3, 1, 1)
    torch.testing.assert_close(x, expected, rtol=0, atol=1e-5)


def test_one_normalisation_has_one_spelling():
    assert DataSpec(normalization=" .5,0.50,5e-1 / 1,1,1") == DataSpec(normalization="0.5,0.5,0.5/1,1,1.0")
