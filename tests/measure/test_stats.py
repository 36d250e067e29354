"""Channel statistics: exact, streamed, and without a trace on the network."""

import weakref

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_networks import TinyVGG, Twice, convs, fingerprint, noise, outputs, seeded
from torch import nn

from asr_core import channel_stats
from asr_core.errors import DataError, ModelError
from asr_core.measure import stats


def one_shot(model, images):
    """Mean and variance (dividing by N*H*W) of whole float64 activations, by layer."""
    return {
        name: (y.double().mean((0, 2, 3)), y.double().var((0, 2, 3), correction=0))
        for name, y in outputs(model, images).items()
    }


def assert_moments(found, expected, rel):
    for name, (mean, variance) in expected.items():
        torch.testing.assert_close(found[name].mean, mean, rtol=rel, atol=rel)
        torch.testing.assert_close(found[name].variance, variance, rtol=rel, atol=0)


def test_two_pixels_by_hand():
    """Values 1, 3 and 5, 5 per channel: mean 2 and 5, variance (dividing by 2) 1 and 0."""
    found = stats.moments(torch.tensor([[[[1.0, 3.0]], [[5.0, 5.0]]]]))
    assert found.count == 2
    assert found.mean.tolist() == [2, 5] and found.variance.tolist() == [1, 0]


def test_merging_by_hand():
    """{0, 2} and {4}: mean 2, squared deviations 4 + 0 + 4."""
    merged = stats.moments(torch.tensor([[[[0.0, 2.0]]]])).merge(stats.moments(torch.tensor([[[[4.0]]]])))
    assert (merged.count, merged.mean.item(), merged.m2.item()) == (3, 2, 8)


def test_streamed_statistics_equal_a_float64_computation_on_whole_activations(model, images):
    assert_moments(stats.collect(model, [images]), one_shot(model, images), 1e-12)


@pytest.mark.parametrize("sizes", [[1] * 16, [5, 11], [8, 8], [15, 1]])
def test_the_split_into_batches_does_not_matter(sizes):
    model, images = seeded(TinyVGG).double(), noise().double()
    assert_moments(stats.collect(model, images.split(sizes)), one_shot(model, images), 1e-12)


@given(mean=st.floats(-1e7, 1e7), spread=st.floats(1e-3, 1e4), cut=st.integers(1, 15))
def test_a_small_variance_beside_a_large_mean_survives(mean, spread, cut):
    """A sum of squares would lose it: 1e14 - 1e14 for a variance of 1e-6."""
    images = mean + spread * noise().double()
    found = stats.moments(images[:cut]).merge(stats.moments(images[cut:]))
    exact = images.var((0, 2, 3), correction=0)
    torch.testing.assert_close(found.variance, exact, rtol=1e-5, atol=0)


@given(value=st.floats(-(2.0**100), 2.0**100, width=32), cut=st.integers(1, 15))
def test_a_constant_channel_has_exactly_no_variance(value, cut):
    """However large the constant: float64 sums of equal float32 values are exact, so the channel counts as dead."""
    images = torch.full((16, 2, 3, 3), value)
    found = stats.moments(images[:cut]).merge(stats.moments(images[cut:]))
    assert found.variance.tolist() == [0, 0]


def test_the_public_table_has_a_row_per_channel_in_execution_order():
    model, images = seeded(Twice), noise()
    table = channel_stats(model, images)
    assert table.columns.tolist() == ["layer", "channel", "mean", "variance"]
    assert table["layer"].drop_duplicates().tolist() == ["first", "shared", "last"]
    assert table["channel"].tolist() == [*range(8)] * 3
    assert table["mean"].dtype == table["variance"].dtype == np.float64
    expected = one_shot(model, images)["first"]
    np.testing.assert_allclose(table["variance"][:8], expected[1], rtol=1e-12)


def test_a_conv_that_runs_twice_pools_both_calls():
    collected = stats.collect(seeded(Twice), [noise()])
    assert collected["shared"].count == 2 * collected["first"].count


def test_a_tensor_and_an_iterable_of_batches_give_the_same_table(model, images):
    a, b = channel_stats(model, images), channel_stats(model, (batch for batch in images.split(4)))
    pd.testing.assert_frame_equal(a, b, rtol=1e-5, atol=1e-6)


def test_statistics_are_of_eval_mode_and_leave_a_training_network_as_it_was(model, images):
    expected = channel_stats(model, images)
    model.train()
    before = fingerprint(model)
    pd.testing.assert_frame_equal(channel_stats(model, images), expected)
    assert fingerprint(model) == before


def test_a_mixture_of_modes_is_kept(model, images):
    next(iter(convs(model).values())).train()
    before = fingerprint(model)
    channel_stats(model, images)
    assert fingerprint(model) == before and not model.training


def test_hooks_and_modes_are_put_back_when_the_forward_pass_fails(model):
    model.train()
    before = fingerprint(model)
    with pytest.raises(ModelError, match=r"cannot run on a batch of shape \(2, 4, 8, 8\)"):
        channel_stats(model, torch.zeros(2, 4, 8, 8))
    assert fingerprint(model) == before


def test_no_activation_outlives_its_layer():
    """Each conv's output is gone by the time the network returns: nothing holds it for later."""
    model = nn.Sequential(*(layer for _ in range(4) for layer in (nn.Conv2d(3, 3, 1), nn.Sigmoid()))).eval()
    born, alive = [], []

    def watch(module, inputs, output):
        alive.append(sum(ref() is not None for ref in born))
        born.append(weakref.ref(output))

    for conv in convs(model).values():
        conv.register_forward_hook(watch)
    stats.collect(model, noise().split(4))
    assert len(born) == 16
    assert max(alive) == 0
    assert all(ref() is None for ref in born)


def test_the_stored_table_gives_the_moments_back(model, images):
    collected = stats.collect(model, [images])
    count = {name: m.count for name, m in collected.items()}
    again = stats.from_table(stats.stats_table(collected), count)
    assert list(again) == list(collected)
    for name, m in collected.items():
        assert again[name].count == m.count and torch.equal(again[name].mean, m.mean)
        torch.testing.assert_close(again[name].variance, m.variance, rtol=1e-15, atol=0)


def test_a_network_without_convs_is_refused():
    with pytest.raises(ModelError, match=r"Sequential has no Conv2d layer; .* give a CNN"):
        channel_stats(nn.Sequential(nn.Linear(3, 3)), torch.zeros(2, 3))


@pytest.mark.parametrize("nothing", [[], torch.zeros(0, 3, 8, 8)])
def test_no_images_are_refused(nothing):
    with pytest.raises(DataError, match="no images were given"):
        channel_stats(seeded(), nothing)
