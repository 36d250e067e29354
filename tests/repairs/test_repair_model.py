"""Repairing whole networks: both orders, both bias settings, and no harm done."""

import copy
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_networks import (
    FAMILIES,
    TinyResNet,
    TinyVGG,
    Twice,
    convs,
    fingerprint,
    noise,
    outputs,
    seeded,
    zeros,
)
from torch import nn

from asr_core import channel_stats, prune, repair
from asr_core.errors import DataError, ModelError, SpecError, UnknownName
from asr_core.measure import stats
from asr_core.repairs import passes, repair_model
from asr_core.repairs.methods import Factors
from asr_core.repairs.repair_model import LayerRepair
from asr_core.spec.repairs import ORDERS, RepairSpec

METHODS = ("lw_bn", "raw_bn", "asr_bn")


def moments_of(model, images):
    """(mean, variance) of each conv's output, float64, by layer: straight from whole activations."""
    return {
        name: (y.double().mean((0, 2, 3)), y.double().var((0, 2, 3), correction=0))
        for name, y in outputs(model, images).items()
    }


def pair(cls=TinyResNet, sparsity=0.6, dtype=torch.float64):
    """(dense, pruned) float64 networks without dead channels, and images."""
    dense = seeded(cls).to(dtype)
    pruned, _ = prune(dense, "uniform", sparsity=sparsity)
    return dense, pruned, noise().to(dtype)


def cut_channels(model, layer, channels):
    """Zero all weights of some output channels: their variance is then exactly zero."""
    with torch.no_grad():
        model.get_submodule(layer).weight[channels] = 0
    return model


# --- by hand ---


def two_convs(bias: bool) -> nn.Module:
    """An identity conv on one channel, then a 1x1 conv of two channels with weights 2 and 3."""
    model = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.Conv2d(1, 2, 1, bias=bias)).double().eval()
    with torch.no_grad():
        model[0].weight.fill_(1)
        model[1].weight.copy_(torch.tensor([2.0, 3.0]).view(2, 1, 1, 1))
        if bias:
            model[1].bias.copy_(torch.tensor([5.0, -1.0]))
    return model


def test_weights_and_bias_of_a_conv_with_bias_by_hand():
    """Input mean 1, variance 4. Dense: weight 2, bias 5: mean 7, variance 16. Damaged: weight 0.5: mean 5.5,
    variance 1. Factor 4: weight 2, bias 7 - 4 * (5.5 - 5) = 5; eq. 10 as printed would give -10."""
    images = torch.tensor([-1.0, 3.0], dtype=torch.float64).view(2, 1, 1, 1)
    dense = two_convs(bias=True)
    damaged = copy.deepcopy(dense)
    with torch.no_grad():
        damaged[1].weight[0] = 0.5
    repaired, table = repair(dense, damaged, images, "raw_bn", bias=True, eps=0)
    assert table["gamma"].tolist() == [4, 1] and table["b_new"].tolist() == [5, -1]
    assert repaired[1].weight.flatten().tolist() == [2, 3] and repaired[1].bias.tolist() == [5, -1]


def test_a_conv_without_bias_gets_one_by_hand():
    """Dense mean 3 (weight 3), damaged by -1: mean -1, variance 4 of 36, factor 3: bias 3 - 3 * -1 = 6."""
    images = torch.tensor([-1.0, 3.0], dtype=torch.float64).view(2, 1, 1, 1)
    dense = two_convs(bias=False)
    damaged = copy.deepcopy(dense)
    with torch.no_grad():
        damaged[1].weight[1] = -1
    repaired, table = repair(dense, damaged, images, "raw_bn", bias=True, eps=0)
    assert table["gamma"].tolist() == [1, 3]
    assert repaired[1].weight.flatten().tolist() == [2, -3] and repaired[1].bias.tolist() == [0, 6]


def test_without_mean_correction_the_bias_stays_as_it_was():
    dense, pruned, images = pair(TinyVGG)
    repaired, table = repair(dense, pruned, images, "lw_bn", bias=False)
    for before, after in zip(convs(pruned).values(), convs(repaired).values(), strict=True):
        assert torch.equal(before.bias, after.bias)
    assert table["b_new"].isna().all()
    dense, pruned, images = pair(TinyResNet)
    assert all(conv.bias is None for conv in convs(repair(dense, pruned, images, "lw_bn")[0]).values())


