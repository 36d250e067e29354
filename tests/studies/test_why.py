"""Why two methods differ: granularity and compounding by hand, and the card on Overview."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from drawn import charts, shown
from made_answers import ASR, RAW, REPAIRS, STATE, stored
from paged import arrived, clean, turned

from asr_core.figures import NothingToDraw
from asr_core.figures import why as figures
from asr_core.spec.repairs import BN_ONLY, RepairSpec
from asr_core.store import Store
from asr_core.store.tables import is_of
from asr_core.studies import why


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    return stored(Store(tmp_path_factory.mktemp("why")))


def changed(result, repair, **columns):
    """The result in which the rows of `repair` have other columns, each a function of them."""
    rows, mine = result.repairs.copy(), is_of(result.repairs, repair)
    for name, value in columns.items():
        rows.loc[mine, name] = value(rows[mine])
    return replace(result, repairs=rows)


def predicted(result, repair):
    """As if `repair` had the inputs of the pruned network: variances are factors squared times pruned variance."""
    return changed(result, repair, v_repaired=lambda rows: rows["gamma"] ** 2 * result.channels["v_pruned"].to_numpy())


def test_other_factors_on_the_same_inputs_are_all_granularity(result):
    same_inputs = predicted(predicted(result, RAW), ASR)
    found = why.parts(why.channels(same_inputs, RAW, ASR))
    assert found["granularity"] == pytest.approx(1, abs=1e-6) and found["rest"] == pytest.approx(0, abs=1e-6)


def test_the_same_factors_on_other_inputs_are_all_compounding(result):
    gamma = result.repairs[is_of(result.repairs, RAW)]["gamma"].to_numpy()
    found = why.parts(why.channels(changed(result, ASR, gamma=lambda rows: gamma), RAW, ASR))
    assert found["compounding"] == pytest.approx(1) and found["predicted"] == 0


def test_both_parts_add_up_to_the_difference_of_every_channel_and_to_one(result):
    table = why.channels(result, RAW, ASR)
    np.testing.assert_allclose(table["predicted"] + table["rest"], table["measured"])
    found = why.parts(table)
    assert found["granularity"] + found["compounding"] == pytest.approx(1)


def test_exchanging_both_changes_signs_and_no_share(result):
    there, back = (why.channels(result, *pair) for pair in ((RAW, ASR), (ASR, RAW)))
    np.testing.assert_allclose(there["measured"], -back["measured"])
    assert why.parts(there) == pytest.approx(why.parts(back))


def test_dead_channels_take_no_part(result):
    live = result.channels["v_pruned"] > 1e-12
    assert 0 < live.sum() < len(live) and len(why.channels(result, RAW, BN_ONLY)) == live.sum()


def test_the_worst_channel_is_the_one_that_differs_most(result):
    layer = why.layers(why.channels(result, RAW, ASR)).iloc[-1]
    own = why.channels(result, RAW, ASR).query("layer == @layer.layer").set_index("channel")["measured"]
    assert own.abs().idxmax() == layer["worst"]


def test_two_methods_that_agree_have_nothing_to_explain(result, tmp_path):
    v = result.repairs[is_of(result.repairs, RAW)]["v_repaired"].to_numpy()
    table = figures.table(changed(result, ASR, v_repaired=lambda rows: v), RAW, ASR, Store(tmp_path), STATE)
    assert "every live channel has the same variance in both" in figures.WHY.sentence(table)
    assert np.isnan(table["all_granularity"]).all()


def test_a_method_that_changes_weights_has_no_granularity(result, tmp_path):
    new = RepairSpec.of("mls_bn", "simultaneous", False)
    rows = result.repairs[is_of(result.repairs, RAW)].assign(**new.columns, gamma=np.nan)
    more = replace(result, repairs=pd.concat([result.repairs, rows.assign(v_repaired=rows["v_repaired"] * 2)]))
    sentence = figures.WHY.sentence(figures.table(more, new, ASR, Store(tmp_path), STATE))
    assert "granularity is not defined" in sentence and "the accuracy of one of both is not stored" in sentence


@pytest.mark.parametrize(
    ("change", "pair", "message"),
    [
        ({}, (ASR, ASR), "two different methods"),
        ({"channels": None}, (RAW, ASR), "Not stored: the channels"),
        ({}, (RepairSpec.of("lw_bn", "sequential"), ASR), "Not stored: the variances"),
    ],
)
def test_what_cannot_be_told_says_why(result, tmp_path, change, pair, message):
    with pytest.raises(NothingToDraw, match=message):
        figures.table(replace(result, **change), *pair, Store(tmp_path), STATE)


def test_the_card_opens_on_overview_with_a_button_to_each_place(use, tmp_path):
    stored(use(Store(tmp_path)), repairs=REPAIRS)
    app = clean(turned(arrived("_open_why", dataset="digits"), "overview"))
    assert len(charts(app)) == 3
    said = shown("\n".join(item.value for item in app.markdown))
    assert "is granularity" in said and "signal not stored" in said
    button = next(item for item in app.button if item.key.startswith("_why_variance"))
    button.click().run()
    assert app.query_params["layer"] and app.query_params["channel"]


def test_a_closed_card_costs_nothing(use, tmp_path):
    stored(use(Store(tmp_path)))
    app = clean(turned(arrived(dataset="digits"), "overview"))
    assert len(charts(app)) == 2 and not any(item.key.startswith("_why") for item in app.button if item.key)
