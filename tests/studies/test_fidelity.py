"""The study of the paper's protocol: its measures by hand, its verdicts, and the document that it writes."""

import numpy as np
import pandas as pd
import pytest
import shipped
from made_results import store_result

from asr_core.measure.statistics import holm, mcnemar, word
from asr_core.report import fidelitytext
from asr_core.spec.recalibration import REPORTED_STATE as REPORTED
from asr_core.spec.repairs import RepairSpec
from asr_core.store import Store
from asr_core.store.catalogue import stored
from asr_core.store.tables import is_of
from asr_core.studies import fidelity


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


IMAGES = 400


def right(share: float) -> np.ndarray:
    """Which images a network has right: who has more right is right on all images of the others."""
    return np.arange(IMAGES) < round(share * IMAGES)


def grid(*cells, seeds=(0,)) -> pd.DataFrame:
    """Cells given as ((ours of bn, lw, asr), (the paper's))."""
    rows = [
        {
            "architecture": "resnet18",
            "dataset": "cifar10",
            "pruning": str(number),
            "network": "made up",
            "seed": seed,
            "method": method,
            "top1": top1,
            "paper": paper,
        }
        for number, (ours, papers) in enumerate(cells)
        for seed in seeds
        for method, top1, paper in zip(fidelity.METHODS, ours, papers, strict=True)
    ]
    return pd.DataFrame(rows)


def judged(table: pd.DataFrame) -> dict:
    """The summary of one protocol, corrected for its own pairs alone."""
    own = fidelity.pairs(table, [right(share) for share in table["top1"]])
    words = [word(gain, p) for gain, p in zip(own["gain"], holm(own["p"]), strict=True)]
    return fidelity.summary(table, own.assign(word=words))


def test_a_grid_in_the_paper_s_order_is_alike_in_every_pair_told_apart():
    found = judged(grid(((0.5, 0.6, 0.7), (0.3, 0.4, 0.6)), ((0.8, 0.85, 0.9), (0.7, 0.75, 0.9))))
    assert (found["cells"], found["pairs"], found["told"], found["alike"], found["against"]) == (2, 6, 6, 6, 0)
    assert found["distance"] == pytest.approx((0.2 + 0.2 + 0.1 + 0.1 + 0.1 + 0.0) / 6)
    assert found["spread"] == pytest.approx((0.2 + 0.1) / 2) and found["paper_spread"] == pytest.approx((0.3 + 0.2) / 2)
    assert found["p"] == pytest.approx(2 / 2**6)


def test_gaps_of_the_paper_under_its_own_noise_are_neither_alike_nor_against():
    found = judged(grid(((0.5, 0.6, 0.7), (0.40, 0.39, 0.38))))
    assert (found["told"], found["alike"], found["against"]) == (3, 0, 1)
    assert judged(grid(((0.5, 0.6, 0.7), (0.400, 0.395, 0.390))))["against"] == 0


def test_pairs_that_are_apart_in_the_paper_alone_are_open_and_say_how_many_images_would_tell():
    found = judged(grid(((0.5, 0.5, 0.5), (0.3, 0.4, 0.5))))
    assert (found["told"], found["open"]) == (0, 3)
    assert 40 < found["images"] < 200


def test_seeds_of_a_cell_are_pooled_and_no_row_of_their_own():
    shares = ((0.5, 0.508, 0.5), (0.3, 0.4, 0.3))
    one, several = judged(grid(shares)), judged(grid(shares, seeds=range(4)))
    assert (one["pairs"], several["pairs"], several["networks"]) == (3, 3, 4)
    assert one["told"] == 0 and several["told"] == 2


def test_a_cell_that_lacks_a_method_does_not_count():
    whole = grid(((0.5, 0.6, 0.7), (0.3, 0.4, 0.6)), ((0.8, 0.85, 0.9), (0.7, 0.75, 0.9)))
    found = judged(fidelity.whole(whole.iloc[:-1]))
    assert (found["cells"], found["pairs"]) == (1, 3)


