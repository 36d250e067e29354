"""Factors of one layer: each equation by hand, and what holds for any variances."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from asr_core import registry, repair_factors
from asr_core.errors import ModelError, SpecError, UnknownName
from asr_core.measure.diagnostics import gamma_lw

CHANNEL_WISE = ("raw_bn", "asr_bn")
METHODS = ("lw_bn", *CHANNEL_WISE)
PRIORS = [{"prior": "median"}, {"prior": "mean"}, {"prior": "fixed", "prior_value": 0.7}]


def close(found, expected):
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12)


def details(method, v_dense, v_pruned, **params):
    """All that a method says of one layer."""
    cls = registry.get("repair method", method)
    tensors = (torch.tensor(v, dtype=torch.float64) for v in (v_dense, v_pruned))
    return cls.factors(*tensors, cls.checked(**params))


def test_eq_1_one_scalar_per_layer():
    """Means 10 and 2.5: sqrt(4) = 2 for every channel."""
    close(repair_factors("lw_bn", [4, 16], [1, 4], eps=0), [2, 2])


def test_eq_1_counts_dead_channels_in_the_mean_and_scales_them_too():
    """Means (4 + 16 + 4) / 3 and (2 + 4 + 0) / 3: sqrt(4) = 2, also for a channel that is dead so far."""
    close(repair_factors("lw_bn", [4, 16, 4], [2, 4, 0], eps=0), [2, 2, 2])


def test_a_layer_whose_mean_pruned_variance_is_at_the_floor_keeps_1_under_eq_1():
    """Not only one whose channels are all dead: the mean of 3e-12 and two zeros is the floor."""
    assert repair_factors("lw_bn", [4, 16, 4], [0, 0, 0]).tolist() == [1, 1, 1]
    assert repair_factors("lw_bn", [4, 16, 4], [3e-12, 0, 0]).tolist() == [1, 1, 1]
    assert repair_factors("lw_bn", [4, 16, 4], [4e-12, 0, 0]).min() > 1
    assert gamma_lw([4, 16, 4], [3e-12, 0, 0]) == 1
    assert gamma_lw([4, 16, 4], [4e-12, 0, 0]) > 1


@pytest.mark.parametrize(
    ("v_dense", "v_pruned"),
    [([math.nan, 4, 4], [1, 1, 1]), ([4, 4, 4], [1, math.inf, 1]), ([math.inf], [1]), ([0, 0], [1, 1])],
    ids=["a dense channel without a number", "a pruned channel that diverged", "no finite channel", "dead when dense"],
)
def test_eq_1_is_one_number_wherever_it_is_computed(v_dense, v_pruned):
    (factor,) = set(repair_factors("lw_bn", v_dense, v_pruned).tolist())
    assert gamma_lw(v_dense, v_pruned) == pytest.approx(factor, rel=1e-12)


@pytest.mark.parametrize("method", ["bn_only", "lw_bn"])
def test_a_parameter_that_a_method_does_not_have_is_refused(method):
    with pytest.raises(UnknownName, match="nonsense"):
        repair_factors(method, [1.0], [1.0], nonsense=3)


def test_eq_4_one_factor_per_channel():
    close(repair_factors("raw_bn", [9, 1, 4], [1, 4, 4], eps=0), [3, 0.5, 1])


def test_eps_is_added_to_the_pruned_variance():
    close(repair_factors("raw_bn", [8e-8], [1e-8]), [2])  # sqrt(8e-8 / (1e-8 + 1e-8))
    close(repair_factors("lw_bn", [8e-8], [1e-8]), [2])
    close(repair_factors("raw_bn", [4], [0.5], eps=0.5), [2])


def test_eq_5_to_8_shrink_toward_1_with_the_median_as_prior():
    """gamma_raw 2, 0.5, 3; prior 3; shrinkage 1/4, 4/7, 1/2; so 1 + 1/4, 1 - 2/7, 1 + 1."""
    close(repair_factors("asr_bn", [4, 1, 27], [1, 4, 3], eps=0), [1.25, 5 / 7, 2])


def test_the_median_of_an_even_count_is_the_lower_middle():
    """Prior 2 (not 2.5): the channel at 2 has shrinkage 1/2 and gamma_raw 3, so 2."""
    assert repair_factors("asr_bn", [1, 18, 1, 1], [1, 2, 3, 10], eps=0)[1] == pytest.approx(2, rel=1e-12)
    assert details("asr_bn", [1, 18, 1, 1], [1, 2, 3, 10]).prior_var == 2


def test_the_mean_and_a_fixed_value_as_prior():
    """Pruned variances 1, 3, 8 have mean 4: shrinkage 1/5, 3/7, 2/3 on gamma_raw 3."""
    v_pruned = [1, 3, 8]
    v_dense = [9, 27, 72]
    close(repair_factors("asr_bn", v_dense, v_pruned, eps=0, prior="mean"), [1 + 2 / 5, 1 + 6 / 7, 1 + 4 / 3])
    fixed = repair_factors("asr_bn", v_dense, v_pruned, eps=0, prior="fixed", prior_value=1)
    close(fixed, [1 + 2 / 2, 1 + 6 / 4, 1 + 16 / 9])


def test_what_lies_behind_the_factors_is_reported():
    found = details("asr_bn", [4.0, 1.0, 27.0], [1.0, 4.0, 3.0], eps=0)
    close(found.gamma_raw, [2, 0.5, 3])
    close(found.shrinkage, [1 / 4, 4 / 7, 1 / 2])
    assert found.prior_var == 3 and not found.fallback
    assert math.isnan(details("raw_bn", [4.0], [1.0]).prior_var)


@pytest.mark.parametrize("method", CHANNEL_WISE)
def test_a_channel_at_the_floor_is_dead_and_one_above_it_is_not(method):
    found = repair_factors(method, [1, 1, 1], [1e-12, 1.1e-12, 1])
    assert found[0] == 1
    assert found[1] != 1


@pytest.mark.parametrize("method", CHANNEL_WISE)
def test_the_floor_can_be_raised(method):
    assert repair_factors(method, [4, 4, 4, 4], [0.01, 1, 1, 1], floor=0.1)[0] == 1


def test_the_floor_of_a_layer_can_be_raised_too():
    assert repair_factors("lw_bn", [4, 4], [0.5, 0.5], floor=0.5).tolist() == [1, 1]
    assert repair_factors("lw_bn", [4, 4], [0.5, 0.5], floor=0.49).tolist() != [1, 1]


@pytest.mark.parametrize("prior", ["median", "mean"])
def test_a_layer_whose_prior_is_at_the_floor_stays_at_1_as_a_whole(prior):
    """More than half dead (median), or all (mean): eq. 6 would be 0/0, or trust live channels fully."""
    v_pruned = [0.0, 0.0, 0.0, 5.0] if prior == "median" else [0.0, 0.0, 0.0, 0.0]
    found = details("asr_bn", [1.0, 2.0, 3.0, 4.0], v_pruned, prior=prior)
    assert found.gamma.tolist() == [1, 1, 1, 1] and found.shrinkage.tolist() == [0, 0, 0, 0]
    assert found.fallback and found.prior_var == 0
    assert not details("asr_bn", [1.0, 2.0, 3.0, 4.0], [0.0, 1.0, 1.0, 1.0]).fallback


def test_a_prior_of_exactly_the_floor_counts_as_at_the_floor():
    assert details("asr_bn", [1.0, 1.0, 1.0, 1.0], [0.5, 0.5, 0.5, 1.0], floor=0.5).fallback
    assert not details("asr_bn", [1.0, 1.0, 1.0, 1.0], [0.5, 0.5, 0.5, 1.0], floor=0.49).fallback


@pytest.mark.parametrize("method", METHODS)
def test_a_channel_dead_in_the_dense_network_keeps_a_factor_above_0(method):
    """A factor of 0 would remove the channel's weights: the dense variance counts as the floor."""
    found = repair_factors(method, [0.0, 0.0], [1.0, 1.0], eps=0)
    assert (found > 0).all()
    if method == "raw_bn":
        close(found, [1e-6, 1e-6])


