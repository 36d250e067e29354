"""The page All settings: every stored setting once, with what is known of it; filtered, sorted, opened."""

import numpy as np
import pytest
from fake_results import fake_result
from paged import faultless

from asr_core.spec.recalibration import NO_STATE
from asr_core.spec.repairs import BN_ONLY
from asr_core.store import Store, catalogue
from asr_core.studies import settings


@pytest.fixture
def store(tmp_path, use):
    """Three settings: one whole, one with other masks, one of which only BN only is stored."""
    found = use(Store(tmp_path))
    fake_result(found, dataset="digits", sparsity=0.9)
    fake_result(found, dataset="digits", pruning="n_m", keep_n=1)
    fake_result(found, dataset="digits", sparsity=0.5, seed=3, repairs=(BN_ONLY,), states=(NO_STATE,))
    return found


def table(store):
    return settings.table(store, catalogue.stored(store))


def test_every_setting_has_one_row_with_what_is_stored_of_it(store):
    found = table(store).sort_values("sparsity", kind="stable")
    assert list(found["sparsity"]) == [0.5, 0.75, 0.9]
    assert found["severity"].notna().all()
    assert list(found["seed"]) == [3, 0, 0]


def test_the_gain_is_asr_minus_lw_within_its_interval_and_absent_where_one_is_not_stored(store):
    found = table(store).set_index("sparsity")
    assert np.isnan(found.loc[0.5, "gain"])
    assert found.loc[0.9, "gain_low"] <= found.loc[0.9, "gain"] <= found.loc[0.9, "gain_high"]


def test_completeness_is_the_part_of_the_default_grid(store):
    found = table(store).set_index("sparsity")["complete"]
    assert found[0.9] == found[0.75] == 1.0
    assert 0 < found[0.5] < 0.05


def test_results_of_one_setting_are_one_row(store):
    fake_result(store, dataset="digits", sparsity=0.5, seed=3, states=(NO_STATE,))
    assert len(table(store)) == 3
    assert table(store).set_index("sparsity")["complete"][0.5] > 0.05


def test_no_store_is_an_empty_table(tmp_path):
    assert table(Store(tmp_path)).empty


def test_the_page_lists_all_settings_with_their_words(store):
    app = faultless("settings", dataset="digits", sparsity=0.9)
    assert sorted(app.dataframe[0].value["sparsity, %"]) == [50.0, 75.0, 90.0]
    assert app.dataframe[0].value["test images"].tolist() == ["all"] * 3
    assert any("3 of 3 stored settings" in caption.value for caption in app.caption)


def test_words_of_the_address_filter_the_table(store):
    app = faultless("settings", dataset="digits", sparsity=0.9, words="seed 3")
    assert app.dataframe[0].value["sparsity, %"].tolist() == [50.0]
    assert app.text_input(key="words").value == "seed 3"


def test_words_that_nothing_holds_leave_an_empty_table(store):
    assert faultless("settings", dataset="digits", sparsity=0.9, words="zebra").dataframe[0].value.empty


@pytest.mark.parametrize("by", ["severity", "complete", "gain", "within_share"])
def test_the_largest_comes_first_and_what_is_not_measured_last(store, by):
    shown = faultless("settings", dataset="digits", sparsity=0.9, by=by).dataframe[0].value
    name = {"gain": "gain, points", "complete": "complete, %", "within_share": "within share, %"}.get(by, by)
    known = shown[name].dropna().tolist()
    assert known == sorted(known, reverse=True)
    assert shown[name].isna().tolist() == sorted(shown[name].isna().tolist())


def test_with_nothing_stored_the_page_says_so(tmp_path, use):
    use(Store(tmp_path))
    assert any("Nothing is stored yet" in info.value for info in faultless("settings", dataset="digits").info)
