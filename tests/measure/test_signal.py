"""asr_core.signal: hand-computed numbers, the law of the three parts, streaming, and what is refused."""

import copy

import numpy as np
import pytest
import torch
from tiny_networks import TinyResNet, TinyVGG, Twice, convs, fingerprint, noise, outputs, seeded
from torch import nn

from asr_core import prune, signal
from asr_core.errors import DataError, ModelError
from asr_core.measure import errorparts
from asr_core.measure import signal as measured


class Pixels(nn.Module):
    """One 1x1 conv whose two channels give back the first two channels of the input, times `scale` plus `shift`."""

    def __init__(self, scale=(1.0, 1.0), shift=(0.0, 0.0), mixed=0.0):
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 1)
        weight = torch.tensor([[scale[0], 0, mixed], [0, scale[1], 0]], dtype=torch.float64)
        self.conv.weight = nn.Parameter(weight[:, :, None, None])
        self.conv.bias = nn.Parameter(torch.tensor(shift, dtype=torch.float64))

    def forward(self, x):
        return self.conv(x).flatten(1)


def pixels(first, second, third) -> torch.Tensor:
    """Images of one pixel, whose channels are the given lists."""
    return torch.tensor([first, second, third], dtype=torch.float64).T[:, :, None, None]


Y = pixels([1, 3, 1, 3], [0, 2, 4, 6], [1, 1, -1, -1])


def test_factor_and_shift_by_hand():
    """Channel 0 has mean 2 and variance 1, channel 1 mean 3 and variance 5; both are doubled, and 1 is added."""
    table = signal(Pixels(), Pixels((2.0, 2.0), (1.0, 1.0)), Y)
    np.testing.assert_allclose(table["mu_dense"], [2, 3])
    np.testing.assert_allclose(table["mu"], [5, 7])
    np.testing.assert_allclose(table["v_dense"], [1, 5])
    np.testing.assert_allclose(table["v"], [4, 20])
    np.testing.assert_allclose(table["cov"], [2, 10])
    np.testing.assert_allclose(table["rho"], [1, 1])
    np.testing.assert_allclose(table["error_mean"], [9, 16 / 5])
    np.testing.assert_allclose(table["error_scale"], [1, 1])
    np.testing.assert_allclose(table["error_decorrelation"], [0, 0], atol=1e-12)


def test_noise_by_hand():
    """To channel 0 an uncorrelated signal of variance 1 is added: v = 2, cov = 1, rho = 1 / sqrt 2."""
    row = signal(Pixels(), Pixels(mixed=1.0), Y).iloc[0]
    assert row["v"] == pytest.approx(2)
    assert row["cov"] == pytest.approx(1)
    assert row["rho"] == pytest.approx(0.5**0.5)
    assert row["error_mean"] == pytest.approx(0)
    assert row["error_scale"] == pytest.approx((2**0.5 - 1) ** 2)
    assert row["error_decorrelation"] == pytest.approx(2 * (2**0.5 - 1))


def test_a_silent_channel_has_no_rho_but_all_parts():
    row = signal(Pixels(), Pixels((0.0, 1.0)), Y).iloc[0]
    assert np.isnan(row["rho"])
    assert row["error_mean"] == pytest.approx(4)
    assert row["error_scale"] == pytest.approx(1)
    assert row["error_decorrelation"] == pytest.approx(0)


def test_a_channel_that_is_constant_is_silent_whatever_its_value():
    """Also in float32, where sums of a third are rounded."""
    dense, other = Pixels().float(), Pixels((0.0, 1.0), (1 / 3, 0.0)).float()
    row = signal(dense, other, noise(size=9)).iloc[0]
    assert row["v"] < 1e-15
    assert np.isnan(row["rho"])


def test_outputs_whose_squares_no_float32_holds_are_told():
    dense, other = Pixels((1e25, 1.0)).float(), Pixels((2e25, 1.0)).float()
    row = signal(dense, other, Y.float()).iloc[0]
    assert row["v_dense"] == pytest.approx(1e50, rel=1e-5)
    assert row["error_scale"] == pytest.approx(1, rel=1e-5)


def test_small_differences_keep_their_digits_beside_large_means():
    """Shifted by a thousandth where the mean is a thousand standard deviations."""
    images = 1000 + noise().double()
    row = signal(Pixels(), Pixels(shift=(1e-3, 0.0)), images).iloc[0]
    assert row["error_mean"] == pytest.approx(1e-6 / row["v_dense"], rel=1e-6)
    assert row["error_decorrelation"] == pytest.approx(0, abs=1e-12)


def test_nothing_is_told_of_a_channel_that_is_silent_in_the_dense_network():
    table = signal(Pixels((0.0, 1.0)), Pixels(), Y)
    assert table.loc[0, ["rho", *errorparts.PARTS]].isna().all()
    assert table.loc[1, ["rho", *errorparts.PARTS]].notna().all()
    assert errorparts.counts(table) == {"channels": 2, "dense_dead": 1, "dead": 0, "not_finite": 0}


def test_silent_and_wild_channels_are_counted():
    table = signal(Pixels(), Pixels((0.0, float("inf"))), Y)
    assert errorparts.counts(table) == {"channels": 2, "dense_dead": 0, "dead": 1, "not_finite": 1}
    assert table.loc[1, ["rho", *errorparts.PARTS]].isna().all()


def test_equal_networks_have_rho_1_and_no_error(model, images):
    table = signal(model, copy.deepcopy(model), images)
    np.testing.assert_allclose(table["rho"], 1, atol=1e-12)
    np.testing.assert_allclose(table[list(errorparts.PARTS)], 0, atol=1e-12)