def test_a_fixed_prior_never_falls_back():
    assert not details("asr_bn", [1.0], [0.0], prior="fixed").fallback


def test_layer_wise_factors_agree_with_the_diagnostic():
    v_dense, v_pruned = [1.0, 5.0, 2.0], [0.3, 0.0, 0.1]
    assert repair_factors("lw_bn", v_dense, v_pruned)[0].item() == pytest.approx(gamma_lw(v_dense, v_pruned), rel=1e-12)


def test_bn_only_leaves_everything_at_1():
    assert repair_factors("bn_only", [1, 2], [3, 4]).tolist() == [1, 1]


@pytest.mark.parametrize("kind", [list, np.array, torch.tensor, lambda v: torch.tensor(v, dtype=torch.float64)])
def test_lists_arrays_and_tensors_are_taken_and_left_as_they_were(kind):
    v_dense, v_pruned = kind([4.0, 16.0]), kind([0.0, 4.0])
    found = repair_factors("raw_bn", v_dense, v_pruned, eps=0)
    assert found.dtype == torch.float64 and found.tolist() == [1, 2]
    assert list(v_dense) == [4, 16] and list(v_pruned) == [0, 4]


# --- properties ---

ORDINARY = st.floats(1e-30, 1e30)
ANY = st.one_of(ORDINARY, st.sampled_from([0.0, 5e-324, 1e-300, 1e-12, 1e300, 1.7e308, math.inf]))
WORST = st.one_of(ANY, st.just(math.nan))