@pytest.mark.parametrize("method, default", [("lw_bn", False), ("raw_bn", True), ("asr_bn", True)])
def test_each_method_has_its_own_default_of_the_mean_correction(method, default):
    dense, pruned, images = pair()
    implied, named = (repair(dense, pruned, images, method, bias=bias)[1] for bias in (None, default))
    pd.testing.assert_frame_equal(implied, named)
    assert implied["b_new"].notna().all() == default


@pytest.mark.parametrize("mean", [float("inf"), float("-inf"), float("nan")])
def test_a_bias_that_would_not_be_finite_stays_as_it_was(mean):
    conv = two_convs(bias=True)[1]
    dense = stats.Moments(2, torch.tensor([mean, 3.0]).double(), torch.tensor([8.0, 72.0]).double())
    pruned = stats.Moments(2, torch.tensor([1.0, 3.0]).double(), torch.tensor([8.0, 8.0]).double())
    found = repair_model.layer_repair(conv, dense, pruned, RepairSpec.of("raw_bn", bias=True, eps=0))
    assert found.bias.tolist() == [5, 3 - 3 * (3 - -1)]


# --- both orders ---


@pytest.mark.parametrize("cls", FAMILIES.values(), ids=FAMILIES)
@pytest.mark.parametrize("bias", [False, True], ids=["nobias", "bias"])
def test_sequential_layer_wise_repair_makes_every_layers_mean_variance_ratio_1(cls, bias):
    dense, pruned, images = pair(cls)
    repaired, table = repair(dense, pruned, images, "lw_bn", "sequential", bias=bias, eps=0)
    wanted, found, before = (moments_of(model, images) for model in (dense, repaired, pruned))
    layers = table["layer"].unique()
    assert len(layers) == len(wanted) - 1
    for layer in layers:
        torch.testing.assert_close(found[layer][1].mean(), wanted[layer][1].mean(), rtol=1e-9, atol=0)
        assert abs(before[layer][1].mean() / wanted[layer][1].mean() - 1) > 0.01


@pytest.mark.parametrize("cls", FAMILIES.values(), ids=FAMILIES)
def test_sequential_raw_repair_with_bias_restores_both_moments_of_every_channel(cls):
    dense, pruned, images = pair(cls)
    repaired, table = repair(dense, pruned, images, "raw_bn", "sequential", bias=True, eps=0)
    wanted, found = moments_of(dense, images), moments_of(repaired, images)
    assert table["alive"].all()
    for layer in table["layer"].unique():
        torch.testing.assert_close(found[layer][1], wanted[layer][1], rtol=1e-9, atol=0)
        torch.testing.assert_close(found[layer][0], wanted[layer][0], rtol=1e-9, atol=1e-12)


def test_a_dead_channel_keeps_its_zeros_and_gets_the_dense_mean():
    dense, pruned, images = pair(TinyVGG)
    cut_channels(pruned, "3", [1, 4])
    repaired, table = repair(dense, pruned, images, "raw_bn", "sequential", bias=True, eps=0)
    rows = table[table["layer"] == "3"].set_index("channel")
    assert rows.index[~rows["alive"]].tolist() == [1, 4]
    assert rows.loc[[1, 4], "gamma"].tolist() == [1, 1]
    mean, variance = moments_of(repaired, images)["3"]
    torch.testing.assert_close(mean, moments_of(dense, images)["3"][0])
    assert variance[[1, 4]].tolist() == [0, 0]


@pytest.mark.parametrize("method", METHODS)
def test_the_two_orders_agree_in_the_first_repaired_layer_and_differ_after_it(method):
    dense, pruned, images = pair(TinyVGG)
    tables = [repair(dense, pruned, images, method, order)[1].set_index("layer") for order in ORDERS]
    np.testing.assert_allclose(tables[0].loc["3", "gamma"], tables[1].loc["3", "gamma"], rtol=1e-12)
    difference = (tables[0].loc["7", "gamma"] / tables[1].loc["7", "gamma"] - 1).abs()
    assert difference.max() > 0.01


def test_simultaneous_factors_come_from_the_unrepaired_network():
    dense, pruned, images = pair()
    _, table = repair(dense, pruned, images, "raw_bn", "simultaneous", eps=0)
    wanted, before = moments_of(dense, images), moments_of(pruned, images)
    for layer, rows in table.groupby("layer"):
        np.testing.assert_allclose(rows["gamma"], (wanted[layer][1] / before[layer][1]).sqrt(), rtol=1e-9)


def count_calls(model):
    calls = []
    model.register_forward_hook(lambda *_: calls.append(1))
    return calls


