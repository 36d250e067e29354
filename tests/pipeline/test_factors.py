"""The stage that stores how far factors move with the calibration draw: right, not computed twice, read back."""

import numpy as np
import pandas as pd
import pytest
from counting import Counter
from made_maps import SPEC, copy

from asr_core.pipeline import factor_stage, factors, run
from asr_core.runtime import Runtime
from asr_core.spec.draws import each
from asr_core.store import results
from asr_core.store.tables import networks

DRAWS = 3
REPAIRED = [repair for repair in SPEC.repairs if repair.order]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return copy(tmp_path_factory.mktemp("factors"))


@pytest.fixture(scope="module")
def dense_id(store):
    return results.dense_here(store, SPEC)


@pytest.fixture(scope="module")
def counter(store, dense_id):
    counter = Counter()
    factor_stage.measure(SPEC, store, dense_id, DRAWS, counter, Runtime(threads=1))
    return counter


@pytest.fixture(scope="module")
def table(store, dense_id, counter):
    (found,) = factors.stored(store, SPEC, dense_id)
    return found


def a_draw(gamma, **values) -> pd.DataFrame:
    """A repair table of one draw: a channel for each gamma."""
    row = {"method": "asr_bn", "order": "simultaneous", "bias": False, "params": "", "layer": "conv1"} | values
    return pd.DataFrame([row | {"channel": channel, "gamma": value} for channel, value in enumerate(gamma)])


def test_every_repair_of_every_channel_has_its_spread_over_the_draws(table):
    assert set(networks(table)) == set(REPAIRED)
    assert set(table["draws"]) == {DRAWS}
    assert not table.duplicated(factors.ROWS).any()


def test_the_spread_is_that_of_the_factors_that_each_draw_alone_computes(tmp_path, table):
    fresh = copy(tmp_path)
    alone = pd.concat([run.run(one, fresh).repairs for one in each(SPEC, DRAWS)])
    rows = alone.groupby(factors.ROWS, sort=False)["gamma"].agg(["mean", "std"]).dropna().reset_index()
    both = table.merge(rows, on=factors.ROWS, suffixes=("", "_alone"))
    assert len(both) == len(table) == len(rows)
    np.testing.assert_allclose(both["mean"], both["mean_alone"], rtol=1e-5)
    np.testing.assert_allclose(both["std"], both["std_alone"], rtol=1e-3, atol=1e-6)


def test_no_image_is_evaluated_or_recalibrated_on_for_it(counter):
    assert counter.images.keys() <= {"stats", "repair"}


def test_what_is_stored_is_not_computed_again(store, dense_id, table):
    counter = Counter()
    found = factor_stage.measure(SPEC, store, dense_id, DRAWS, counter, Runtime(threads=1))
    assert len(found) == len(table)
    assert counter.images == {}
    assert factors.missing(SPEC, store, dense_id, DRAWS) == []


def test_what_is_planned_is_what_is_run(tmp_path):
    store, counter = copy(tmp_path), Counter()
    dense_id = results.dense_here(store, SPEC)
    planned = factors.missing(SPEC, store, dense_id, DRAWS)
    factor_stage.measure(SPEC, store, dense_id, DRAWS, counter, Runtime(threads=1))
    assert sum(task.images for task in planned) == sum(counter.images.values()) > 0
    assert {task.stage for task in planned} >= {"stats", "repair"}


def test_the_spread_of_any_draw_is_that_of_its_setting_and_of_no_other(store, dense_id, table):
    assert len(factors.stored(store, SPEC.but(draw=7), dense_id)) == 1
    assert factors.stored(store, SPEC.but(sparsity=0.5), dense_id) == []
    assert factors.stored(store, SPEC.but(stat_images=8), dense_id) == []
    assert factors.stored(store, SPEC, "another") == []


def test_the_spread_is_the_sample_standard_deviation():
    found = factors.spread([a_draw([1.0, 3.0]), a_draw([2.0, 3.0]), a_draw([3.0, 3.0])])
    assert found["mean"].tolist() == [2.0, 3.0]
    assert found["std"].tolist() == [1.0, 0.0]
    assert found["draws"].tolist() == [3, 3]


def test_a_channel_with_new_weights_has_no_factor_and_no_row():
    found = factors.spread([a_draw([np.nan, 2.0]), a_draw([np.nan, 4.0])])
    assert found["channel"].tolist() == [1]


def test_the_spread_over_more_draws_is_taken_and_one_draw_has_none():
    two = factors.spread([a_draw([1.0, 1.0]), a_draw([2.0, 2.0])])
    three = factors.spread([a_draw([5.0]), a_draw([6.0]), a_draw([7.0])])
    one = factors.spread([a_draw([9.0], layer="conv2")])
    found = factors.widest([two, three, one]).sort_values("channel")
    assert found["draws"].tolist() == [3, 2]
    assert found["mean"].tolist() == [6.0, 1.5]


def test_a_draw_without_factors_counts_as_none():
    empty = a_draw([1.0]).iloc[:0]
    assert factors.widest([factors.spread([empty, empty])]).empty
    assert factors.widest([factors.spread([])]).empty
