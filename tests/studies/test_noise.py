"""Draws and seeds: kept apart, measured for the cost of the draws alone, and what is certain of a difference."""

import json

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from fake_results import TESTS
from made_results import store_result

from asr_core.cli.main import main
from asr_core.figures import NothingToDraw, overview, style
from asr_core.figures import noise as figures
from asr_core.measure.statistics import AHEAD, EQUAL, UNMEASURED
from asr_core.pipeline import plan
from asr_core.report.sentences import noise as sentences
from asr_core.spec.draws import each
from asr_core.spec.experiment import ExperimentSpec, Setting
from asr_core.spec.keys import recipe_key
from asr_core.spec.recalibration import NO_STATE, REPORTED_STATE
from asr_core.spec.repairs import BN_ONLY, RepairSpec
from asr_core.store import Store, catalogue
from asr_core.store.tables import is_of
from asr_core.studies import noise

RAW, ASR = (RepairSpec.of(name, "simultaneous", False) for name in ("raw_bn", "asr_bn"))
REPAIRS = (BN_ONLY, RAW, ASR)
DENSE = f"{0:016x}"


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


def drawn(store, draw=0, seed=0, raw=0.5, asr=0.5):
    """A stored result of one draw and seed in which raw and ASR have these shares of the images right."""

    def change(tables):
        rows = tables["accuracy"]
        rows.loc[is_of(rows, RAW), "top1"], rows.loc[is_of(rows, ASR), "top1"] = raw, asr

    return store_result(store, change, repairs=REPAIRS, draw=draw, seed=seed)


def rows(store, state=REPORTED_STATE):
    """Accuracy rows of every draw and seed of the default setting."""
    alike = noise.alike(catalogue.stored(store), Setting(), DENSE)
    return noise.rows(store, [item.key for item in alike], REPAIRS, state)


def pair(store) -> pd.Series:
    """ASR against raw."""
    table = noise.differences(store, rows(store), 0, 0)
    return table[table["first"].isin([RAW, ASR]) & table["second"].isin([RAW, ASR])].iloc[0]


def test_the_draw_and_the_seed_are_told_apart(store):
    for draw, asr in enumerate((0.50, 0.52, 0.54)):
        drawn(store, draw, asr=asr)
    drawn(store, seed=1, asr=0.70)
    drawn(store, seed=2, asr=0.61)
    table = noise.methods(rows(store), 0, 0)
    asr = table[is_of(table, ASR)].iloc[0]
    assert (asr["draws"], asr["seeds"]) == (3, 3)
    assert asr["draw_mean"] == pytest.approx(0.52) and asr["draw_sd"] == pytest.approx(0.02)
    assert asr["seed_sd"] == pytest.approx(np.std([0.52, 0.70, 0.61], ddof=1))
    assert asr["images_sd"] == pytest.approx((0.5 * 0.5 / TESTS) ** 0.5)


def test_two_draws_are_too_few_for_a_spread(store):
    drawn(store, 0, asr=0.50)
    drawn(store, 1, asr=0.56)
    table = noise.methods(rows(store), 0, 0)
    assert table["draw_sd"].isna().all()
    figure = figures.methods_figure(style.labelled(table))
    assert "too few: 2, at least 3 are needed" in [text for trace in figure.data for text in trace.text]
    assert "calibration draws: too few (2 stored, at least 3 are needed)" in sentences.methods(table)


def test_other_numbers_of_statistics_images_are_no_draw(store):
    drawn(store)
    store_result(store, repairs=REPAIRS, stat_images=32)
    assert len(noise.alike(catalogue.stored(store), Setting(), DENSE)) == 1


def test_one_draw_is_no_finding(store):
    drawn(store, raw=0.5, asr=0.6)
    found = pair(store)
    assert found["first"] == ASR and found["images_word"] == AHEAD
    assert found["draw_word"] == found["seed_word"] == UNMEASURED


