"""The allocation page in every state: nothing stored, one rule, several rules, another state, running, failed."""

import subprocess
import sys

import paged
import pandas as pd
import pytest
from drawn import charts
from made_allocation import ASR, LAYERS, STATES, store_repairability, store_run
from made_jobs import LINE, make_job
from paged import words
from streamlit.testing.v1 import AppTest

from asr_core import registry
from asr_core.figures import allocation, repairability
from asr_core.jobs.jobs import Wanted
from asr_core.jobs.runner import Runner
from asr_core.spec.experiment import ExperimentSpec, Setting
from asr_core.spec.repairs import BN_ONLY, DENSE, NO_REPAIR, RepairSpec
from asr_core.store import results
from asr_core.store.entries import PROJECT
from asr_core.studies import transition

HERE, DENSE_ID = Setting(), f"{0:016x}"
MISSING = "rules and sparsities are not stored"


def opened(**address) -> AppTest:
    """The page after a link with `address`."""
    return paged.opened("allocation", **address)


def tables(app: AppTest, column: str) -> pd.DataFrame:
    return next(table.value for table in app.dataframe if column in table.value.columns)


def answers(asr: int) -> dict:
    return {DENSE: 900, NO_REPAIR: 100, BN_ONLY: 700, ASR: asr}


def test_an_empty_store_is_said_in_words(store):
    assert "Nothing is stored yet" in words(opened())


def test_one_stored_rule_is_drawn_and_the_others_are_offered(store):
    store_run(store, right=answers(800))
    app = opened()
    said = words(app)
    assert len(charts(app)) == 2
    assert "Share of each layer's weights that is kept at 95 % sparsity, by 1 rule" in said
    assert "repairability of this network's layers is not stored" in said
    assert "so there is no verdict" in said
    assert "needs ERK and another rule" in said
    assert any(MISSING in item.label for item in app.expander)
    assert any(button.label == "Compute" for button in app.button)


def test_the_repair_that_most_rules_have_is_compared_unless_another_was_picked(store):
    with_bias = RepairSpec.of("asr_bn", "simultaneous", True)
    most = {DENSE: 900, NO_REPAIR: 100, BN_ONLY: 700, with_bias: 800}
    store_run(store, right=most | {ASR: 800}, repairs=(BN_ONLY, ASR, with_bias))
    store_run(store, pruning="erk", right=most, repairs=(BN_ONLY, with_bias))
    assert "ASR · simultaneous · bias on is ahead of it: global L1 at 95 %; ERK at 95 %" in words(opened())
    assert "ASR · simultaneous · bias off is ahead" in words(opened(fix="asr_bn~simultaneous~off~"))


def test_a_network_with_one_rule_leads_to_one_with_several(store):
    store_run(store, right=answers(800))
    store_run(store, "uniform", right=answers(806), seed=1)
    assert "Several rules" not in words(opened())
    store_run(store, "erk", right=answers(806), seed=1)
    app = opened(dataset="digits", seed="0")
    assert "Several rules are stored of:" in words(app)
    next(button for button in app.button if "seed 1" in button.label).click().run()
    assert not app.exception and "Several rules" not in words(app) and "by 2 rules" in words(app)


def test_rules_are_compared_and_the_winner_is_told_from_noise(store):
    store_run(store, "global_l1", right=answers(800))
    store_run(store, "uniform", right=answers(807))
    store_run(store, "global_l1", 0.97, right=answers(600))
    store_run(store, "uniform", 0.97, right=answers(605))
    app = opened()
    table = tables(app, "highest").set_index("sparsity")
    assert table["highest"].to_dict() == {"95 %": "uniform", "97 %": "uniform"}
    assert table["that is"].to_dict() == {"95 %": "ahead, p = 0.031", "97 %": "may be equal, p = 0.062"}
    assert table.loc["97 %", "may be equal to"] == "global L1"
    assert "**1 of 2** sparsities: uniform at 95 %" in words(app)
    assert "is ahead of it: global L1 at 95 %; uniform at 95 %" in words(app)


