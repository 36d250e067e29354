"""Numbers of damage and repair, by hand; and what happens at their edges."""

import math
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from asr_core.measure import diagnostics
from asr_core.store.entries import PROJECT

VARIANCES = st.integers(3, 12).flatmap(lambda n: arrays(np.float64, n, elements=st.floats(1e-6, 1e6)))


def table(*layers):
    """Channel rows from (v_dense, v_pruned) pairs, one pair of lists per layer."""
    parts = [
        pd.DataFrame({"layer": f"conv{depth}", "depth": depth, "v_dense": dense, "v_pruned": pruned})
        for depth, (dense, pruned) in enumerate(layers)
    ]
    return pd.concat(parts, ignore_index=True).astype({"v_dense": float, "v_pruned": float})


# --- alphas ---


def test_alpha_ratio_is_the_geometric_mean_of_variance_ratios():
    """Ratios 2, 8 and 4: their geometric mean is 4."""
    assert diagnostics.alpha([1, 1, 10], [2, 8, 40])["alpha_ratio"] == pytest.approx(4)


def test_a_square_law_has_slope_2():
    found = diagnostics.alpha([1, 10, 100], [1, 100, 10_000])
    assert found["alpha_slope"] == pytest.approx(2) and found["r2"] == pytest.approx(1)
    assert (found["slope_low"], found["slope_high"]) == pytest.approx((2, 2), abs=1e-6)


def test_slope_fit_quality_and_interval_by_hand():
    """log10 x = 0, 1, 2, 3 and y = 0, 1, 1, 2: Sxx = 5, Sxy = 3, Syy = 2, slope 0.6, R^2 = 9 / (5 * 2) = 0.9.
    Residual sum 2 * (1 - 0.9) = 0.2, standard error sqrt(0.2 / 2 / 5) = sqrt(0.02), t(0.975, 2) = 4.302653."""
    found = diagnostics.alpha([1, 10, 100, 1000], [1, 10, 10, 100])
    half = 4.302653 * math.sqrt(0.02)
    assert found["alpha_slope"] == pytest.approx(0.6) and found["r2"] == pytest.approx(0.9)
    assert (found["slope_low"], found["slope_high"]) == pytest.approx((0.6 - half, 0.6 + half), abs=1e-6)
    assert (found["used"], found["dropped"]) == (4, 0)


@given(v=VARIANCES, scale=st.floats(1e-3, 1e3))
def test_a_layers_own_scalar_moves_the_ratio_and_never_the_slope(v, scale):
    """Why both are reported: one factor per layer shifts log v_repaired, which is the intercept."""
    other = v[::-1].copy()
    before, after = diagnostics.alpha(v, other), diagnostics.alpha(v, other * scale)
    assert after["alpha_ratio"] == pytest.approx(before["alpha_ratio"] * scale, rel=1e-6)
    if np.ptp(np.log10(v)) > 1e-3:
        assert after["alpha_slope"] == pytest.approx(before["alpha_slope"], rel=1e-6, abs=1e-6)


@given(v=VARIANCES)
def test_both_alphas_of_a_perfect_repair_are_1(v):
    found = diagnostics.alpha(v, v)
    assert found["alpha_ratio"] == pytest.approx(1)
    if np.ptp(np.log10(v)) > 1e-3:
        assert found["alpha_slope"] == pytest.approx(1) and found["r2"] == pytest.approx(1)


def test_channels_dead_on_either_side_or_not_finite_are_dropped_and_counted():
    found = diagnostics.alpha([1, 10, 100, 0, 5, 5, 5], [1, 10, 100, 5, 1e-12, math.inf, math.nan])
    assert (found["used"], found["dropped"]) == (3, 4)
    assert found["alpha_ratio"] == pytest.approx(1) and found["alpha_slope"] == pytest.approx(1)