def layer_of(values):
    """(v_dense, v_pruned) of a layer of 1 to 9 channels."""
    return st.integers(1, 9).flatmap(lambda n: st.tuples(*[arrays(np.float64, n, elements=values)] * 2))


@given(layer=layer_of(WORST), prior=st.sampled_from(PRIORS))
def test_factors_are_finite_and_positive_for_any_variances(layer, prior):
    for method in METHODS:
        found = repair_factors(method, *layer, **(prior if method == "asr_bn" else {}))
        assert found.isfinite().all() and (found > 0).all(), method


@given(layer=layer_of(ANY), prior=st.sampled_from(PRIORS))
def test_shrunk_factors_lie_between_the_raw_ones_and_1(layer, prior):
    raw = repair_factors("raw_bn", *layer)
    gamma = repair_factors("asr_bn", *layer, **prior)
    slack = 1e-12 * raw.clamp(min=1)
    assert (gamma >= raw.clamp(max=1) - slack).all()
    assert (gamma <= raw.clamp(min=1) + slack).all()


@given(layer=layer_of(ORDINARY), prior=st.sampled_from(PRIORS))
def test_a_shrunk_factor_is_bounded_by_the_prior(layer, prior):
    """gamma <= 1 + 0.5 * sqrt(v_dense / prior_var), the maximum of v -> sqrt(v_dense v) / (v + prior)."""
    v_dense, v_pruned = layer
    found = details("asr_bn", v_dense, v_pruned, **prior)
    if not found.fallback:
        bound = 1 + 0.5 * np.sqrt(np.maximum(v_dense, 1e-12) / found.prior_var)
        assert (found.gamma.numpy() <= bound * (1 + 1e-12)).all()


@given(v=st.integers(1, 9).flatmap(lambda n: arrays(np.float64, n, elements=ORDINARY)), prior=st.sampled_from(PRIORS))
def test_equal_statistics_give_1(v, prior):
    for method in METHODS:
        params = prior if method == "asr_bn" else {}
        close(repair_factors(method, v, v, eps=0, **params), np.ones(len(v)))


@given(layer=layer_of(ANY))
def test_dead_channels_get_exactly_1_where_each_channel_has_its_own_factor(layer):
    for method in CHANNEL_WISE:
        assert (repair_factors(method, *layer)[torch.tensor(layer[1] <= 1e-12)] == 1).all()


@given(layer=layer_of(WORST))
def test_eq_1_gives_one_number_throughout(layer):
    assert repair_factors("lw_bn", *layer).unique().numel() == 1


# --- bad input ---


def test_unequal_numbers_of_variances_are_refused():
    with pytest.raises(ModelError, match="2 dense and 3 pruned variances; give one of each per channel"):
        repair_factors("lw_bn", [1, 2], [1, 2, 3])
    with pytest.raises(ModelError, match="0 dense and 0 pruned"):
        repair_factors("raw_bn", [], [])


def test_a_negative_variance_is_refused():
    with pytest.raises(ModelError, match="a variance is -2; give variances of at least 0"):
        repair_factors("asr_bn", [1, 1], [1, -2])


def test_an_unknown_method_lists_the_choices_and_the_nearest():
    with pytest.raises(
        UnknownName, match=r"unknown repair method 'asr'. Did you mean 'asr_bn'\? Choices: asr_bn, bn_o"
    ):
        repair_factors("asr", [1], [1])


@pytest.mark.parametrize(
    "params, message",
    [
        ({"eps": -1}, "eps is -1; give a finite number of at least 0"),
        ({"eps": "small"}, "eps is small; give a finite number of at least 0"),
        ({"floor": math.nan}, "floor is nan; give a finite number above 0"),
        ({"floor": 0}, "floor is 0; give a finite number above 0"),
        ({"prior": "mode"}, "unknown prior 'mode'.*Choices: fixed, mean, median"),
        ({"prior": "fixed", "prior_value": 0}, "prior_value is 0; give a finite number above 0"),
        ({"prior_value": 2}, "prior_value is 2 but prior is 'median'.*give prior 'fixed', or leave prior_value out"),
        ({"skip_first": "no"}, "skip_first is 'no'; give True or False"),
        ({"epsilon": 1}, r"unknown parameter of asr_bn 'epsilon'\. Did you mean 'eps'\? Choices: eps, floor, prior"),
    ],
)
def test_bad_parameters_are_refused_with_the_rule(params, message):
    with pytest.raises(SpecError, match=message):
        repair_factors("asr_bn", [1], [1], **params)