def test_a_difference_that_holds_over_draws_is_certain_though_one_draw_is_against_it(store):
    gains = (-0.002, 0.030, 0.028, 0.031, 0.029, 0.033, 0.030, 0.029)
    for draw, gain in enumerate(gains):
        drawn(store, draw, raw=0.5, asr=0.5 + gain)
    found = pair(store)
    assert found["first"] == RAW and found["images_word"] == EQUAL
    assert found["draw_word"] == "behind" and found["draws_ahead"] == 1


def test_what_is_not_settled_says_how_many_would_settle_it(store):
    for draw, gain in enumerate((0.01, -0.004, 0.012)):
        drawn(store, draw, raw=0.5, asr=0.5 + gain)
    found = pair(store)
    assert found["draw_word"] == EQUAL and found["draws_needed"] > 3


def test_methods_that_never_differ_may_be_equal(store):
    for draw in range(3):
        drawn(store, draw)
    found = pair(store)
    assert found["draw_word"] == found["images_word"] == EQUAL and np.isnan(found["draws_needed"])


def test_over_draws_without_a_difference_the_tool_says_so_in_at_most_one_of_twenty_trials():
    random, false = np.random.default_rng(5), 0
    for _ in range(1000):
        p = noise._t_test(pd.Series(random.normal(0, 0.02, 8)))
        false += p < 0.05
    assert false <= 65  # one test each: 50 expected, 65 is two standard deviations more


def test_figures_tell_and_draw_what_is_measured(store):
    for draw in range(3):
        result = drawn(store, draw, asr=0.5 + 0.01 * draw)
    keys = tuple(item.key for item in catalogue.stored(store))
    for chart in (figures.METHODS, figures.DIFFERENCES):
        table = chart.table(result, store=store, keys=keys, repairs=REPAIRS)
        assert chart.figure(table, **chart.limits([table])).data and "calibration draws" in chart.sentence(table)
    with pytest.raises(NothingToDraw):
        figures.METHODS.table(result, store=store, keys=(), repairs=REPAIRS)


def test_overview_has_the_reach_of_the_draws(store):
    for draw, asr in enumerate((0.5, 0.6)):
        result = drawn(store, draw, asr=asr)
    keys = tuple(item.key for item in catalogue.stored(store))
    table = overview.ACCURACY.table(result, repairs=REPAIRS, store=store, draws=keys)
    asr = table[is_of(table, ASR)].iloc[0]
    assert (asr["draws"], asr["draw_low"], asr["draw_high"]) == (2, 0.5, 0.6)
    assert overview.ACCURACY.figure(table, **overview.ACCURACY.limits([table])).data


def test_further_draws_cost_neither_training_nor_what_no_draw_changes():
    first, second = each(ExperimentSpec.of_setting(Setting(), REPAIRS, (NO_STATE,)), 2)
    tasks = [{(t.stage, t.key) for t in plan.tasks(spec, DENSE, 1437, 360)} for spec in (first, second)]
    shared = {stage for stage, _ in tasks[0] & tasks[1]}
    assert shared == {"prune", "evaluation"}
    assert len(tasks[0] & tasks[1]) == 1 + 2  # masks; accuracies of dense and pruned, which BN only is at b = 0


def test_draws_are_rows_of_one_object_told_apart_by_their_field(store):
    spec = ExperimentSpec()
    store.put("dense", DENSE, {}, {"recipe": recipe_key(spec), "dense_id": DENSE})
    for draw in range(2):
        store_result(store, draw=draw)
    asked = ["--cache-dir", str(store.root), "run", "--draws", "2"]
    printed = CliRunner().invoke(main, [*asked, "--json"], prog_name="python -m asr_core")
    assert {row["draw"] for row in json.loads(printed.stdout)["accuracy"]} == {0, 1}
    text = CliRunner().invoke(main, asked, prog_name="python -m asr_core").output
    assert "over 2 calibration draws" in text


def test_draws_and_a_draw_cannot_both_be_asked_for(store):
    asked = ["--cache-dir", str(store.root), "run", "--draws", "2", "--draw", "1"]
    found = CliRunner().invoke(main, asked, prog_name="python -m asr_core")
    assert found.exit_code == 2 and "cannot hold" in found.output