@pytest.mark.parametrize(
    "v_dense, v_repaired, ratio",
    [([0, 0], [1, 1], None), ([1, 2], [2, 4], 2), ([3, 3, 3], [6, 6, 6], 2)],
    ids=["all dead", "two channels", "equal dense variances"],
)
def test_what_cannot_be_fitted_is_nan(v_dense, v_repaired, ratio):
    found = diagnostics.alpha(v_dense, v_repaired)
    assert all(math.isnan(found[name]) for name in ("alpha_slope", "slope_low", "slope_high", "r2"))
    assert math.isnan(found["alpha_ratio"]) if ratio is None else found["alpha_ratio"] == pytest.approx(ratio)


def test_a_constant_repaired_variance_has_slope_0_and_no_r2():
    found = diagnostics.alpha([1, 10, 100], [5, 5, 5])
    assert found["alpha_slope"] == pytest.approx(0, abs=1e-12)
    assert math.isnan(found["r2"]) and math.isnan(found["slope_low"])


@pytest.mark.parametrize("channels", [3, 5, 512])
def test_the_slope_and_its_interval_are_those_of_scipy(channels):
    from scipy.stats import linregress, t

    rng = np.random.default_rng(channels)
    x = rng.normal(size=channels)
    y = 0.7 * x + rng.normal(size=channels)
    found, fit = diagnostics.alpha(10**x, 10**y), linregress(x, y)
    half = t.ppf(0.975, channels - 2) * fit.stderr
    expected = (fit.slope, fit.slope - half, fit.slope + half, fit.rvalue**2)
    assert [found[name] for name in ("alpha_slope", "slope_low", "slope_high", "r2")] == pytest.approx(expected)


def test_accuracies_and_alphas_load_no_large_library():
    """scipy.stats takes most of a second of the first number that somebody waits for."""
    code = "import sys; from asr_core.measure import diagnostics, statistics; statistics.wilson(8, 10); "
    code += "diagnostics.alpha([1, 2, 3], [2, 3, 1]); print(sorted({'scipy.stats', 'torch'} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


# --- severity, overshoot, the layer-wise factor ---


def test_severity_is_the_mean_distance_of_standard_deviation_ratios_from_1():
    """Ratios 0.5, 2 and 1: (0.5 + 1 + 0) / 3."""
    assert diagnostics.severity([4, 1, 9], [1, 4, 9]) == (pytest.approx(0.5), 0)


def test_severity_leaves_out_channels_dead_in_the_dense_network_and_counts_them():
    assert diagnostics.severity([4, 0, 1e-12], [1, 5, 0]) == (pytest.approx(0.5), 2)
    level, dead = diagnostics.severity([0, 0], [1, 1])
    assert math.isnan(level) and dead == 2


def test_a_channel_that_pruning_killed_counts_fully():
    assert diagnostics.severity([4], [0]) == (1, 0)


def test_the_layer_wise_factor_by_hand():
    assert diagnostics.gamma_lw([4, 16], [1, 4], eps=0) == pytest.approx(2)
    assert diagnostics.gamma_lw([8e-8], [1e-8]) == pytest.approx(2)  # eps 1e-8
    assert diagnostics.gamma_lw([4, 16], [0, 0]) == 1


def test_overshoot_is_the_mean_excess_of_the_layer_wise_factor_over_repaired_layers():
    """Factors 10 (first conv, not repaired), 2 and 0.5: (1 + 0) / 2."""
    channels = table(([100, 100], [1, 1]), ([4, 4], [1, 1]), ([1, 1], [4, 4]))
    assert diagnostics.layer_damage(channels)["overshoot"].tolist() == pytest.approx([9, 1, 0], abs=1e-6)
    assert diagnostics.network_damage(channels)["overshoot"] == pytest.approx(0.5, abs=1e-6)


# --- what one scalar per layer cannot mend ---

HALF_LOG = math.log(2) / 2  # ln gamma_raw where the dense variance is twice the pruned one