def test_the_parts_add_up_to_the_error(model, images):
    """Within 1e-6 relative in float64, also where the error is small."""
    model, images = model.double(), images.double()
    for share in (0.02, 0.9):
        pruned, _ = prune(model, "global_l1", sparsity=share)
        table = signal(model, pruned, images).set_index("layer")
        dense, other = outputs(model, images), outputs(pruned, images)
        for layer in convs(model):
            error = (dense[layer] - other[layer]).square().mean((0, 2, 3)) / dense[layer].var((0, 2, 3), correction=0)
            rows = table.loc[layer]
            np.testing.assert_allclose(rows[list(errorparts.PARTS)].sum(axis=1), error, rtol=1e-6, atol=1e-15)


def test_correlation_is_that_of_all_outputs_kept(model, images):
    pruned, _ = prune(model, "global_l1", sparsity=0.5)
    table = signal(model, pruned, images).set_index("layer")
    dense, other = outputs(model, images), outputs(pruned, images)
    for layer in convs(model):
        pairs = zip(*(each[layer].movedim(1, 0).flatten(1).double().numpy() for each in (dense, other)), strict=True)
        np.testing.assert_allclose(table.loc[layer, "rho"], [np.corrcoef(*pair)[0, 1] for pair in pairs], rtol=1e-5)


def test_permuted_channels_give_permuted_rows_and_scaled_layers_the_same_parts(images):
    """Of the last conv, in both networks: its channels in another order, and 8 times as strong."""
    dense = seeded(TinyResNet)
    pruned, _ = prune(dense, "global_l1", sparsity=0.5)
    before = signal(dense, pruned, images).query("layer == 'conv3'").reset_index(drop=True)
    order = torch.randperm(len(before), generator=torch.Generator().manual_seed(0))
    for network in (dense, pruned):
        network.conv3.weight.data = 8 * network.conv3.weight.data[order]
    after = signal(dense, pruned, images).query("layer == 'conv3'").reset_index(drop=True)
    expected = before.iloc[order.tolist()].reset_index(drop=True)
    names = ["rho", *errorparts.PARTS]
    np.testing.assert_allclose(after[names], expected[names], rtol=1e-4, atol=1e-9)
    np.testing.assert_allclose(after[["v_dense", "v", "cov"]], 64 * expected[["v_dense", "v", "cov"]], rtol=1e-5)


def test_batches_are_streamed_and_may_have_any_size(model, images):
    pruned, _ = prune(model, "global_l1", sparsity=0.5)
    whole = signal(model, pruned, images)
    for sizes in (1, 5):
        parts = signal(model, pruned, (batch for batch in images.split(sizes)))
        np.testing.assert_allclose(parts[list(errorparts.PARTS)], whole[list(errorparts.PARTS)], rtol=1e-4, atol=1e-10)


def test_each_network_runs_once_per_batch(model, images):
    pruned, _ = prune(model, "global_l1", sparsity=0.5)
    passes = {"dense": 0, "pruned": 0}
    for name, network in (("dense", model), ("pruned", pruned)):
        network.register_forward_hook(lambda *_, name=name: passes.update({name: passes[name] + 1}))
    signal(model, pruned, images.split(4))
    assert passes == {"dense": 4, "pruned": 4}


def test_layers_stand_in_the_order_of_execution_and_runs_of_one_conv_count_together():
    dense = seeded(Twice)
    pruned, _ = prune(dense, "global_l1", sparsity=0.5)
    table = signal(dense, pruned, noise())
    assert list(dict.fromkeys(table["layer"])) == ["first", "shared", "last"]
    assert len(table) == 24


def test_networks_stay_as_they_are(model, images):
    pruned, _ = prune(model, "global_l1", sparsity=0.5)
    before = fingerprint(model.train()), fingerprint(pruned)
    signal(model, pruned, images)
    assert (fingerprint(model), fingerprint(pruned)) == before


def test_an_inplace_relu_does_not_change_what_is_compared():
    dense = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.Flatten()).eval()
    table = signal(dense, copy.deepcopy(dense), noise())
    np.testing.assert_allclose(table["rho"], 1, atol=1e-9)


def test_other_layouts_and_no_images_are_refused(images):
    with pytest.raises(ModelError, match="the two networks have different convs"):
        signal(seeded(TinyVGG), seeded(TinyResNet), images)
    with pytest.raises(DataError, match="no images"):
        signal(seeded(TinyVGG), seeded(TinyVGG), images[:0])


# --- whole layers ---


def test_a_layers_numbers_are_sums_over_its_channels_by_hand():
    """Errors 9 + 1 and (16 / 5 + 1) x 5 over dense variances 1 and 5: all of it can be mended."""
    table = signal(Pixels(), Pixels((2.0, 2.0), (1.0, 1.0)), Y)
    row = errorparts.by_layer(table).iloc[0]
    assert row["error_mean"] == pytest.approx((9 + 16) / 6)
    assert row["error_scale"] == pytest.approx(1)
    assert row["error"] == pytest.approx(31 / 6)
    assert row["unmendable"] == pytest.approx(0, abs=1e-12)
    assert errorparts.mendable(table) == pytest.approx(1)


def test_noise_cannot_be_mended():
    """Channel 0: error 1, of which the best factor, 1 / 2, leaves 1 - 1 / 2."""
    assert errorparts.mendable(signal(Pixels(), Pixels(mixed=1.0), Y)) == pytest.approx(0.5)


def test_without_error_nothing_is_said_of_its_share():
    assert np.isnan(errorparts.mendable(signal(Pixels(), Pixels(), Y)))


def test_outputs_are_kept_as_they_are_and_summed_in_float64(model, images):
    part = next(iter(measured.outputs_of(model, images).values()))[0]
    assert part.rows.dtype == torch.float32
    assert part.sums.dtype == torch.float64