def test_sequential_repair_runs_the_pruned_network_once():
    dense, pruned, images = pair()
    calls = count_calls(pruned)
    repair(dense, pruned, images, "asr_bn", "sequential")
    assert len(calls) == 1
    dense_calls = count_calls(dense)
    repair(dense, pruned, images, "asr_bn", "simultaneous")
    assert len(dense_calls) == 1 and len(calls) == 2


@pytest.mark.parametrize("cls", [TinyResNet, TinyVGG])
@pytest.mark.parametrize("method", METHODS)
def test_layer_by_layer_gives_the_same_factors_as_one_pass(cls, method, monkeypatch):
    dense, pruned, images = pair(cls)
    expected = repair(dense, pruned, images, method, "sequential")[1]
    monkeypatch.setattr(passes, "MAX_PIXELS", 0)
    before = fingerprint(pruned)
    with pytest.warns(
        UserWarning, match="16 statistics images exceed one batch; sequential repair goes layer by layer"
    ):
        found = repair(dense, pruned, images, method, "sequential")[1]
    pd.testing.assert_frame_equal(found, expected, rtol=1e-9)
    assert fingerprint(pruned) == before


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("method", METHODS)
def test_a_conv_that_runs_twice_is_repaired_once(method, order):
    dense, pruned, images = pair(Twice)
    repaired, table = repair(dense, pruned, images, method, order)
    assert table["layer"].drop_duplicates().tolist() == ["shared", "last"]
    assert all(y.isfinite().all() for y in outputs(repaired, images).values())


def test_a_conv_that_runs_twice_gets_one_factor_from_the_statistics_of_both_runs():
    dense, pruned, images = pair(Twice)
    table = repair(dense, pruned, images, "raw_bn", "sequential", bias=False, eps=0)[1].set_index("layer")
    both = stats.collect(pruned, [images])["shared"].variance  # the first conv is not repaired
    wanted = stats.collect(dense, [images])["shared"].variance
    np.testing.assert_allclose(table.loc["shared", "gamma"], (wanted / both).sqrt(), rtol=1e-9)


def test_a_conv_that_runs_twice_can_go_layer_by_layer(monkeypatch):
    monkeypatch.setattr(passes, "MAX_PIXELS", 0)
    with pytest.warns(UserWarning, match="layer by layer"):
        repair(*pair(Twice), "lw_bn", "sequential")


def test_the_first_conv_to_run_is_skipped_unless_told_otherwise():
    dense, pruned, images = pair(Twice)
    for order in ORDERS:
        repaired, _ = repair(dense, pruned, images, "raw_bn", order)
        assert torch.equal(repaired.first.weight, pruned.first.weight)
        table = repair(dense, pruned, images, "raw_bn", order, skip_first=False)[1]
        assert table["layer"].iloc[0] == "first"


def test_a_network_of_one_conv_has_nothing_to_repair():
    model = nn.Sequential(nn.Conv2d(3, 4, 3)).eval()
    for order in ORDERS:
        with pytest.warns(UserWarning, match="lw_bn: only 0 runs, the first conv.*skip_first=False repairs it"):
            repaired, table = repair(model, model, noise(), "lw_bn", order)
        assert table.empty and "gamma" in table and torch.equal(repaired[0].weight, model[0].weight)


def test_bn_only_is_an_unchanged_copy_with_an_empty_table(model, images):
    repaired, table = repair(model, model, images, "bn_only")
    assert repaired is not model and fingerprint(repaired) == fingerprint(model)
    assert table.empty and table.columns.tolist() == list(repair(model, model, images, "lw_bn")[1].columns)


def test_repairing_an_undamaged_network_changes_nothing(model, images):
    for method in METHODS:
        repaired, table = repair(model, model, images, method, "sequential", eps=0)
        np.testing.assert_allclose(table["gamma"], 1, rtol=1e-6)
        torch.testing.assert_close(repaired(images), model(images), rtol=1e-4, atol=1e-5)


# --- degenerate layers ---


def half_dead():
    """A pruned network in which one layer has 7 dead channels of 12."""
    dense, pruned, images = pair(TinyVGG)
    return dense, cut_channels(pruned, "3", list(range(7))), images