def test_layers_that_a_rule_keeps_dense_are_named_with_their_cost(store):
    store_run(store, kept={"conv1": 200, "layer1.0.conv1": 50, "layer2.0.conv1": 100, "layer2.0.downsample.0": 50})
    row = tables(opened(), "layers kept dense").iloc[0]
    assert (row["rule"], row["layers kept dense"], row["which"], row["share of all kept weights"]) == (
        "global L1",
        1,
        "conv1",
        "50.0%",
    )


@pytest.mark.parametrize(("uniform", "answer"), [(5, "**it does**"), (100, "**it does not**")])
def test_the_statement_about_erk_is_checked_on_the_stored_densities(store, uniform, answer):
    store_run(store, "erk", kept={"layer2.0.downsample.0": 100})
    store_run(store, "uniform", kept={"layer2.0.downsample.0": uniform})
    said = words(opened(dataset="digits", pruning="erk"))
    assert answer in said and "ERK 100.0% (for 38.5% of its budget)" in said
    assert f"uniform {uniform:.1f}%" in said


def test_a_network_without_projections_says_that_the_statement_cannot_be_checked(store):
    store_run(store, layers={name: count for name, count in LAYERS.items() if "downsample" not in name})
    assert "has no 1x1 projection on a shortcut" in words(opened())


def test_the_selected_layer_is_told_in_numbers_and_every_bar_carries_its_layer(store):
    store_run(store)
    app = opened(dataset="digits", layer="layer2.0.conv1")
    assert "Selected layer: layer2.0.conv1" in words(app)
    assert tables(app, "of all kept")["weights"].tolist() == ["100 of 2,000"]
    trace = charts(app)[0]["data"][0]
    assert [row[0] for row in trace["customdata"]] == list(LAYERS)


def test_a_layer_without_weights_stays_visible(store):
    result = store_run(store, kept={"layer1.0.conv1": 0})
    table = allocation.DENSITIES.table(result, store, ((result.entry.manifest["key"],),))
    figure = allocation.DENSITIES.figure(table, **allocation.DENSITIES.limits([table]))
    cross = next(trace for trace in figure.data if trace.type == "scatter")
    assert [row[0] for row in cross.customdata] == ["layer1.0.conv1"]


def test_repairability_is_offered_as_one_job_of_the_dense_network_whatever_rule_is_shown(store, monkeypatch):
    monkeypatch.setattr(results, "has_weights", lambda store, dense_id: True)
    submitted = []
    monkeypatch.setattr(Runner, "submit", lambda self, wanted, where=None, owner="": submitted.append(wanted))
    store_run(store, "global_l1", 0.9)
    store_run(store, "uniform")
    wanted = Wanted(ExperimentSpec.of_setting(HERE, (), STATES[:1]), dense_id=DENSE_ID, repairability=True)
    for rule, sparsity in (("global_l1", "0.9"), ("uniform", "0.95")):
        app = opened(dataset="digits", pruning=rule, sparsity=sparsity)
        app.button(key=f"_compute_{wanted.id}").click().run()
        assert not app.exception
    assert submitted == [wanted, wanted]


def test_without_the_dense_weights_repairability_is_not_offered(store):
    store_run(store)
    assert "the weights of dense network 00000000 are not on this machine" in words(opened())


def test_a_pinned_setting_stands_beside_the_present_one_whose_numbers_are_told(store):
    pinned = store_run(store, right=answers(800))
    store_run(store, "uniform", right=answers(850))
    store_run(store, seed=1, right=answers(700))
    key = pinned.entry.manifest["key"]
    app = opened(dataset="digits", seed="1", pin=f"{key}~simultaneous~off~reset~ema~0.1~20")
    assert len(charts(app)) == 4
    assert "so there is no verdict" in words(app)  # of seed 1 only one rule is stored


def test_n_m_stands_alone_at_its_own_sparsity(store):
    store_run(store, right=answers(800))
    store_run(store, "n_m", None, keep_n=2, group_m=4, right=answers(890))
    app = opened(dataset="digits", pruning="n_m", keep_n="2", group_m="4")
    assert "is kept at 50 % sparsity, by 1 rule: N:M 2:4" in words(app)
    assert any(MISSING in item.label for item in app.expander)