def test_pairs_that_are_not_kept_per_image_are_not_told():
    table = grid(((0.5, 0.6, 0.7), (0.3, 0.4, 0.6)))
    own = fidelity.pairs(table, [None] * len(table))
    assert own["p"].isna().all() and own["gain"].notna().all()


@pytest.mark.parametrize(
    ("alike", "against", "said"),
    [
        (6, 0, fidelity.REPRODUCES),
        (5, 0, fidelity.CANNOT_TELL),
        (0, 6, fidelity.CONTRADICTS),
        (9, 1, fidelity.REPRODUCES),
        (8, 2, fidelity.CANNOT_TELL),
        (0, 0, fidelity.CANNOT_TELL),
    ],
)
def test_the_verdict_is_a_two_sided_sign_test_at_five_percent(alike, against, said):
    assert fidelity.verdict(alike, against, mcnemar(alike, against)) == said


def test_the_study_has_one_row_per_distinct_protocol(store):
    store_result(store, dataset="cifar10", architecture="resnet18", sparsity=0.9)
    store_result(store, dataset="cifar10", architecture="resnet18", sparsity=0.9, seed=1)
    study = fidelity.study(store, stored(store))
    assert len(study) == len(set(study["variant"])) == 2 * 2 * 3 + 1
    assert [v.averaging for v in study["variant"]].count("cumulative") == 1
    assert set(study["networks"]) == {2} and set(study["verdict"]) == {fidelity.CANNOT_TELL}


def test_pruned_linear_layers_become_rows_and_eps_does_not(store):
    repairs = tuple(RepairSpec.of(method) for method in fidelity.METHODS)
    repairs += tuple(RepairSpec.of(method, eps=1e-5) for method in fidelity.METHODS[1:])
    store_result(store, dataset="cifar10", architecture="resnet18", sparsity=0.9, repairs=repairs, states=(REPORTED,))
    store_result(
        store, dataset="cifar10", architecture="resnet18", sparsity=0.9, include_linear=True, states=(REPORTED,)
    )
    study = fidelity.study(store, stored(store))
    assert {(v.eps, v.include_linear) for v in study["variant"]} == {(None, False), (None, True)}


def test_overshoot_stands_beside_figures_10_and_11(store):
    def change(tables):
        layers = tables["layers"]
        mine = is_of(layers, RepairSpec.of("lw_bn", "simultaneous", False))
        layers.loc[mine & layers["layer"].eq("layer2.0.conv1"), "q75"] = 77.0

    store_result(store, change=change, dataset="cifar10", architecture="resnet18", sparsity=0.9)
    store_result(store, dataset="cifar10", architecture="resnet18", sparsity=0.7)
    table = fidelity.ratios(store, stored(store)).set_index(["order", "bias"])
    assert len(table) == 4
    assert table.loc[("simultaneous", False), ["largest", "layer", "paper"]].tolist() == [77.0, "layer2.0.conv1", 12.6]


def document(store, found) -> str:
    """The document that some stored results make."""
    return fidelitytext.text(fidelity.study(store, found), fidelity.ratios(store, found), found)


def test_nothing_stored_is_said_in_words(store):
    assert "nothing can be told" in document(store, [])


def test_what_cannot_be_told_is_said_with_the_images_that_would_tell(store):
    for sparsity in (0.7, 0.9):
        store_result(store, dataset="cifar10", architecture="resnet18", sparsity=sparsity)
    text = document(store, stored(store))
    assert "for none can it be told" in text or "it cannot be told" in text
    assert "2 cells" in text


def test_rows_sort_as_numbers(store):
    store_result(store, dataset="cifar10", architecture="resnet18", sparsity=0.9)
    rows = fidelitytext.study_rows(fidelity.study(store, stored(store)))
    assert set(rows.columns) == set(fidelitytext.HEADERS)
    assert {rows[name].dtype.kind for name in ("gap", "paper_gap", "distance", "images")} == {"f"}


def test_the_document_is_what_the_shipped_results_say():
    store = shipped.store()
    assert fidelitytext.DOCUMENT.read_text() == document(store, fidelitytext.shipped(store))