def test_the_within_layer_share_by_hand():
    """d is 1, 3 in one layer and 5, 7 in the other, in units of HALF_LOG (the first conv is left out): layer means
    2 and 6, so that (1 + 1 + 1 + 1) of (1 + 9 + 25 + 49) is left."""
    channels = table(([9, 9], [1, 9]), ([2, 8], [1, 1]), ([32, 128], [1, 1]))
    found = diagnostics.mismatch(channels)
    assert found["within_share"] == pytest.approx(4 / 84, rel=1e-6)
    assert found["within_var"] == pytest.approx(HALF_LOG**2, rel=1e-6)
    assert found["damage"] == pytest.approx(HALF_LOG**2 * 21, rel=1e-6)
    assert found["live_share"] == 1


def test_uniform_damage_with_a_little_scatter_has_a_small_share():
    """Around the network's mean, all of this scatter lies within layers; it is no damage that a scalar leaves."""
    found = diagnostics.mismatch(table(([1], [1]), ([4.0, 4.04], [1, 1]), ([4.04, 4.0], [1, 1])))
    assert found["within_share"] == pytest.approx((math.log(1.01) / 4) ** 2 / (HALF_LOG * 2) ** 2, rel=0.02)
    assert found["within_share"] < 1e-4


def test_a_scalar_that_mends_all_leaves_no_share():
    found = diagnostics.mismatch(table(([1], [1]), ([2, 2, 2], [1, 1, 1]), ([32], [1])))
    assert found["within_share"] == pytest.approx(0, abs=1e-12)
    assert found["damage"] == pytest.approx(HALF_LOG**2 * 7, rel=1e-6)


def test_channels_that_are_hurt_in_opposite_ways_leave_a_share_of_one():
    found = diagnostics.mismatch(table(([1], [1]), ([2, 1], [1, 2])))
    assert found["within_share"] == pytest.approx(1, rel=1e-6)


def test_dead_channels_are_left_out_of_the_share_and_lower_the_live_share():
    found = diagnostics.mismatch(table(([1], [1]), ([2, 8, 5, 0], [1, 1, 0, 1])))
    assert found["live_share"] == 0.5
    assert found["within_share"] == pytest.approx(2 / 10, rel=1e-6)


def test_the_share_without_damage_or_without_live_channels_is_nan():
    same = diagnostics.mismatch(table(([1], [1]), ([1, 1], [1 - 1e-8, 1 - 1e-8])))
    assert math.isnan(same["within_share"]) or same["damage"] < 1e-30
    dead = diagnostics.mismatch(table(([1], [1]), ([1, 1], [0, 0])))
    assert math.isnan(dead["within_share"]) and dead["live_share"] == 0
    only_first = diagnostics.mismatch(table(([1, 2], [1, 1])))
    assert math.isnan(only_first["within_share"]) and math.isnan(only_first["live_share"])
    assert math.isnan(diagnostics.shares([0.0], [0.0], [3])["within_share"])


@given(pruned=VARIANCES, scales=st.lists(st.floats(1e-2, 1e2), min_size=3, max_size=3))
def test_scalars_per_layer_never_change_the_variance_within_layers(pruned, scales):
    dense = pruned[::-1].copy()
    before = diagnostics.mismatch(table(*[(dense, pruned)] * 3))
    after = diagnostics.mismatch(table(*[(dense * s, pruned) for s in scales]))
    assert after["within_var"] == pytest.approx(before["within_var"], rel=1e-6, abs=1e-9)


# --- rows of the heatmaps ---


def test_rows_of_a_layer_by_hand():
    """Dense variances 1 to 5: 5th percentile 1.2. Ratios 1.3, 0.1, 1, 2, 0: quartiles 0.1 and 1.3."""
    channels = table(([1, 2, 3, 4, 5], [1.3, 0.2, 3, 8, 0]))
    row = diagnostics.layer_damage(channels).iloc[0]
    assert row["below_p5"] == pytest.approx(2 / 5)
    assert (row["q25_pruned"], row["q75_pruned"]) == pytest.approx((0.1, 1.3))
    assert (row["dead"], row["dense_dead"], row["channels"], row["live_share"]) == (1, 0, 5, 0.8)
    assert row["gamma_lw"] == pytest.approx(math.sqrt(15 / 12.5), rel=1e-6)
    logs = -0.5 * np.log([1.3, 0.1, 1, 2])
    assert row["within_spread"] == pytest.approx(logs.std(), rel=1e-6)


