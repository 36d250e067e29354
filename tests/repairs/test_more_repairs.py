"""Repairs that look at more than variances: laws, agreement with the slow way, kinds of convs, passes."""

import copy
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from tiny_networks import TinyResNet, TinyVGG, Twice, convs, noise, outputs, seeded, zeros
from torch import nn
from torch.nn import functional as F

from asr_core import prune, recalibrate, repair, repair_factors, repairability, signal
from asr_core.errors import SpecError
from asr_core.measure.inputs import input_means
from asr_core.pipeline import asked, plan
from asr_core.repairs import equations, passes, repair_model
from asr_core.spec.experiment import ExperimentSpec, Setting
from asr_core.spec.repairs import ORDERS, RepairSpec, repairs

NEW = ("ls_bn", "mls_bn", "mean_bn", "dfq_bn", "norm_bn")
ONE = {"skip_first": False, "eps": 0}


def one_conv(seed=0, sparsity=0.6, **how):
    """(dense, pruned) networks of one conv, in float64."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        dense = nn.Sequential(nn.Conv2d(**{"in_channels": 4, "out_channels": 6, "kernel_size": 3} | how), nn.Flatten())
        dense = dense.double().eval()
    pruned = copy.deepcopy(dense)
    with torch.no_grad():
        weight = pruned[0].weight
        weight[weight.abs() < weight.abs().quantile(sparsity)] = 0
    return dense, pruned


def pictures(count=12, channels=4, size=7, seed=0):
    return torch.randn(count, channels, size, size, generator=torch.Generator().manual_seed(seed)).double() + 0.5


KINDS = {
    "plain": {},
    "strided": {"stride": 2, "padding": 1},
    "dilated": {"dilation": 2, "padding": 2},
    "grouped": {"groups": 2},
    "depthwise": {"in_channels": 4, "out_channels": 4, "groups": 4},
    "pointwise": {"kernel_size": 1},
    "oblong": {"kernel_size": (1, 3), "padding": (0, 1), "stride": (2, 1)},
    "same": {"padding": "same"},
    "reflecting": {"padding": 1, "padding_mode": "reflect"},
    "circular": {"padding": 1, "padding_mode": "circular"},
    "without bias": {"bias": False},
}


def errors(dense, other, images):
    """Mean squared error per channel."""
    table = signal(dense, other, images)
    return table[["error_mean", "error_scale", "error_decorrelation"]].sum(axis=1) * table["v_dense"]


# --- least-squares scale ---


@pytest.mark.parametrize("kind", KINDS)
def test_what_least_squares_leaves_is_the_uncorrelated_part(kind):
    """v_dense (1 - rho^2), in one layer, with mean correction."""
    dense, pruned = one_conv(**KINDS[kind])
    images = pictures()
    before = signal(dense, pruned, images)
    repaired, _ = repair(dense, pruned, images, "ls_bn", **ONE)
    np.testing.assert_allclose(
        errors(dense, repaired, images), before["v_dense"] * (1 - before["rho"].fillna(0) ** 2), rtol=1e-9, atol=1e-12
    )


def test_the_factor_is_the_correlation_times_the_raw_one():
    dense, pruned = one_conv()
    table = repair(dense, pruned, pictures(), "ls_bn", **ONE)[1]
    rho = signal(dense, pruned, pictures())["rho"]
    np.testing.assert_allclose(table["gamma"], rho * table["gamma_raw"])


def test_a_channel_that_goes_against_its_dense_one_gets_a_negative_factor():
    dense, pruned = one_conv()
    with torch.no_grad():
        pruned[0].weight[0] *= -1
    repaired, table = repair(dense, pruned, pictures(), "ls_bn", **ONE)
    assert table["gamma"][0] < 0
    assert errors(dense, repaired, pictures())[0] < errors(dense, pruned, pictures())[0]


# --- masked least squares ---


def by_lstsq(dense, pruned, images):
    """Kept weights and bias of each channel by numpy's lstsq on unfolded inputs, without padding modes."""
    conv = pruned[0]
    u = F.unfold(images, conv.kernel_size, conv.dilation, conv.padding, conv.stride).transpose(1, 2).flatten(0, 1)
    y = dense[0](images).movedim(1, -1).flatten(0, 2).detach().numpy()
    u, weight = u.numpy(), np.zeros(conv.weight.shape)
    bias, size, per = np.zeros(len(weight)), conv.weight[0].numel(), len(weight) // conv.groups
    for channel in range(len(weight)):
        own = u[:, (channel // per) * size : (channel // per + 1) * size]
        kept = (conv.weight[channel] != 0).flatten().numpy()
        found = np.linalg.lstsq(np.column_stack([own[:, kept], np.ones(len(own))]), y[:, channel], rcond=None)[0]
        weight[channel].reshape(-1)[kept], bias[channel] = found[:-1], found[-1]
    return weight, bias


@pytest.mark.parametrize("kind", ["plain", "strided", "dilated", "grouped", "depthwise", "pointwise", "oblong"])
def test_masked_least_squares_is_what_lstsq_finds(kind):
    dense, pruned = one_conv(**KINDS[kind])
    repaired, _ = repair(dense, pruned, pictures(), "mls_bn", ridge=0.0, **ONE)
    weight, bias = by_lstsq(dense, pruned, pictures())
    np.testing.assert_allclose(repaired[0].weight.detach(), weight, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(repaired[0].bias.detach(), bias, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("count", [2, 5])
def test_fewer_pixels_than_weights_give_the_smallest_solution(count):
    dense, pruned = one_conv(sparsity=0.2)
    images = pictures(count, size=3)
    repaired, _ = repair(dense, pruned, images.repeat(2, 1, 1, 1), "mls_bn", ridge=0.0, **ONE)
    np.testing.assert_allclose(errors(dense, repaired, images.repeat(2, 1, 1, 1)), 0, atol=1e-12)
    keep = pruned[0].weight[0] != 0
    u = F.unfold(images, 3).transpose(1, 2).flatten(0, 1)[:, keep.flatten()].numpy()
    y = dense[0](images)[:, 0].flatten().detach().numpy()
    expected = np.linalg.lstsq(u - u.mean(0), y - y.mean(), rcond=None)[0]
    np.testing.assert_allclose(repaired[0].weight[0][keep].detach(), expected, atol=1e-9)


@pytest.mark.parametrize("size", [3, 7])
def test_the_ridge_is_relative_to_the_inputs(size):
    """Rows that are fewer than inputs, and products: both solve (U'U / n + lambda I) w = U'y / n."""
    dense, pruned = one_conv(sparsity=0.3)
    images = pictures(4, size=size)
    repaired, _ = repair(dense, pruned, images, "mls_bn", ridge=0.1, **ONE)
    u = F.unfold(images, 3).transpose(1, 2).flatten(0, 1)
    u = (u - u.mean(0)).numpy()
    level = 0.1 * (u**2).mean()
    y = dense[0](images).movedim(1, -1).flatten(0, 2).detach().numpy()
    for channel in range(6):
        keep = (pruned[0].weight[channel] != 0).flatten().numpy()
        own = u[:, keep]
        left = own.T @ own / len(own) + level * np.eye(keep.sum())
        expected = np.linalg.solve(left, own.T @ (y[:, channel] - y[:, channel].mean()) / len(own))
        np.testing.assert_allclose(repaired[0].weight[channel].flatten()[keep].detach(), expected, rtol=1e-8)


@pytest.mark.parametrize("kind", KINDS)
def test_masked_least_squares_is_never_further_off_than_the_best_factor(kind):
    dense, pruned = one_conv(**KINDS[kind])
    ours = errors(dense, repair(dense, pruned, pictures(), "mls_bn", ridge=0.0, **ONE)[0], pictures())
    scaled = errors(dense, repair(dense, pruned, pictures(), "ls_bn", **ONE)[0], pictures())
    assert (ours <= scaled + 1e-12).all()
    assert ours.sum() < scaled.sum() or kind == "depthwise"


@pytest.mark.parametrize("kept", [0, 1])
@pytest.mark.parametrize("bias", [False, True])
def test_channels_with_one_kept_weight_or_none(kept, bias):
    dense, pruned = one_conv()
    with torch.no_grad():
        pruned[0].weight[0] = 0
        pruned[0].weight[0].view(-1)[:kept] = 0.3
    before = zeros(pruned)
    repaired, _ = repair(dense, pruned, pictures(), "mls_bn", bias=bias, **ONE)
    assert torch.equal(zeros(repaired)["0"], before["0"])
    assert repaired(pictures()).isfinite().all()
    if bias:
        np.testing.assert_allclose(signal(dense, repaired, pictures())["error_mean"], 0, atol=1e-20)


def test_a_conv_without_any_kept_weight_gets_the_dense_mean():
    dense, pruned = one_conv()
    nn.init.zeros_(pruned[0].weight)
    repaired, _ = repair(dense, pruned, pictures(), "mls_bn", **ONE)
    assert not repaired[0].weight.any()
    np.testing.assert_allclose(signal(dense, repaired, pictures())["error_mean"], 0, atol=1e-20)


def test_a_weight_whose_best_value_is_0_stays_in_the_mask():
    """A constant input and a constant dense output say nothing of a weight."""
    dense, pruned = one_conv()
    with torch.no_grad():
        dense[0].weight[2] = 0
    images = pictures()
    images[:, 1] = 1.0
    repaired, _ = repair(dense, pruned, images, "mls_bn", **ONE)
    assert torch.equal(zeros(repaired)["0"], zeros(pruned)["0"])
    assert repaired[0].weight[2].abs().max() < 1e-5


def test_without_mean_correction_the_mean_is_as_the_weights_make_it():
    dense, pruned = one_conv()
    with_bias, without = (repair(dense, pruned, pictures(), "mls_bn", bias=bias, **ONE)[0] for bias in (True, False))
    assert torch.equal(with_bias[0].weight, without[0].weight)
    assert torch.equal(without[0].bias, pruned[0].bias)


def test_batches_of_channels_and_of_images_do_not_matter(monkeypatch):
    dense, pruned = one_conv()
    whole = repair(dense, pruned, pictures(), "mls_bn", **ONE)[0]
    monkeypatch.setattr(equations, "SOLVED", 1)
    monkeypatch.setattr(equations, "ROWS", 1)
    parts = repair(dense, pruned, pictures(), "mls_bn", **ONE)[0]
    torch.testing.assert_close(parts[0].weight, whole[0].weight, rtol=1e-9, atol=1e-12)


def test_masked_least_squares_goes_along_with_permuted_channels():
    dense, pruned = one_conv()
    places = torch.tensor([3, 1, 5, 0, 2, 4])
    expected = repair(dense, pruned, pictures(), "mls_bn", **ONE)[0]
    for network in (dense, pruned):
        network[0].weight = nn.Parameter(network[0].weight[places])
        network[0].bias = nn.Parameter(network[0].bias[places])
    found = repair(dense, pruned, pictures(), "mls_bn", **ONE)[0]
    torch.testing.assert_close(found[0].weight, expected[0].weight[places])
    torch.testing.assert_close(found[0].bias, expected[0].bias[places])


@pytest.mark.parametrize("method", ["ls_bn", "mls_bn"])
def test_the_scale_of_the_pruned_layer_does_not_matter(method):
    dense, pruned = one_conv(bias=False)
    expected = repair(dense, pruned, pictures(), method, **ONE)[0]
    with torch.no_grad():
        pruned[0].weight *= 7
    torch.testing.assert_close(repair(dense, pruned, pictures(), method, **ONE)[0](pictures()), expected(pictures()))


def test_an_unpruned_network_stays_what_it_is(model, images):
    for order in ORDERS:
        repaired, _ = repair(model, model, images.repeat(4, 1, 1, 1), "mls_bn", order, ridge=1e-12)
        torch.testing.assert_close(repaired(images), model(images), rtol=1e-3, atol=1e-3)


# --- without images ---


def test_the_mean_of_a_rectified_batchnorm_by_numbers():
    model = seeded(TinyVGG)
    found = input_means(model)
    assert set(found) == {"3"}  # conv 7 comes after a pool, conv 0 sees pixels
    normal = torch.randn(400_000, 8, generator=torch.Generator().manual_seed(0)).double()
    bn = model[1]
    expected = (normal * bn.weight + bn.bias).relu().mean(0)
    torch.testing.assert_close(found["3"], expected.double(), atol=5e-3, rtol=0)


def test_data_free_correction_adds_what_the_removed_weights_gave():
    model = seeded(TinyVGG)
    pruned, _ = prune(model, "global_l1", sparsity=0.7)
    with pytest.warns(UserWarning, match="dfq_bn: the input is no ReLU of a BatchNorm, nothing is corrected in 7"):
        repaired, table = repair(model, pruned, noise(), "dfq_bn")
    lost = (model[3].weight - pruned[3].weight).double().sum((2, 3))
    expected = pruned[3].bias + (lost @ input_means(model)["3"]).float()
    torch.testing.assert_close(repaired[3].bias, expected)
    assert torch.equal(repaired[3].weight, pruned[3].weight)
    assert torch.equal(repaired[7].bias, pruned[7].bias)
    assert table.groupby("layer")["fallback"].first().to_dict() == {"3": False, "7": True}


def test_a_network_that_cannot_be_traced_gets_no_data_free_correction():
    class Wild(TinyVGG):
        def forward(self, x):
            return super().forward(x) if x.sum() > -1e9 else x

    assert input_means(seeded(Wild)) == {}


class ByKeyword(TinyVGG):
    """Every layer is called as `layer(input=x)`."""

    def forward(self, x):
        for layer in self:
            x = layer(input=x)
        return x


@pytest.mark.parametrize("method", ["asr_bn", "mls_bn", "dfq_bn"])
@pytest.mark.filterwarnings("ignore:dfq_bn")
def test_layers_that_are_called_by_keyword_are_repaired_alike(method):
    found = []
    for kind in (TinyVGG, ByKeyword):
        model = seeded(kind)
        pruned, _ = prune(model, "global_l1", sparsity=0.7)
        found.append(repair(model, pruned, noise(), method)[0].state_dict())
    assert found[0].keys() == found[1].keys()
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


def test_layers_that_are_called_by_keyword_are_as_repairable():
    tables = [repairability(seeded(kind), noise(), sparsities=(0.5, 0.9))[0] for kind in (TinyVGG, ByKeyword)]
    pd.testing.assert_frame_equal(*tables)


def test_weight_norms_are_as_before(model, images):
    pruned, _ = prune(model, "global_l1", sparsity=0.7)
    repaired, table = repair(model, pruned, images, "norm_bn")
    for layer, rows in table.groupby("layer"):
        dense, now = (convs(m)[layer].weight.flatten(1).norm(dim=1) for m in (model, repaired))
        alive = rows["alive"].to_numpy(copy=True)
        np.testing.assert_allclose(now.detach()[alive], dense.detach()[alive], rtol=1e-5)


def test_mean_correction_alone_keeps_weights_and_sets_means(model, images):
    pruned, _ = prune(model, "global_l1", sparsity=0.7)
    repaired, _ = repair(model, pruned, images, "mean_bn", "sequential")
    table = signal(model, repaired, images).groupby("layer", sort=False)["error_mean"].max().iloc[1:]
    assert (table < 1e-6).all()
    assert all(torch.equal(c.weight, convs(pruned)[name].weight) for name, c in convs(repaired).items())


@pytest.mark.parametrize("method", ["mean_bn", "dfq_bn"])
def test_methods_of_means_alone_refuse_to_go_without_mean_correction(method):
    with pytest.raises(SpecError, match=f"{method} without mean correction changes nothing; give bias on"):
        RepairSpec.of(method, bias=False)
    assert [repair.bias for repair in repairs((method,), ("sequential",))] == [True]
    with pytest.raises(SpecError, match="takes no bias off"):
        asked.grid((method,), biases=("off",))


@pytest.mark.parametrize("method", ["ls_bn", "mls_bn", "dfq_bn", "norm_bn"])
def test_variances_alone_are_not_enough_for_methods_with_needs(method):
    with pytest.raises(SpecError, match=f"{method} needs .*use asr_core.repair with images"):
        repair_factors(method, [1.0], [1.0])


# --- passes ---


def counted(*networks):
    """A dict that counts the forward passes of each network."""
    passed = dict.fromkeys(range(len(networks)), 0)
    for number, network in enumerate(networks):
        network.register_forward_hook(lambda *_, n=number: passed.update({n: passed[n] + 1}))
    return passed


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("method", ["ls_bn", "mls_bn"])
def test_what_a_method_needs_is_measured_in_one_pass_of_both_networks(method, order):
    """One more than the statistics of the simple methods take."""
    dense = seeded(TinyResNet)
    pruned, _ = prune(dense, "global_l1", sparsity=0.5)
    plain, more = counted(dense, pruned), None
    repair(dense, pruned, noise(), "raw_bn", order)
    simple = dict(plain)
    more = counted(dense, pruned)
    repair(dense, pruned, noise(), method, order)
    assert more == {0: simple[0] + 1, 1: simple[1] + (order == "simultaneous")}


def test_the_default_grid_costs_what_it_cost():
    """64 images through dense and pruned, through each sequential repair, and through each repaired network."""
    spec = ExperimentSpec.of_setting(Setting(), repairs(), ())
    planned = plan.tasks(spec.with_(states=ExperimentSpec().states), "1" * 16, 1437, 360)
    by_stage = {stage: sum(t.images for t in planned if t.stage == stage) for stage in ("stats", "repair")}
    assert by_stage == {"stats": 64 * (2 + 12 + 13), "repair": 64 * 6}
    assert "signal" not in {t.stage for t in planned}


def test_methods_that_need_both_networks_say_what_they_cost():
    spec = ExperimentSpec.of_setting(Setting(), repairs(("mls_bn", "norm_bn")), ExperimentSpec().states)
    planned = {t.network: t.images for t in plan.tasks(spec, "1" * 16, 1437, 360) if t.stage == "repair"}
    assert planned[RepairSpec.of("mls_bn", "simultaneous", True)] == 128
    assert planned[RepairSpec.of("mls_bn", "sequential", True)] == 128
    assert planned[RepairSpec.of("norm_bn", "simultaneous", True)] == 0


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("method", NEW)
@pytest.mark.parametrize("bound", ["MAX_PIXELS", "MAX_BYTES"])
def test_layer_by_layer_gives_what_one_pass_gives(method, order, bound, monkeypatch):
    dense, images = seeded(TinyResNet), noise()
    pruned, _ = prune(dense, "global_l1", sparsity=0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected, _ = repair(dense, pruned, images, method, order)
        monkeypatch.setattr(passes, bound, 0)
        monkeypatch.setattr(passes, "BATCH", 5)
        found, _ = repair(dense, pruned, images, method, order)
    torch.testing.assert_close(found(images), expected(images), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("method", ["ls_bn", "mls_bn"])
def test_a_conv_that_runs_twice_is_measured_in_all_its_runs(method, order):
    dense = seeded(Twice)
    pruned, _ = prune(dense, "global_l1", sparsity=0.5)
    repaired, table = repair(dense, pruned, noise(), method, order)
    assert set(table["layer"]) == {"shared", "last"}
    assert repaired(noise()).isfinite().all()


@pytest.mark.parametrize("method", ["ls_bn", "mls_bn"])
def test_sequential_repair_is_layer_after_layer(method):
    """As repairing one layer at a time, each on the network repaired so far."""
    dense, images = seeded(TinyVGG).double(), noise().double()
    pruned, _ = prune(dense, "global_l1", sparsity=0.5)
    expected = copy.deepcopy(pruned)
    for name in list(convs(dense))[1:]:
        step, _ = repair(dense, expected, images, method, "simultaneous")
        expected.get_submodule(name).load_state_dict(step.get_submodule(name).state_dict())
    found, _ = repair(dense, pruned, images, method, "sequential")
    torch.testing.assert_close(found(images), expected(images), rtol=1e-6, atol=1e-9)


def test_masked_least_squares_brings_outputs_nearer_than_scales_do(images):
    dense = seeded(TinyResNet)
    pruned, _ = prune(dense, "global_l1", sparsity=0.6)
    layer = "conv3"
    off = {}
    for method in ("raw_bn", "ls_bn", "mls_bn"):
        repaired, _ = repair(dense, pruned, images, method, "sequential", True)
        off[method] = (outputs(repaired, images)[layer] - outputs(dense, images)[layer]).square().mean()
    assert off["mls_bn"] < off["ls_bn"]
    assert off["mls_bn"] < off["raw_bn"]


def test_batchnorm_does_not_absorb_it(images):
    """After full recalibration scales and shifts are gone; new directions are not."""
    dense = seeded(TinyResNet)
    pruned, _ = prune(dense, "global_l1", sparsity=0.6)
    batches = [noise(seed=1), noise(seed=2)]

    def logits(network):
        return recalibrate(network, batches, (2,), averaging="cumulative")[2](images)

    plain = logits(pruned)
    for method in ("raw_bn", "mean_bn", "norm_bn"):
        assert (logits(repair(dense, pruned, images, method)[0]) - plain).abs().max() < 1e-2, method
    assert (logits(repair(dense, pruned, images, "mls_bn")[0]) - plain).abs().max() > 0.1


def test_a_stored_repair_with_new_weights_is_applied_again(images):
    dense = seeded(TinyResNet)
    pruned, _ = prune(dense, "global_l1", sparsity=0.6)
    repaired, table = repair(dense, pruned, images, "mls_bn")
    kept = {name: convs(repaired)[name].weight[convs(repaired)[name].weight != 0] for name in table["layer"].unique()}
    again = repair_model.apply_repairs(copy.deepcopy(pruned), repair_model.repairs_from_table(table, kept))
    torch.testing.assert_close(again(images), repaired(images))
