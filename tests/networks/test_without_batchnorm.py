"""Networks without BatchNorm: convs and the linear layers of transformers are measured, pruned and repaired; nothing is
recalibrated."""

import copy
import warnings

import numpy as np
import pytest
import torch
from tiny_networks import WITHOUT_BATCHNORM, fingerprint, noise, seeded
from torch import nn

import asr_core
from asr_core import registry
from asr_core.errors import ModelError
from asr_core.measure import absorption, stats
from asr_core.networks import models
from asr_core.pruning import masks

LINEAR = {
    "convnext": ["features.1.0.block.3", "features.1.0.block.5", "features.3.0.block.3", "features.3.0.block.5"],
    "vit": [f"encoder.layers.encoder_layer_{i}.mlp.{j}" for i in (0, 1) for j in (0, 3)],
    "vgg": [],
}
METHODS = [name for name in registry.names("repair method") if name != "bn_only"]


@pytest.fixture(params=list(WITHOUT_BATCHNORM))
def family(request):
    return request.param


@pytest.fixture
def dense(family):
    network = seeded(WITHOUT_BATCHNORM[family], seed=1)
    for name, parameter in network.named_parameters():
        if name.endswith("layer_scale"):  # 1e-6 as it comes, so that a block would do nothing
            nn.init.ones_(parameter)
    return network


@pytest.fixture
def images(family):
    return noise(12, size=8)


@pytest.fixture
def pruned(dense):
    return asr_core.prune(dense, "global_l1", sparsity=0.5)[0]


def outputs(network, images) -> dict:
    """Each layer's output as rows (position, channel), float64: the slow and certain way."""
    found = {}

    def keep(layer, _, output, name):
        rows = output if isinstance(layer, nn.Linear) else output.movedim(1, -1)
        found[name] = rows.detach().reshape(-1, rows.shape[-1]).double().numpy()

    network = copy.deepcopy(network).eval()
    for name, layer in models.conv_layers(network).items():
        layer.register_forward_hook(lambda *given, name=name: keep(*given, name))
    with torch.no_grad():
        network(images)
    return found


def repaired(dense, pruned, images, method, order="sequential", **params):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        bias = True in registry.get("repair method", method).biases
        return asr_core.repair(dense, pruned, images, method, order, bias, skip_first=False, **params)


def test_linear_layers_of_tokens_are_layers_and_head_and_attention_are_none(family, dense):
    linear = [name for name, layer in models.conv_layers(dense).items() if isinstance(layer, nn.Linear)]
    assert linear == LINEAR[family]


def test_a_network_with_batchnorm_keeps_its_linear_layers_out(model):
    assert not any(isinstance(layer, nn.Linear) for layer in models.conv_layers(model).values())


def test_statistics_are_those_of_every_position(dense, images):
    table, expected = asr_core.channel_stats(dense, images), outputs(dense, images)
    for name, rows in table.groupby("layer", sort=False):
        np.testing.assert_allclose(rows["mean"], expected[name].mean(0), atol=1e-6)
        np.testing.assert_allclose(rows["variance"], expected[name].var(0), rtol=1e-5, atol=1e-9)
    assert set(table["layer"]) == set(expected)


def test_pruning_meets_its_budget_over_all_these_layers(dense, pruned):
    weights = masks.prunable(pruned)
    assert list(weights) == list(models.conv_layers(dense))
    zeros = sum(int((weight == 0).sum()) for weight in weights.values())
    assert zeros == round(0.5 * sum(weight.numel() for weight in weights.values()))


@pytest.mark.parametrize("method", ["raw_bn", "mls_bn"])
def test_sequential_repair_brings_every_mean_back(dense, pruned, images, method):
    mended, _ = repaired(dense, pruned, images, method)
    wanted, found = outputs(dense, images), outputs(mended, images)
    for name in wanted:
        np.testing.assert_allclose(found[name].mean(0), wanted[name].mean(0), atol=2e-5)


