"""Equal budgets and bands over seeds: which numbers are compared, which are missing, and what the page draws."""

import pytest
from drawn import charts
from made_results import store_result
from paged import faultless, words
from streamlit.testing.v1 import AppTest

from asr_core.figures import NothingToDraw, curves
from asr_core.figures import budgets as figures
from asr_core.report.sentences import accuracies
from asr_core.spec.experiment import Setting
from asr_core.spec.recalibration import NO_STATE, BatchNormState
from asr_core.spec.repairs import BN_ONLY, RepairSpec
from asr_core.store.tables import is_of, networks, rows_of
from asr_core.studies import budgets

ASR = RepairSpec.of("asr_bn", "simultaneous", False)


def cumulative(batches: int) -> tuple:
    return (NO_STATE, BatchNormState.of(averaging="cumulative", calib_batches=batches))


def at(count: int, **setting) -> dict:
    """Arguments of a stored result that makes one budget known."""
    return {
        "stat_images": count,
        "calib_batch_size": min(count, 128),
        "states": cumulative(max(1, count // 128)),
    } | setting


def top1(result, network: RepairSpec, batches: int) -> float:
    rows = rows_of(result.accuracy, network)
    return rows.loc[rows["calib_batches"].eq(batches), "top1"].iloc[0]


def page(**address) -> AppTest:
    return faultless("curves", **{"dataset": "digits"} | address)


def names(app: AppTest, chart: int) -> list[str]:
    return [trace["name"] for trace in charts(app)[chart]["data"] if trace.get("name")]


def test_a_repair_costs_its_statistics_images_and_bn_only_its_batches(store):
    small, large = store_result(store, **at(16)), store_result(store, **at(256))
    table = budgets.table([small, large], [ASR, BN_ONLY])
    found = dict(zip(zip(networks(table), table["images"], strict=True), table["top1"], strict=True))
    assert found[ASR, 16] == top1(small, ASR, 0) and found[ASR, 256] == top1(large, ASR, 0)
    assert found[BN_ONLY, 16] == top1(small, BN_ONLY, 1) and found[BN_ONLY, 256] == top1(large, BN_ONLY, 2)
    assert len(found) == 6  # and both references, once


def test_only_budgets_that_both_kinds_have_are_compared(store):
    repairs_only = store_result(store, stat_images=8, states=(NO_STATE,))
    found = budgets.table([store_result(store, **at(32)), repairs_only], [ASR])
    assert budgets.compared(found).index.tolist() == [32]
    assert budgets.compared(budgets.table([repairs_only], [ASR])).empty


def test_an_ema_is_not_taken_for_cumulative_averaging(store):
    ema = store_result(store, stat_images=128, states=(NO_STATE, BatchNormState.of("reset", "ema", 0.1, 1)))
    assert "cumulative" not in set(budgets.table([ema], [ASR])["way"])


def test_missing_budgets_are_listed_as_far_as_there_are_images(store):
    found = budgets.table([store_result(store, **at(16))], [ASR])
    assert budgets.absent(found, [ASR], 1437) == [8, 32, 64, 128, 256]
    assert budgets.absent(found, [ASR], 100) == [8, 32, 64]
    assert 16 in budgets.absent(found, [ASR, RepairSpec.of("lw_bn", "sequential", True)], 1437)


def test_computing_a_missing_budget_makes_it_known(store):
    for count in budgets.IMAGES:
        spec = budgets.experiment(Setting(), (ASR,), count)
        assert spec.repairs == (BN_ONLY, ASR) and spec.calibration.stat_images == count
        assert spec.max_batches * spec.calibration.calib_batch_size == count
    made = [store_result(store, **at(count)) for count in budgets.IMAGES]
    assert budgets.absent(budgets.table(made, [ASR]), [ASR], 1437) == []


def test_another_dense_network_is_never_compared(store):
    here, other = store_result(store, **at(16)), store_result(store, **at(32, dense_id="f" * 16))
    assert set(figures.equal_table(here, [ASR], [other])["images"]) == {0, 16}


def test_the_sentence_says_who_is_ahead_where(store):
    def level(value):
        def change(tables):
            rows = tables["accuracy"]
            rows.loc[is_of(rows, ASR), "top1"] = value

        return change

    few, many = store_result(store, level(0.99), **at(8)), store_result(store, level(0.01), **at(64))
    told = accuracies.equal(figures.equal_table(few, [ASR], [many]))
    assert "1 repair (simultaneous, bias off) x 2 budgets: ahead in 1, behind in 1 of 2 (McNemar" in told
    assert "(McNemar on the same images, Holm over 2 pairs)" in told
    assert "99.0 % (ahead)" in told and "64 images" in told
    assert "ahead in 1 of 1" in accuracies.equal(figures.equal_table(few, [ASR]))
    assert "behind in 1 of 1" in accuracies.equal(figures.equal_table(many, [ASR]))


def test_nothing_to_compare_is_said(store):
    with pytest.raises(NothingToDraw, match="at an equal number of images"):
        figures.equal_table(store_result(store), [ASR])


def test_the_page_draws_stored_budgets_and_offers_the_missing_ones(store):
    store_result(store)
    for count in (8, 64):
        store_result(store, **at(count))
    app = page(methods="asr_bn")
    assert "1 repair (simultaneous, bias off) x 2 budgets" in words(app) and len(charts(app)) == 3
    assert any(name.endswith("· cumulative") for name in names(app, -1))
    assert any(expander.label == "4 of 6 budgets are not stored for the chosen repairs" for expander in app.expander)
    assert app.selectbox(key="_budget").options == ["16", "32", "128", "256"]


def test_with_no_budget_stored_the_page_says_so_and_offers_all(store):
    store_result(store)
    app = page()
    assert "No repair without recalibration and BN only are stored at an equal number of images" in words(app)
    assert any(expander.label.startswith("6 of 6 budgets") for expander in app.expander)


def test_seeds_become_bands_and_the_legend_counts_them(store):
    made = [store_result(store, seed=seed) for seed in range(3)]
    app = page(seeds="on", methods="asr_bn")
    assert any(name.endswith("· 3 seeds") for name in names(app, 0))
    found = curves.curves_table(made[0], [ASR], more=made[1:])
    rows = rows_of(found, ASR)[lambda own: own["batches"].eq(20)].iloc[0]
    each = [top1_at(result, 20) for result in made]
    assert rows["top1"] == pytest.approx(sum(each) / 3) and (rows["top1_low"], rows["top1_high"]) == (
        min(each),
        max(each),
    )


def top1_at(result, batches: int) -> float:
    rows = rows_of(result.accuracy, ASR)
    chosen = rows["calib_batches"].eq(batches) & rows["start"].eq("reset")
    return rows.loc[chosen.fillna(False).astype(bool), "top1"].iloc[0]


def test_a_method_that_one_seed_lacks_keeps_the_seeds_it_has(store):
    whole = store_result(store)
    lacking = store_result(store, seed=1, repairs=(BN_ONLY,))
    found = curves.curves_table(whole, [BN_ONLY, ASR], more=[lacking])
    assert set(rows_of(found, BN_ONLY)["seeds"]) == {2} and set(rows_of(found, ASR)["seeds"]) == {1}
    alone = rows_of(found, ASR)[lambda own: own["batches"].eq(20)].iloc[0]
    rows = rows_of(whole.accuracy, ASR)
    own = rows[rows["calib_batches"].eq(20) & rows["start"].eq("reset").fillna(False)].iloc[0]
    assert (alone["top1_low"], alone["top1_high"]) == (own["top1_low"], own["top1_high"])


def test_no_other_seed_is_said(store):
    store_result(store)
    assert "No other seed of this setting is stored" in words(page(seeds="on"))
