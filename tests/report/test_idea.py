"""The front page: which stored setting it shows, its three figures, and its words where nothing is stored."""

import numpy as np
import pytest
from drawn import charts, shown
from made_results import store_result
from paged import arrived, switched
from streamlit.testing.v1 import AppTest

from asr_core.figures import NothingToDraw, idea
from asr_core.report import ideatext
from asr_core.spec.experiment import Setting
from asr_core.store import Store
from asr_core.store.catalogue import stored
from asr_core.studies import taught


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("ASR_CACHE_DIR", str(tmp_path))
    return Store(tmp_path)


def opened() -> AppTest:
    app = arrived()
    assert not app.exception
    return app


def test_the_setting_whose_severity_is_nearest_to_one_half_is_chosen(store):
    for sparsity in (0.5, 0.9, 0.97):
        store_result(store, sparsity=sparsity)
    severities = {item.setting: item.facts["severity"] for item in stored(store)}
    (found,) = taught.chosen(store, stored(store))
    assert abs(found.facts["severity"] - 0.5) == min(abs(value - 0.5) for value in severities.values())


def test_settings_without_all_methods_are_passed_over(store):
    store_result(store, sparsity=0.9, repairs=taught.REPAIRS)
    assert taught.chosen(store, stored(store)) == []
    store_result(store, sparsity=0.5)
    assert [item.setting for item in taught.chosen(store, stored(store))] == [Setting.of(sparsity=0.5)]


def test_other_sparsities_of_the_same_network_are_its_siblings(store):
    for setting in ({"sparsity": 0.5}, {"sparsity": 0.9}, {"sparsity": 0.9, "seed": 1}):
        store_result(store, **setting)
    like = next(item for item in stored(store) if item.setting == Setting.of(sparsity=0.5))
    assert list(taught.siblings(stored(store), like)) == [0.5, 0.9]


def test_eight_channels_of_a_layer_are_shown_relative_to_dense(store):
    table = idea.LAYER.table(store_result(store))
    assert sorted(table["label"].unique()) == ["one factor each", "one scalar for the layer", "pruned", "shrinkage"]
    assert table.groupby("label").size().tolist() == [8, 8, 8, 8]
    each = table[table["method"] == "raw_bn"]["share"]
    np.testing.assert_allclose(each, 1, rtol=1e-4)


def test_one_scalar_moves_all_channels_alike(store):
    table = idea.LAYER.table(store_result(store))
    by = {method: rows.set_index("channel")["share"] for method, rows in table.groupby("method")}
    moved = by["lw_bn"] / by["no_repair"]
    np.testing.assert_allclose(moved, moved.iloc[0])


def test_gains_that_compound_are_measured_and_the_predicted_ones_do_not(store):
    result = store_result(store)
    measured, predicted = (idea.DEPTH.table(result, measured=one) for one in (True, False))
    last = measured["depth"].max()

    def end(table):
        return table[(table["depth"] == last) & (table["method"] == "raw_bn")]["share"].item()

    assert end(measured) > 2 and end(predicted) == pytest.approx(1, rel=1e-4)


def test_accuracies_are_shown_with_batchnorm_as_it_was_and_measured_anew(store):
    table = idea.BATCHNORM.table(store_result(store))
    assert list(table["when"].unique()) == list(idea.WAYS)
    assert table["n_eval"].notna().all()
    assert len(idea.BATCHNORM.figure(table).data) == 2
    assert idea.BATCHNORM.sentence(table).count(" %") == 2


def test_a_layer_without_live_channels_says_so(store):
    with pytest.raises(NothingToDraw, match="No channel of nowhere"):
        idea.LAYER.table(store_result(store), layer="nowhere")


def test_the_front_page_is_the_idea_with_three_figures_and_no_setting_in_the_sidebar(store):
    store_result(store)
    app = opened()
    assert app.title[0].value == "The idea" and len(charts(app)) == 3
    assert not app.sidebar.selectbox and not app.sidebar.pills
    assert ideatext.RULE in shown("\n".join(item.value for item in app.caption))


def test_with_nothing_stored_the_bars_are_there_and_the_rest_is_promised(store):
    app = opened()
    assert not charts(app) and "once one is stored" in app.info[0].value
    assert len(app.get("bidi_component")) == 2  # the bars, and what prepares figures


def test_the_front_page_leads_to_the_lesson_and_to_the_results(store):
    store_result(store)
    app = opened()
    next(button for button in app.button if button.label == "Look at all results").click().run()
    assert app.title[0].value == "Overview" and not app.exception


def test_the_front_page_looks_for_no_setting_and_the_next_page_still_opens_with_the_first(store):
    store_result(store, sparsity=0.7)
    app = opened()
    assert not app.query_params
    app = switched(app, "overview")
    assert app.query_params["sparsity"] == "0.7" and "is not stored" not in shown(
        "\n".join(m.value for m in app.markdown)
    )