def test_percentiles_interpolate_between_channels():
    row = diagnostics.layer_damage(table(([1, 1], [1, 3]))).iloc[0]
    assert (row["q25_pruned"], row["q75_pruned"]) == pytest.approx((1.5, 2.5))


def test_a_channel_dead_in_the_dense_network_has_no_ratio():
    row = diagnostics.layer_damage(table(([0, 1, 1], [7, 2, 2]))).iloc[0]
    assert (row["q25_pruned"], row["q75_pruned"], row["dense_dead"]) == (2, 2, 1)
    assert diagnostics.layer_repair([0, 1, 1], [7, 3, 3])["q25"] == 3


def test_a_layer_dead_throughout_gives_numbers_or_nan_and_no_warning():
    row = diagnostics.layer_damage(table(([0, 0], [0, 0]))).iloc[0]
    assert math.isnan(row["q25_pruned"]) and math.isnan(row["severity"]) and math.isnan(row["within_spread"])
    assert row["gamma_lw"] == 1 and row["overshoot"] == 0 and row["live_share"] == 0


def test_layers_keep_their_order_and_the_network_row_adds_them_up():
    channels = table(([4, 4], [1, 1]), ([1, 1], [1, 0]))
    assert diagnostics.layer_damage(channels)["layer"].tolist() == ["conv0", "conv1"]
    found = diagnostics.network_damage(channels)
    assert found["severity"] == pytest.approx((0.5 + 0.5 + 0 + 1) / 4)
    assert (found["dead"], found["channels"], found["dense_dead"]) == (1, 4, 0)
    assert found["live_share"] == 0.5


def test_the_first_conv_is_the_first_to_run_not_the_first_row():
    channels = table(([100], [1]), ([4], [1]))
    found = diagnostics.network_damage(channels.iloc[::-1])
    assert found["overshoot"] == pytest.approx(1, abs=1e-6)


def test_what_a_repair_achieved_in_a_layer():
    found = diagnostics.layer_repair([1, 10, 100], [2, 20, 200])
    assert (found["q25"], found["q75"]) == pytest.approx((2, 2))
    assert found["alpha_ratio"] == pytest.approx(2) and found["alpha_slope"] == pytest.approx(1)


def test_a_networks_alpha_is_the_median_over_repaired_layers_with_quartiles():
    layers = pd.DataFrame(
        {
            "method": ["a"] * 6 + ["b"] * 2,
            "order": None,
            "bias": pd.array([None] * 8, "boolean"),
            "params": "",
            "state": ["repaired"] * 5 + ["recalibrated"] + ["repaired"] * 2,
            "depth": [0, 1, 2, 3, 4, 1, 0, 1],
            "alpha_ratio": [99, 1, 2, 3, 5, 7, 99, np.nan],
            "alpha_slope": [99, 1, np.nan, 2, np.nan, 0.5, 99, np.nan],
        }
    )
    found = (
        diagnostics.summarise_alphas(layers).set_index(["method", "state"]).drop(columns=["order", "bias", "params"])
    )
    row = found.loc[("a", "repaired")]
    assert (row["alpha_ratio"], row["alpha_ratio_q25"], row["alpha_ratio_q75"]) == (2.5, 1.75, 3.5)
    assert (row["alpha_slope"], row["alpha_slope_q25"], row["alpha_slope_q75"]) == (1.5, 1.25, 1.75)
    assert found.loc[("a", "recalibrated"), "alpha_ratio"] == 7
    assert found.loc[("b", "repaired")].isna().all()