@pytest.mark.parametrize("order", ORDERS)
def test_a_layer_with_most_channels_dead_stays_at_1_and_is_named(order):
    dense, pruned, images = half_dead()
    with pytest.warns(UserWarning, match="asr_bn: prior variance at the floor, factor 1 in the whole of 3$"):
        repaired, table = repair(dense, pruned, images, "asr_bn", order)
    rows = table[table["layer"] == "3"]
    assert rows["fallback"].all() and (rows["gamma"] == 1).all() and rows["alive"].sum() == 5
    assert not table.loc[table["layer"] != "3", "fallback"].any()
    assert torch.equal(repaired.get_submodule("3").weight, pruned.get_submodule("3").weight)
    assert rows["b_new"].notna().all()  # the mean correction stays
    torch.testing.assert_close(moments_of(repaired, images)["3"][0], moments_of(dense, images)["3"][0])


def test_a_half_dead_layer_is_still_repaired_by_the_other_methods_and_priors():
    dense, pruned, images = half_dead()
    for method, params in (("lw_bn", {}), ("raw_bn", {}), ("asr_bn", {"prior": "mean"})):
        rows = repair(dense, pruned, images, method, **params)[1].query("layer == '3'")
        assert (rows.loc[rows["alive"], "gamma"] != 1).all() and not rows["fallback"].any()


def constant(images):
    return torch.full_like(images, 0.7)


IMAGES = {
    "random": lambda images: images,
    "constant": constant,
    "black": torch.zeros_like,
    "huge": lambda images: images * 1e18,
    "huge constant": lambda images: constant(images) * 1e18,
    "tiny": lambda images: images * 1e-12,
    "one image": lambda images: images[:1],
}


@given(
    cls=st.sampled_from(list(FAMILIES.values())),
    kind=st.sampled_from(list(IMAGES)),
    sparsity=st.sampled_from([0.0, 0.3, 0.9, 0.97, 0.995]),
    rule=st.sampled_from(["uniform", "global_l1"]),
    dead=st.lists(st.integers(0, 7), max_size=8, unique=True),
    order=st.sampled_from(ORDERS),
    bias=st.booleans(),
)
def test_no_zero_comes_or_goes_and_nothing_becomes_nan(cls, kind, sparsity, rule, dead, order, bias):
    dense, images = seeded(cls), noise()
    pruned, _ = prune(dense, rule, sparsity=sparsity)
    layer = list(convs(pruned))[1]
    cut_channels(pruned, layer, dead)
    before = zeros(pruned)
    for method in METHODS:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*prior variance at the floor")
            repaired, table = repair(dense, pruned, IMAGES[kind](images), method, order, bias=bias)
        after = zeros(repaired)
        assert all(torch.equal(before[name], after[name]) for name in before)
        assert np.isfinite(table["gamma"]).all() and (table["gamma"] > 0).all()
        with torch.no_grad():
            assert repaired(images).isfinite().all() and repaired(IMAGES[kind](images)).isfinite().all()


# --- stored repairs, copies, bad input ---


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("bias", [False, True])
def test_neither_network_is_changed(model, images, method, order, bias):
    pruned, _ = prune(model, "global_l1", sparsity=0.5)
    model.train()
    pruned.train()
    before = fingerprint(model), fingerprint(pruned), images.clone()
    repaired, _ = repair(model, pruned, images, method, order, bias=bias)
    assert (fingerprint(model), fingerprint(pruned)) == before[:2] and torch.equal(images, before[2])
    assert repaired.training and repaired is not pruned
    shared = {p.data_ptr() for p in pruned.parameters()} & {p.data_ptr() for p in repaired.parameters()}
    assert not shared


def test_a_forward_pass_that_fails_leaves_no_hook_behind():
    dense, pruned, images = pair()
    broken = copy.deepcopy(pruned)
    broken.fc = nn.Linear(1, 1)
    before = fingerprint(broken)
    with pytest.raises(ModelError, match="cannot run on a batch of shape"):
        repair(dense, broken, images, "lw_bn", "sequential")
    assert fingerprint(broken) == before


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_a_stored_repair_gives_the_same_network_again(method, bias):
    dense, pruned, images = pair()
    repaired, table = repair(dense, pruned, images, method, "sequential", bias=bias)
    again = repair_model.apply_repairs(copy.deepcopy(pruned), repair_model.repairs_from_table(table))
    assert fingerprint(again) == fingerprint(repaired)


