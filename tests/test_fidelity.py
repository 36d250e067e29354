"""The study of the paper's protocol: its measures by hand, its verdicts, and the document that it writes."""

import pandas as pd
import pytest
from made_results import store_result

from asr_core.report import fidelitytext
from asr_core.spec.recalibration import REPORTED_STATE as REPORTED
from asr_core.spec.repairs import RepairSpec
from asr_core.store import Store
from asr_core.store.catalogue import stored
from asr_core.store.entries import PROJECT
from asr_core.store.tables import is_of
from asr_core.studies import fidelity


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


def grid(*cells, half: float = 0.01) -> pd.DataFrame:
    """Cells given as ((ours of bn, lw, asr), (the paper's)); intervals of plus and minus `half`."""
    rows = [
        {
            "architecture": "resnet18",
            "dataset": "cifar10",
            "pruning": str(number),
            "method": method,
            "top1": top1,
            "top1_low": top1 - half,
            "top1_high": top1 + half,
            "paper": paper,
        }
        for number, (ours, papers) in enumerate(cells)
        for method, top1, paper in zip(fidelity.METHODS, ours, papers, strict=True)
    ]
    return pd.DataFrame(rows)


def test_a_grid_in_the_paper_s_order_correlates_fully():
    found = fidelity.compare(grid(((0.5, 0.6, 0.7), (0.3, 0.4, 0.6)), ((0.8, 0.85, 0.9), (0.7, 0.75, 0.9))))
    assert (found["cells"], found["values"]) == (2, 6)
    assert (found["spearman"], found["kendall"]) == pytest.approx((1, 1))
    assert found["distance"] == pytest.approx((0.2 + 0.2 + 0.1 + 0.1 + 0.1 + 0.0) / 6)
    assert found["spread"] == pytest.approx((0.2 + 0.1) / 2) and found["paper_spread"] == pytest.approx((0.3 + 0.2) / 2)
    assert (found["told"], found["alike"]) == (6, 6)


def test_gains_do_not_credit_a_grid_for_knowing_which_cell_is_harder():
    found = fidelity.compare(grid(((0.2, 0.19, 0.18), (0.2, 0.22, 0.24)), ((0.8, 0.77, 0.76), (0.8, 0.85, 0.9))))
    assert found["spearman"] == pytest.approx(1 - 6 * 16 / (6 * 35))
    assert found["gain_spearman"] == pytest.approx(-1)


def test_kendall_counts_ties():
    assert fidelity.kendall([1, 2, 3, 4], [1, 2, 2, 3]) == pytest.approx(5 / 30**0.5)


def test_pairs_whose_intervals_overlap_or_that_the_paper_ties_are_not_told():
    close = grid(((0.50, 0.51, 0.60), (0.3, 0.4, 0.2)))
    assert fidelity.pairs(close) == (2, 0)
    tied = grid(((0.50, 0.55, 0.60), (0.3, 0.3, 0.4)))
    assert fidelity.pairs(tied) == (2, 2)


def test_a_cell_that_lacks_a_method_does_not_count():
    whole = grid(((0.5, 0.6, 0.7), (0.3, 0.4, 0.6)), ((0.8, 0.85, 0.9), (0.7, 0.75, 0.9)))
    found = fidelity.compare(fidelity.whole(whole.iloc[:-1]))
    assert (found["cells"], found["values"]) == (1, 3)
    assert pd.isna(found["spearman"]) and pd.isna(found["gain_spearman"])  # three values tell no rank correlation


@pytest.mark.parametrize(
    ("told", "alike", "said"),
    [
        (5, 5, fidelity.REPRODUCES),
        (4, 4, fidelity.CANNOT_TELL),
        (5, 0, fidelity.CONTRADICTS),
        (9, 8, fidelity.REPRODUCES),
        (9, 7, fidelity.CANNOT_TELL),
        (0, 0, fidelity.CANNOT_TELL),
    ],
)
def test_the_verdict_is_a_sign_test_at_five_percent(told, alike, said):
    assert fidelity.verdict({"told": told, "alike": alike}) == said


def test_the_study_crosses_start_averaging_order_and_bias(store):
    store_result(store, dataset="cifar10", sparsity=0.9)
    study = fidelity.study(store, stored(store))
    assert len(study) == len(set(study["variant"])) == 3 * 2 * 3
    assert set(study["network"]) == {"ResNet-18, from scratch, 5 epochs, 32 pixels, seed 0"}
    assert set(study["verdict"]) == {fidelity.CANNOT_TELL}


def test_stored_values_of_eps_and_of_pruned_tensors_become_rows(store):
    repairs = tuple(
        RepairSpec.of(method, eps=eps)
        for method in fidelity.METHODS
        for eps in (1e-8, 1e-5)
        if (method, eps) != ("bn_only", 1e-5)
    )
    store_result(store, dataset="cifar10", sparsity=0.9, repairs=repairs, states=(REPORTED,))
    store_result(store, dataset="cifar10", sparsity=0.9, include_linear=True, states=(REPORTED,))
    study = fidelity.study(store, stored(store))
    kept = {(variant.eps, variant.include_linear) for variant in study.loc[study["cells"] == 1, "variant"]}
    assert kept == {(None, False), (1e-5, False), (None, True)}


def test_overshoot_stands_beside_figures_10_and_11(store):
    def change(tables):
        layers = tables["layers"]
        mine = is_of(layers, RepairSpec.of("lw_bn", "simultaneous", False))
        layers.loc[mine & layers["layer"].eq("layer2.0.conv1"), "q75"] = 77.0

    store_result(store, change=change, dataset="cifar10", sparsity=0.9)
    store_result(store, dataset="cifar10", sparsity=0.7)
    table = fidelity.ratios(store, stored(store)).set_index(["order", "bias"])
    assert len(table) == 4
    assert table.loc[("simultaneous", False), ["largest", "layer", "paper"]].tolist() == [77.0, "layer2.0.conv1", 12.6]


def document(store, found) -> str:
    """The document that some stored results make."""
    return fidelitytext.text(fidelity.study(store, found), fidelity.ratios(store, found), found)


def test_nothing_stored_is_said_in_words(store):
    assert "nothing can be told" in document(store, [])


def test_what_cannot_be_told_is_said_and_absorption_is_named(store):
    def change(tables):
        rows = tables["accuracy"]
        rows.loc[rows["averaging"].eq("cumulative").fillna(False), ["top1", "top1_low", "top1_high"]] = 0.6, 0.58, 0.62

    for sparsity in (0.7, 0.9):
        store_result(store, change=change, dataset="cifar10", sparsity=sparsity)
    text = document(store, stored(store))
    assert "for none can it be told" in text or "it cannot be told" in text
    assert "gaps like the paper's do not come from cumulative, b = 20" in text
    assert "0.0 under cumulative, b = 20" in text


def test_the_document_is_what_the_shipped_results_say():
    store = Store(PROJECT / "cache")
    assert fidelitytext.DOCUMENT.read_text() == document(store, fidelitytext.shipped(store))