def test_another_recalibration_without_results_is_said_in_words(store):
    store_run(store)
    app = opened(dataset="digits", calib_batches="50")
    assert "is stored at this recalibration for any rule" in words(app)


def test_a_repair_that_is_not_stored_falls_back_on_bn_only(store):
    store_run(store, repairs=(BN_ONLY,))
    app = opened(dataset="digits", methods="asr_bn")
    assert app.selectbox(key="fix").value == "bn_only"


def first_missing() -> Wanted:
    """What the page offers first where only global L1 at 95 % is stored."""
    rules = sorted(set(registry.names("pruning rule")) - {"global_l1"}, key=transition.place)
    return Wanted(ExperimentSpec.of_setting(HERE.but(pruning=rules[0]), (BN_ONLY, ASR), STATES))


@pytest.mark.parametrize(
    ("state", "line", "sign"),
    [
        ("running", LINE, "about 42 s left"),
        ("queued", None, "Starting"),
        ("failed", None, "The computation failed: no memory"),
        ("cancelled", None, "Cancelled"),
    ],
)
def test_a_missing_rule_in_every_state_of_its_job(store, monkeypatch, state, line, sign):
    monkeypatch.setattr(Runner, "tend", lambda self: None)  # no worker takes it
    store_run(store)
    make_job(store, state, line=line, wanted=first_missing(), reason="no memory" if state == "failed" else None)
    app = opened(dataset="digits", methods="bn_only,asr_bn")
    bars = [bar.proto.text for bar in app.get("progress")]
    assert any(sign in text for text in [*bars, words(app), *(error.value for error in app.error)])
    labels = [button.label for button in app.button]
    assert ("Cancel" in labels) == (state in ("running", "queued"))
    assert ("Retry" in labels) == (state in ("failed", "cancelled"))


def test_repairability_is_white_at_1_and_named_as_our_reading(store):
    result = store_run(store)
    store_repairability(store, HERE, DENSE_ID, undefined=("layer1.0.conv1",))
    table = repairability.REPAIRABILITY.table(result, store)
    figure = repairability.REPAIRABILITY.figure(table, **repairability.REPAIRABILITY.limits([table]))
    rr, blanks, marks = figure.data[:3]
    assert (
        [list(row) for row in rr.z[:2]] == [[-3, None, -1, 0], [-2, None, 0, 1]]
        and rr.zmid == 0
        and rr.zmin == -rr.zmax
    )
    assert list(blanks.text) == ["–"] * 5 and set(blanks.x) == {1}
    assert marks.customdata[1].tolist() == ["layer1.0.conv1", "50 %", "undefined"]
    sentence = repairability.REPAIRABILITY.sentence(table)
    assert (
        "pruned to 95 %, channelwise variance matching leaves between 0.25 of the damage (conv1) "
        "and 2 (layer2.0.downsample.0)" in sentence
    )
    assert "in 1 of 4 layers; undefined in 1" in sentence
    assert all("our reading of the abstract of arXiv 2605.25508" in text for text in (sentence, marks.hovertemplate))


def test_stored_repairability_is_drawn_and_told_for_the_selected_layer(store):
    store_run(store, right=answers(800))
    store_repairability(store, HERE, DENSE_ID)
    app = opened(dataset="digits", layer="layer2.0.conv1")
    assert len(charts(app)) == 3
    table = tables(app, "RR").set_index("trial sparsity")
    assert table.loc["95 %", "RR"] == 1 and table.loc["50 %", "D_res"] == pytest.approx(0.2)
    assert "not stored yet" not in words(app)


def test_the_page_s_modules_need_no_torch():
    code = (
        "import sys, pages._frame.common, pages._frame.charts, asr_core.figures.allocation; "
        "import asr_core.figures.repairability, asr_core.figures.transition; print('torch' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert found.stdout == "False\n"
