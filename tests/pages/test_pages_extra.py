"""The pages on absorption, severity and ablation, run headless on made-up results."""

import numpy as np
import pytest
from drawn import charts, numbers
from made_results import store_result
from paged import faultless as opened
from paged import words

from asr_core.measure.statistics import FEWEST_NETWORKS
from asr_core.spec.recalibration import default_states
from asr_core.spec.repairs import BN_ONLY

PAGES = ("absorption", "severity", "ablation")
TOO_FEW = f"no correlation is given for fewer than {FEWEST_NETWORKS} networks"


@pytest.mark.parametrize("page", PAGES)
def test_an_empty_store_is_said_in_words(store, page):
    assert "Nothing is stored yet" in words(opened(page))


@pytest.mark.parametrize(
    ("page", "count", "sentence"),
    [
        ("absorption", 4, "Under cumulative averaging all 3 repairs and BN only are one network"),
        ("severity", 1, f"1 setting of 1 dense network: {TOO_FEW}"),
        ("ablation", 2, "12 of 100 points are stored"),
    ],
)
def test_a_stored_setting_is_drawn_and_told(store, page, count, sentence):
    store_result(store)
    app = opened(page)
    assert len(charts(app)) == count
    assert sentence in words(app)


def test_the_share_left_and_the_convs_are_counted(store):
    store_result(store)
    app = opened("absorption")
    assert [metric.value for metric in app.metric] == ["0.122", "4 of 5"]
    assert "layer2.0.conv2: feeds relu" in words(app)
    assert "(1 − 0.1)²⁰ = 0.1216" in words(app)


def test_no_recalibration_has_no_left_over_signal(store):
    store_result(store)
    app = opened("absorption", dataset="digits", calib_batches="0")
    assert app.metric[0].value == "1.000"
    assert "absorbs nothing; choose a budget" in words(app)


def test_gaps_are_shown_as_accuracy_on_request(store):
    store_result(store)
    app = opened("absorption", dataset="digits", gap="top1_gap")
    assert "measured: top-1 minus" in str(charts(app)[0])


def test_severity_correlates_over_all_stored_settings(store):
    for seed in range(8):
        store_result(store, seed=seed, sparsity=0.5 + 0.06 * seed)
    app = opened("severity", gain="bn_lw", against="overshoot")
    points = charts(app)[0]["data"][0]
    pearson = np.corrcoef(numbers(points["x"]), numbers(points["y"]))[0, 1]
    assert f"8 settings of 8 dense networks, Pearson r = {pearson:.2f}" in words(app)
    table = app.dataframe[0].value
    assert set(table["settings"]) == set(table["networks"]) == {"8"} and set(table["the paper's r"]) == {"–"}


def test_settings_of_one_network_are_not_correlated(store):
    for number in range(8):
        store_result(store, sparsity=0.5 + 0.06 * number)
    assert f"8 settings of 1 dense network: {TOO_FEW}" in words(opened("severity"))


def test_the_paper_s_correlations_stand_beside_ours(store):
    store_result(store)
    table = opened("severity").dataframe[0].value.set_index(["gain against", "b"])
    assert table.loc[("severity", "20"), "the paper's r"] == "0.61"
    assert table.loc[("severity", "10"), "the paper's ρ"] == "0.33"
    assert table.loc[("severity", "20"), "Pearson r"] == TOO_FEW.removeprefix("no correlation is given for ")


def test_a_method_that_is_not_stored_anywhere_is_said_in_words(store):
    store_result(store, repairs=(BN_ONLY,))
    assert "No stored setting holds both methods" in words(opened("severity"))
    assert "None of the chosen methods that change weights is stored" in words(opened("absorption"))


def test_the_order_and_the_map_to_complete_are_in_the_address(store):
    store_result(store)
    app = opened("ablation", dataset="digits", order2="sequential", map="sequential-on")
    assert app.selectbox(key="map").value == "sequential-on"
    app.selectbox(key="map").set_value("simultaneous-on").run()
    assert app.query_params["map"] == "simultaneous-on" and app.query_params["order2"] == "sequential"
    assert "unknown map 'odd'" in words(opened("ablation", dataset="digits", map="odd"))


def test_rows_of_table_2_that_are_missing_are_named(store):
    store_result(store)
    app = opened("ablation")
    assert "ASR, fixed prior; ASR, mean prior + bias correction" in words(app)
    assert next(expander.label for expander in app.expander if "not stored" in expander.label).startswith("2 of 7 rows")


@pytest.mark.parametrize("page", PAGES)
def test_numbers_that_are_not_finite_do_not_break_a_page(store, page):
    def spoil(tables):
        tables["accuracy"].loc[tables["accuracy"]["method"].eq("lw_bn"), "logit_gap"] = np.inf
        tables["accuracy"].loc[
            tables["accuracy"]["method"].eq("raw_bn"), ["logit_gap", "top1", "top1_low", "top1_high"]
        ] = np.nan
        tables["repairs"].loc[::3, ["gamma", "v_repaired", "mu_repaired", "b_new"]] = np.nan
        tables["convs"]["absorbed"], tables["convs"]["reason"] = "unknown", ""

    store_result(store, change=spoil)
    assert charts(opened(page, dataset="digits", orders="simultaneous,sequential", biases="off,on"))


@pytest.mark.parametrize("page", PAGES)
def test_a_pinned_setting_is_drawn_beside_the_present_one(store, page):
    pinned = store_result(store, sparsity=0.5)
    store_result(store, sparsity=0.9)
    key = pinned.entry.manifest["key"]
    app = opened(page, dataset="digits", sparsity="0.9", pin=f"{key}~simultaneous~off~reset~ema~0.1~20")
    assert len(charts(app)) == 2 * {"absorption": 4, "severity": 1, "ablation": 2}[page]


def test_states_that_are_not_stored_are_said_in_words(store):
    store_result(store, states=default_states((10,)))
    assert "None of the rows of table 2" in words(opened("ablation", calib_batches="20"))
    assert "No stored setting holds both" in words(opened("severity", calib_batches="20"))


@pytest.mark.parametrize("page", ("ablation", "severity"))
def test_a_link_without_a_look_shows_a_state_that_is_stored(store, page):
    store_result(store, states=default_states((10,)))
    assert charts(opened(page))


@pytest.mark.parametrize("page", PAGES)
def test_a_network_of_one_layer_has_no_traceback(store, page):
    store_result(store, layers={"conv1": 4})
    opened(page)
