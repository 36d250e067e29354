"""Pages on a network without BatchNorm: nothing is recalibrated, absorbed or asked for, and it is said."""

import pytest
from drawn import shown
from made_results import store_result
from paged import PAGES, faultless, turned, words

from asr_core.figures import NothingToDraw, absorption, budgets, curves, decay, signal, unabsorbed
from asr_core.measure.statistics import AHEAD, BEHIND, EQUAL
from asr_core.spec.experiment import Setting
from asr_core.spec.recalibration import NOTHING, REPORTED_STATE
from asr_core.spec.repairs import BN_ONLY, NO_REPAIR, RepairSpec
from asr_core.store import catalogue
from asr_core.store.tables import rows_of
from asr_core.studies import card, first, settings, taught
from asr_core.studies.cells import Variant

LAYERS = {"stem": 16, "stages.0.conv": 16, "stages.0.expand": 24, "stages.0.contract": 16}
HERE = {"architecture": "small_convnext", "sparsity": 0.8}
ADDRESS = {"dataset": "digits"} | HERE
LW, ASR = (RepairSpec.of(method, bias=False) for method in ("lw_bn", "asr_bn"))


def unrecalibrated(tables):
    """As such a network's tables are: nothing after recalibration, no conv absorbed."""
    tables["repairs"] = tables["repairs"].drop(columns=["mu_recalibrated", "v_recalibrated"])
    for name in ("layers", "alphas"):
        tables[name] = tables[name][tables[name]["state"] == "repaired"]
    tables["convs"] = tables["convs"].assign(absorbed="no", reason="feeds layernorm (norm)")


@pytest.fixture
def stored(store):
    return store_result(store, change=unrecalibrated, layers=LAYERS, **HERE)


@pytest.mark.parametrize("page", PAGES)
def test_every_page_opens_on_it_without_complaint(store, stored, page):
    app = faultless(page, **ADDRESS)
    assert not app.warning


@pytest.mark.parametrize("page", PAGES)
def test_every_page_opens_beside_a_pinned_network_with_batchnorm(store, stored, page):
    pinned = store_result(store, sparsity=0.9)
    key = pinned.entry.manifest["key"]
    faultless(page, pin=f"{key}~simultaneous~off~reset~ema~0.1~20", **ADDRESS)


def test_overview_says_that_there_is_nothing_to_recalibrate_and_lacks_nothing(store, stored):
    told = words(faultless("overview", **ADDRESS))
    assert NOTHING in told and "None of the chosen" not in told and "Not stored for this setting" not in told
    assert "Without BatchNorm (simultaneous, bias off)," in told
    assert "b = 20" not in told and "b = 0" not in told


def test_two_results_of_one_draw_are_no_two_draws(store, stored):
    store_result(store, change=unrecalibrated, layers=LAYERS, repairs=(LW,), **HERE)
    assert "calibration draws" not in words(faultless("overview", **ADDRESS))


def test_the_sidebar_has_no_control_of_recalibration(store, stored):
    app = faultless("overview", **ADDRESS)
    keys = {item.key for kind in (app.selectbox, app.number_input) for item in kind}
    assert not keys & {"start", "averaging", "momentum", "calib_batches"}
    assert any(NOTHING in shown(item.value) for item in app.sidebar.caption)


def test_the_choice_of_recalibration_is_there_again_with_another_network(store, stored):
    store_result(store, sparsity=0.8)
    app = faultless("overview", calib_batches=50, **ADDRESS)
    app.selectbox(key="architecture").set_value("cifar_resnet20").run()
    assert not app.exception and app.query_params["calib_batches"] == "50"
    assert app.selectbox(key="averaging").value == "ema" and "b = 50" in words(app)


@pytest.mark.parametrize("mapped", ["before", "after"])
@pytest.mark.parametrize("page", ["signal", "maps", "heatmaps", "variance"])
def test_states_after_recalibration_that_an_address_asks_for_are_those_before(store, stored, page, mapped):
    app = faultless(page, mapped=mapped, stage_cells="recalibrated", stage="recalibrated", **ADDRESS)
    assert "After recalibration" not in words(app)


def test_curves_over_batches_are_none_and_over_images_there(store, stored):
    with pytest.raises(NothingToDraw, match="nothing to recalibrate"):
        curves.CURVES.table(stored, [LW])
    assert len(curves.CURVES.table(stored, [LW], x="images"))


@pytest.mark.parametrize("chart", [absorption.GAP, absorption.AGREEMENT, signal.SIGNAL, decay.DECAY, budgets.EQUAL])
def test_what_only_recalibration_shows_says_why_it_is_not_drawn(store, stored, chart):
    more = {} if chart is decay.DECAY else {"repairs": [LW, ASR]}
    with pytest.raises(NothingToDraw, match="no BatchNorm"):
        chart.table(stored, **more)


def test_does_batchnorm_undo_it_says_that_nothing_undoes_anything(store, stored):
    told = words(faultless("absorption", **ADDRESS))
    assert "This network has no BatchNorm: nothing undoes a factor" in told
    assert "**4** not absorbed" in told and "is not stored" not in told


def test_what_a_repair_is_worth_is_told_against_no_repair(store, stored):
    table = unabsorbed.UNABSORBED.table(stored, [BN_ONLY, LW, ASR])
    plain, *gained = (rows_of(stored.accuracy, one)["top1"].iloc[0] for one in (NO_REPAIR, LW, ASR))
    assert table["gain"].tolist() == pytest.approx([top1 - plain for top1 in gained])
    assert table["pairs"].tolist() == [2, 2] and set(table["word"]) <= {AHEAD, BEHIND, EQUAL}
    assert unabsorbed.UNABSORBED.sentence(table).startswith("Without BatchNorm nothing absorbs a repair.")


def test_the_same_is_told_of_a_network_with_batchnorm_before_recalibration(store):
    table = unabsorbed.UNABSORBED.table(store_result(store), [BN_ONLY, LW])
    assert len(table) == 1 and unabsorbed.UNABSORBED.sentence(table).startswith("At b = 0 nothing absorbs a repair.")


def test_a_worth_without_repairs_that_change_weights_is_not_drawn(store, stored):
    with pytest.raises(NothingToDraw, match="No repair that changes weights is stored"):
        unabsorbed.UNABSORBED.table(stored, [BN_ONLY])


def test_nothing_is_missing_of_the_default_grid(store, stored):
    store_result(store, sparsity=0.9, states=(REPORTED_STATE,))
    found = settings.table(store, catalogue.stored(store)).set_index("network")["complete"]
    assert found["small_convnext"] == 1 and found["cifar_resnet20"] < 1


def test_no_lesson_is_taught_with_it(store, stored):
    assert not taught.chosen(store, catalogue.stored(store))
    store_result(store, sparsity=0.9)
    assert {item.setting.model.batchnorm for item in taught.chosen(store, catalogue.stored(store))} == {True}


def test_views_open_with_it_only_where_nothing_else_is_stored(store, stored):
    assert first.first(store).setting.model.architecture == "small_convnext"
    store_result(store)
    assert first.first(store).setting.model.architecture == "cifar_resnet20"


def test_its_protocol_has_no_recalibration():
    found = card.card(Setting.of(**HERE), "digits", Variant()).set_index("aspect")["here"]
    assert found["recalibration"] == "no BatchNorm" and "budget" not in found


def test_a_pill_of_bn_only_changes_nothing(store, stored):
    app = faultless("overview", methods="bn_only,lw_bn", **ADDRESS)
    assert "Not stored for this setting" not in words(app)
    app = turned(app, "absorption")
    assert BN_ONLY.method in app.session_state["methods"]