def test_the_table_has_a_row_per_repaired_channel_with_what_lies_behind_it():
    dense, pruned, images = pair(TinyVGG)
    table = repair(dense, pruned, images, "asr_bn")[1]
    assert table.columns.tolist() == [
        "layer",
        "channel",
        "gamma",
        "gamma_raw",
        "shrinkage",
        "prior_var",
        "b_new",
        "alive",
        "fallback",
    ]
    assert table["layer"].tolist() == ["3"] * 12 + ["7"] * 16 and table["channel"].tolist() == [*range(12), *range(16)]
    v_pruned = channel_stats(pruned, images).query("layer == '3'")["variance"]
    rows = table[table["layer"] == "3"]
    assert rows["prior_var"].iloc[0] == pytest.approx(torch.tensor(v_pruned.to_numpy()).median().item())
    np.testing.assert_allclose(rows["gamma"], 1 + rows["shrinkage"] * (rows["gamma_raw"] - 1), rtol=1e-12)


def test_images_may_come_as_batches():
    dense, pruned, images = pair()
    whole, parts = (repair(dense, pruned, x, "asr_bn", "sequential")[1] for x in (images, images.split(5)))
    pd.testing.assert_frame_equal(whole, parts)


def test_channels_last_networks_are_repaired_alike():
    dense, pruned, images = pair()
    expected = repair(dense, pruned, images, "asr_bn", "sequential")[1]
    dense, pruned = (m.to(memory_format=torch.channels_last) for m in (dense, pruned))
    found = repair(dense, pruned, images.contiguous(memory_format=torch.channels_last), "asr_bn", "sequential")[1]
    pd.testing.assert_frame_equal(found, expected, rtol=1e-9)


def test_the_corrected_output_is_that_of_the_repaired_conv():
    """What sequential repair shows to the next layer is what the finished network computes, with and without bias."""
    images, factors = noise().double(), Factors(torch.tensor([2.0, 0.5, 1.0]).double(), *[torch.ones(3).double()] * 2)
    for has_bias in (False, True):
        for new in (None, torch.tensor([1.0, -1.0, 3.0]).double()):
            model = nn.Sequential(nn.Conv2d(3, 3, 3, bias=has_bias)).double()
            mend = LayerRepair(factors, new, torch.ones(3, dtype=torch.bool))
            shown = repair_model.corrected(model(images), model[0], mend)
            torch.testing.assert_close(repair_model.apply_repairs(model, {"0": mend})(images), shown)


def test_networks_of_different_layouts_are_refused_before_any_pass():
    dense, calls = seeded(TinyResNet), []
    dense.register_forward_hook(lambda *_: calls.append(1))
    with pytest.raises(
        ModelError, match=r"conv conv1 is \(8, 3, 3, 3\) in the dense network and None in the pruned one"
    ):
        repair(dense, seeded(TinyVGG), noise(), "lw_bn")
    assert not calls


@pytest.mark.parametrize(
    "method, params, message",
    [
        ("asrbn", {}, "unknown repair method 'asrbn'. Did you mean 'asr_bn'"),
        ("lw_bn", {"order": "sequentially"}, "unknown order 'sequentially'. Did you mean 'sequential'"),
        ("bn_only", {"order": "sideways"}, "unknown order 'sideways'"),
        ("lw_bn", {"prior": "mean"}, "unknown parameter of lw_bn 'prior'. .*Choices: eps, floor, skip_first"),
        ("asr_bn", {"bias": "off"}, "bias is 'off'; give True or False"),
        ("asr_bn", {"eps": float("inf")}, "eps is inf; give a finite number of at least 0"),
    ],
)
def test_bad_choices_are_refused_before_any_pass(method, params, message):
    dense, pruned, images = pair()
    calls = count_calls(dense)
    with pytest.raises(SpecError, match=message):
        repair(dense, pruned, images, method, **params)
    assert not calls


def test_a_network_without_convs_and_no_images_are_refused():
    linear = nn.Sequential(nn.Linear(3, 3))
    with pytest.raises(ModelError, match="no Conv2d"):
        repair(linear, linear, torch.zeros(2, 3), "lw_bn")
    for nothing in ([], torch.zeros(0, 3, 8, 8)):
        with pytest.raises(DataError, match="no images"):
            repair(seeded(), seeded(), nothing, "lw_bn", "sequential")


def test_compute_repairs_takes_stored_statistics():
    """The pipeline's way: moments from the store, no pass for order simultaneous."""
    dense, pruned, images = pair()
    expected = repair(dense, pruned, images, "asr_bn")[1]
    collected = [stats.collect(m, [images]) for m in (dense, pruned)]
    calls = count_calls(pruned)
    repairs = passes.compute_repairs(pruned, None, RepairSpec.of("asr_bn"), *collected)
    pd.testing.assert_frame_equal(repair_model.repairs_table(repairs), expected)
    assert not calls


def test_unknown_names_are_spec_errors():
    assert issubclass(UnknownName, SpecError)
