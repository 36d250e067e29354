"""The statistics that sentences rest on: against statsmodels and scipy, by hand, and by simulation."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import stdtr

from asr_core.measure import statistics
from asr_core.measure.statistics import AHEAD, BEHIND, EQUAL, LEVEL, UNMEASURED
from asr_core.spec.repairs import DENSE, METHODS, NO_REPAIR, RepairSpec
from asr_core.store.tables import typed
from asr_core.studies import paired

TRIALS = 1000
COUNTS = st.integers(0, 700)
NETWORKS = [DENSE, NO_REPAIR, *(RepairSpec.of(name) for name in METHODS)]


@given(only_a=COUNTS, only_b=COUNTS)
def test_mcnemar_is_that_of_statsmodels(only_a, only_b):
    from statsmodels.stats.contingency_tables import mcnemar

    exact = only_a + only_b <= statistics.EXACT
    expected = 1.0 if only_a == only_b else mcnemar([[0, only_a], [only_b, 0]], exact=exact, correction=True).pvalue
    assert statistics.mcnemar(only_a, only_b) == pytest.approx(min(1.0, expected), rel=1e-9, abs=1e-300)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_holm_is_that_of_statsmodels(p_values):
    from statsmodels.stats.multitest import multipletests

    assert statistics.holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1])


def test_what_is_not_measured_is_not_counted_by_holm():
    assert statistics.holm([0.03, float("nan")])[0] == 0.03
    assert np.isnan(statistics.holm([float("nan")])).all()
    assert len(statistics.holm([])) == 0


@pytest.mark.parametrize(
    ("gain", "p", "said"),
    [
        (0.1, 0.01, AHEAD),
        (-0.1, 0.01, BEHIND),
        (0.1, LEVEL, EQUAL),
        (0.0, 1.0, EQUAL),
        (float("nan"), 0.01, UNMEASURED),
        (0.1, float("nan"), UNMEASURED),
    ],
)
def test_the_words_of_a_comparison(gain, p, said):
    assert statistics.word(gain, p) == said


def test_a_difference_on_the_same_images_has_an_interval_that_holds_it():
    value, low, high = statistics.difference(30, 10, 500)
    assert value == 0.04 and low < value < high
    assert statistics.difference(0, 0, 100)[0] == 0


def test_pairs_of_different_images_are_not_measured():
    table = statistics.compare({"a": np.ones(5, bool), "b": np.ones(6, bool), "c": None})
    assert set(table["word"]) == {UNMEASURED}


# --- correlation ---


def test_no_correlation_is_given_for_few_networks_or_few_values():
    x = np.arange(40.0)
    few = statistics.correlation(x, x, np.arange(40) % 4)
    assert np.isnan(few["pearson"]) and few["networks"] == 4
    flat = statistics.correlation(x, np.r_[np.zeros(39), 1.0], np.arange(40) % 8)
    assert np.isnan(flat["pearson"]) and flat["distinct"] == 2
    assert np.isnan(statistics.correlation([], [], [])["spearman"])


def test_a_correlation_of_many_networks_is_that_of_scipy_with_an_interval_over_networks():
    from scipy.stats import pearsonr, spearmanr

    random = np.random.default_rng(1)
    x = random.normal(size=60)
    y = x + random.normal(size=60)
    found = statistics.correlation(x, y, np.arange(60) // 5)
    assert found["pearson"] == pytest.approx(pearsonr(x, y).statistic)
    assert found["spearman"] == pytest.approx(spearmanr(x, y).statistic)
    assert found["pearson_low"] < found["pearson"] < found["pearson_high"]


def test_points_of_one_network_do_not_narrow_the_interval():
    random = np.random.default_rng(2)
    network = np.repeat(np.arange(6), 20)
    x = random.normal(size=6)[network] + 0.01 * random.normal(size=120)
    y = random.normal(size=6)[network] + 0.01 * random.normal(size=120)
    whole = statistics.correlation(x, y, network)
    apart = statistics.correlation(x, y, np.arange(120))
    width = [found["pearson_high"] - found["pearson_low"] for found in (whole, apart)]
    assert width[0] > 2 * width[1]


def test_values_that_are_not_finite_do_not_count():
    x = np.r_[np.arange(20.0), np.nan, np.inf]
    assert statistics.correlation(x, x, np.arange(22))["n"] == 20


# --- what would settle a difference ---


def test_more_units_are_needed_for_a_smaller_difference():
    near, far = statistics.settled(0.005, 0.02), statistics.settled(0.02, 0.02)
    assert near > far > 4
    assert statistics.settled(0.02, 0.02, tests=10) > far
    assert statistics.settled(0.02, 0.0) == 3
    assert np.isnan(statistics.settled(0.01, float("nan"))) and np.isnan(statistics.settled(0.0, 0.02))


@pytest.mark.parametrize("tests", [1, 3, 30])
@pytest.mark.parametrize("size", [0.1, 0.3, 0.5, 1.0, 2.0, 3.0, 6.0])
def test_the_units_that_are_asked_for_have_the_power_by_scipy_or_one_more_has(size, tests):
    from scipy.stats import nct, t

    needed = statistics.settled(size, 1.0, tests)
    powers = [nct.sf(t.isf(LEVEL / (2 * tests), n - 1), n - 1, size * n**0.5) for n in (needed - 1, needed, needed + 1)]
    assert np.nan_to_num(powers[2], nan=1.0) >= statistics.POWER  # scipy knows no power near 1
    assert needed == 3 or powers[0] < statistics.POWER


@given(st.floats(0.05, 50), st.integers(1, 300))
def test_more_tests_never_need_fewer_units_and_what_is_needed_is_told_apart(size, tests):
    needed = statistics.settled(size, 1.0, tests)
    assert statistics.settled(size, 1.0, tests + 1) >= needed
    p = 2 * stdtr(needed - 1, -size * np.sqrt(needed))
    assert p < LEVEL / tests


def test_the_images_that_are_asked_for_settle_the_difference_in_four_of_five_trials():
    needed = int(statistics.settled_images(60, 30, 1000))
    random = np.random.default_rng(0)
    only = random.multinomial(needed, [0.06, 0.03, 0.91], TRIALS)
    found = np.mean([statistics.mcnemar(a, b) < LEVEL for a, b, _ in only])
    assert 0.74 < found < 0.88
    assert np.isinf(statistics.settled_images(5, 5, 100))


# --- what a page says, by simulation ---


def drawn(random, shares, images):
    """A table of made-up networks that are right on each image with their own share, harder images for all."""
    hard = random.normal(size=images)
    right = [random.normal(size=images) + hard < np.sqrt(2) * _probit(share) for share in shares]
    rows = pd.DataFrame([network.columns for network in NETWORKS])
    return typed(rows).assign(top1=[own.mean() for own in right]), right


def _probit(share):
    from scipy.special import ndtri

    return ndtri(share)


def test_where_nothing_differs_a_page_says_ahead_in_at_most_one_of_twenty_trials():
    random, false = np.random.default_rng(3), 0
    for _ in range(TRIALS):
        table, right = drawn(random, [0.95, *[0.6] * 5], 360)
        found = paired.with_best(table, right)
        false += bool(set(found["word"]) & {AHEAD, BEHIND})
    assert false <= 0.05 * TRIALS


def test_a_known_difference_is_found_with_enough_images():
    random, found = np.random.default_rng(4), 0
    for _ in range(100):
        table, right = drawn(random, [0.95, 0.5, 0.5, 0.5, 0.5, 0.6], 4000)
        words = paired.with_best(table, right)
        found += bool(words["best"].iloc[-1] and words["word"].iloc[1:-1].eq(AHEAD).all())
    assert found >= 95