def test_sequential_raw_brings_the_variance_of_every_live_channel_back(dense, pruned, images):
    mended, factors = repaired(dense, pruned, images, "raw_bn", eps=0.0)
    wanted, found = outputs(dense, images), outputs(mended, images)
    for name in wanted:
        live = factors[factors["layer"] == name]["alive"].to_numpy()
        np.testing.assert_allclose(found[name].var(0)[live], wanted[name].var(0)[live], rtol=1e-3)


@pytest.mark.parametrize("order", ["simultaneous", "sequential"])
@pytest.mark.parametrize("method", METHODS)
def test_every_repair_keeps_masks_and_both_networks(dense, pruned, images, method, order):
    before = fingerprint(dense), fingerprint(pruned)
    mended, _ = repaired(dense, pruned, images, method, order)
    for name, layer in models.conv_layers(mended).items():
        assert torch.equal(layer.weight == 0, models.conv_layers(pruned)[name].weight == 0)
    assert (fingerprint(dense), fingerprint(pruned)) == before


def test_masked_least_squares_is_numpys_on_a_linear_layer(family, dense, images):
    if not LINEAR[family]:
        pytest.skip("no linear layer on tokens")
    name, pruned = LINEAR[family][0], copy.deepcopy(dense)
    layer = models.conv_layers(pruned)[name]
    with torch.no_grad():
        layer.weight[:, ::2] = 0
    given = []
    layer.register_forward_pre_hook(lambda _, values: given.append(values[0].reshape(-1, values[0].shape[-1])))
    mended, _ = repaired(dense, pruned, images, "mls_bn", ridge=0.0)
    with torch.no_grad():
        given.clear()
        pruned(images)
    u, y = given[0].double().numpy()[:, 1::2], outputs(dense, images)[name]
    expected = np.linalg.lstsq(u - u.mean(0), y - y.mean(0), rcond=None)[0].T
    found = models.conv_layers(mended)[name].weight.detach().double().numpy()[:, 1::2]
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_signal_is_whole_for_a_copy_and_lost_for_a_pruned_network(dense, pruned, images):
    same, table = asr_core.signal(dense, copy.deepcopy(dense), images), asr_core.signal(dense, pruned, images)
    assert same["rho"].dropna().min() == pytest.approx(1) and table["rho"].median() < 0.999
    assert set(table["layer"]) == set(models.conv_layers(dense))


def test_maps_of_a_linear_layer_have_their_tokens_as_space(family, dense, images):
    for name in LINEAR[family][:1]:
        maps = asr_core.activation_maps(dense, images[:2], name)
        rows = np.moveaxis(maps, 1, -1).reshape(-1, maps.shape[1])
        np.testing.assert_allclose(rows, outputs(dense, images[:2])[name], atol=1e-5)


def test_recalibration_says_that_there_is_nothing_to_recalibrate(pruned, images):
    with pytest.raises(ModelError, match="nothing to recalibrate"):
        asr_core.recalibrate(pruned, [images] * 2)


def test_nothing_is_absorbed(dense):
    index = absorption.conv_index(dense)
    assert (index["absorbed"] == "no").all() and list(index["layer"])


def test_what_a_hook_gives_back_replaces_the_output_of_a_linear_layer(family, dense, images):
    for name in LINEAR[family][-1:]:
        with (
            stats.frozen(dense),
            stats.hooked(dense, lambda n, _, out, *given, name=name: 0 * out if n == name else None),
        ):
            assert torch.isfinite(dense(images)).all()
        halved = copy.deepcopy(dense)
        with torch.no_grad():
            models.conv_layers(halved)[name].weight.zero_()
            models.conv_layers(halved)[name].bias.zero_()
        with (
            stats.frozen(dense),
            stats.hooked(dense, lambda n, _, out, *given, name=name: 0 * out if n == name else None),
        ):
            torch.testing.assert_close(dense(images), halved(images))
