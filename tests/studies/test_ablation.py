"""The ablation grid, left-over starting statistics, and correlations over settings."""

import numpy as np
import pandas as pd
import pytest
from made_results import store_result

from asr_core.figures import NothingToDraw
from asr_core.figures import ablation as figures
from asr_core.figures import absorption as gaps
from asr_core.figures import severity as points
from asr_core.spec.experiment import Setting
from asr_core.spec.recalibration import NO_STATE, REPORTED_STATE, BatchNormState
from asr_core.spec.repairs import BN_ONLY, RepairSpec
from asr_core.spec.repairs import repairs as default_repairs
from asr_core.store import Store
from asr_core.store.catalogue import stored
from asr_core.store.tables import networks, typed
from asr_core.studies import ablation, leftover, severity

EMA, CUMULATIVE = REPORTED_STATE, BatchNormState.of(averaging="cumulative", calib_batches=20)
LW = RepairSpec.of("lw_bn", "simultaneous", False)


def rows(repairs=None, states=(EMA,)) -> pd.DataFrame:
    """An accuracy table that holds `repairs` in `states`."""
    found = [
        repair.columns
        | {
            "start": state.start,
            "averaging": state.averaging,
            "momentum": state.momentum,
            "calib_batches": state.calib_batches,
            "top1": 0.5,
            "top1_low": 0.45,
            "top1_high": 0.55,
            "n_eval": 400,
        }
        for repair in repairs or default_repairs()
        for state in states
    ]
    return typed(pd.DataFrame(found))


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


# The grid


def test_table_2_has_the_paper_s_seven_rows_and_numbers():
    table = ablation.table2(rows(), "simultaneous", EMA)
    assert list(table["row"]) == list(ablation.published("table2")["method"])
    assert table["paper"].tolist() == pytest.approx([0.2911, 0.3942, 0.293, 0.4524, 0.5226, 0.5395, 0.5559])
    stored_rows = set(table.loc[table["top1"].notna(), "row"])
    assert stored_rows == {
        "BN only",
        "Layer-wise + BN",
        "Channel-wise raw + BN",
        "ASR, median prior",
        "ASR, median prior + bias correction",
    }


def test_only_rows_named_bias_correction_correct_means():
    repairs = ablation.table2_repairs("sequential")
    assert {name for name, repair in repairs.items() if repair.bias} == {
        name for name in repairs if "bias correction" in name
    }
    assert {repair.order for name, repair in repairs.items() if name != "BN only"} == {"sequential"}


def test_the_surface_has_each_size_with_each_prior_once():
    cells = ablation.surface("simultaneous", False)
    assert len({cell.repair for cell in cells}) == len(cells) == len(ablation.GROUP_SIZES) * len(ablation.PRIORS)
    assert len(ablation.surface_repairs()) == 4 * len(cells) + 1


@pytest.mark.parametrize("bias", [False, True])
def test_named_points_are_the_paper_s_methods(bias):
    named = {(c.group_size, c.prior, c.scale): c.named for c in ablation.surface("sequential", bias) if c.named}
    of = lambda method, **params: RepairSpec.of(method, "sequential", bias, **params)  # noqa: E731
    assert named == {
        (1, "median", 1.0): of("asr_bn"),
        (1, "mean", 1.0): of("asr_bn", prior="mean"),
        (1, "median", 0.0): of("raw_bn"),
        (0, "median", 0.0): of("lw_bn"),
    }


def test_named_points_give_the_factors_of_the_methods_they_name():
    import torch

    from asr_core import registry

    draw = torch.Generator().manual_seed(0)
    v_dense, v_pruned = (torch.rand(32, generator=draw, dtype=torch.float64) + 0.01 for _ in range(2))

    def gamma(spec):
        method = registry.get("repair method", spec.method)
        return method.factors(v_dense, v_pruned, spec.parameters).gamma

    for cell in ablation.surface("simultaneous", False):
        if cell.named:
            torch.testing.assert_close(gamma(cell.repair), gamma(cell.named), rtol=1e-6, atol=1e-6)


def test_a_surface_of_a_default_result_shows_the_named_points_only():
    table = ablation.surface_table(rows(), EMA)
    assert len(table) == 100 and table["top1"].notna().sum() == 12  # LW, raw, ASR x two orders x two biases
    assert table.loc[table["top1"].notna(), "named"].notna().all()


def test_a_stored_point_is_read_back_by_its_place():
    repairs = ablation.surface_repairs(("simultaneous",), (True,))
    table = ablation.surface_table(rows(repairs), EMA)
    have = table.dropna(subset="top1")
    assert set(zip(have["order"], have["bias"], strict=True)) == {("simultaneous", True)} and len(have) == 25
    assert networks(have).tolist() == list(repairs[1:])


def test_rows_of_another_recalibration_are_not_mixed_in():
    found = rows(states=[CUMULATIVE])
    assert ablation.table2(found, "simultaneous", EMA)["top1"].isna().all()
    assert ablation.table2(found, "simultaneous", CUMULATIVE)["top1"].notna().sum() == 5


def test_a_table_without_any_stored_row_says_so(store):
    result = store_result(store, states=(CUMULATIVE,))
    with pytest.raises(NothingToDraw, match="None of the rows of table 2"):
        figures.TABLE2.table(result)
    with pytest.raises(NothingToDraw, match="No point of the surface"):
        figures.SURFACE.table(result)


@pytest.mark.parametrize("chart", [figures.TABLE2, figures.SURFACE])
def test_ablation_figures_draw_what_is_stored_and_say_what_is_best(store, chart):
    table = chart.table(store_result(store))
    figure = chart.figure(table, **chart.limits([table]))
    assert figure.data and "stored" in chart.sentence(table)


def test_rows_are_ordered_only_where_they_are_told_apart_here_and_in_the_paper(store):
    table = figures.TABLE2.table(store_result(store))
    have = table.dropna(subset="top1")
    level = have.assign(top1=0.5, told=0, alike=0)
    assert "No pair of rows is both told apart here" in figures.TABLE2.sentence(level)
    assert "ahead of" in figures.TABLE2.sentence(table) or "may be equal" in figures.TABLE2.sentence(table)


# What is left of the start


def test_cumulative_averaging_leaves_nothing_and_no_recalibration_everything():
    assert leftover.share_left(CUMULATIVE) == 0 and leftover.share_left(NO_STATE) == 1
    assert leftover.share_left(EMA) == pytest.approx(0.9**20)


def test_under_cumulative_averaging_all_repairs_are_predicted_to_be_one_network(store):
    result = store_result(store)
    repairs = default_repairs()
    error = leftover.predicted_error(leftover.factors(result, repairs), CUMULATIVE)
    assert set(error.index) == set(repairs) and error.max() < 1e-3


def test_the_predicted_error_falls_with_the_budget_and_is_zero_for_bn_only(store):
    rows = leftover.factors(store_result(store), [BN_ONLY, LW])
    errors = [leftover.predicted_error(rows, BatchNormState.of("reset", "ema", 0.1, b)) for b in (10, 20, 30, 50)]
    assert all(e[BN_ONLY] == 0 for e in errors)
    lw = [e[LW] for e in errors]
    assert lw == sorted(lw, reverse=True) and lw[-1] > 0


def test_the_prediction_is_what_batchnorm_does():
    """A repair (g, c) recalibrated from reset puts out what the identity says, channel by channel."""
    import torch

    draw = torch.Generator().manual_seed(1)
    y = torch.randn(64, 3, 8, 8, generator=draw, dtype=torch.float64) * torch.tensor([0.1, 1.0, 3.0]).view(1, 3, 1, 1)
    mu, v = y.mean((0, 2, 3)), y.var((0, 2, 3))
    g, c = torch.tensor([4.0, 1.5, 0.3], dtype=torch.float64), torch.tensor([0.2, -1.0, 0.5], dtype=torch.float64)
    layer = torch.nn.BatchNorm2d(3, momentum=0.1).double().train()
    repaired = g.view(1, 3, 1, 1) * y + c.view(1, 3, 1, 1)
    for _ in range(20):
        layer(repaired)
    out = layer.eval()(repaired).detach()
    rows = pd.DataFrame({"gamma": g, "shift": c, "mu": mu, "v": v, "mu_dense": 0.0, "v_dense": 1.0})
    told = leftover.recalibrated(rows, EMA)
    np.testing.assert_allclose(told["signal"], out.std((0, 2, 3)), rtol=1e-3)
    np.testing.assert_allclose(told["offset"], out.mean((0, 2, 3)), atol=1e-6)


def test_convs_that_are_not_absorbed_are_left_out_of_the_prediction(store):
    assert set(leftover.factors(store_result(store), [BN_ONLY])["layer"]) == {
        "conv1",
        "layer1.0.conv1",
        "layer1.0.conv2",
        "layer2.0.conv1",
    }


def test_the_verdict_names_one_network_under_cumulative_averaging_only(store):
    table = gaps.GAP.table(store_result(store), repairs=default_repairs())
    text = gaps.GAP.sentence(table)
    assert "Under cumulative averaging all 12 repairs and BN only are one network" in text
    assert "at b = 20 (a = 0.122) logits differ by up to 1.2" in text
    assert set(table["b"]) == {0, 10, 20, 30, 50} and table.loc[table["b"] == 0, "predicted"].isna().all()


def test_a_result_from_before_logits_were_kept_says_how_to_get_them(store):
    result = store_result(store, change=lambda tables: tables["accuracy"].pop("logit_gap"))
    with pytest.raises(NothingToDraw, match="cache clear"):
        gaps.GAP.table(result, repairs=[LW])


def test_without_bn_only_there_is_nothing_to_compare_with(store):
    def forget(tables):
        tables["accuracy"] = tables["accuracy"].assign(logit_gap=np.nan)

    with pytest.raises(NothingToDraw, match="BN only"):
        gaps.GAP.table(store_result(store, change=forget), repairs=[LW])
    with pytest.raises(NothingToDraw, match="change weights"):
        gaps.GAP.table(store_result(store, seed=1), repairs=[BN_ONLY])


# Correlation


def test_a_network_measured_in_several_ways_is_one_point(store):
    for stats in (16, 64, 256):
        store_result(store, stat_images=stats)
    store_result(store, sparsity=0.5)
    found = severity.groups(stored(store), Setting())
    assert len(found) == 2
    by_key = {item.key: item.setting for item in stored(store)}
    assert {by_key[keys[0]].calibration.stat_images for keys in found} == {64}


def test_gains_hold_one_row_per_setting_that_has_both_methods(store):
    for sparsity in (0.5, 0.7, 0.8, 0.9):
        store_result(store, sparsity=sparsity)
    result = store_result(store, sparsity=0.97, repairs=default_repairs()[:1])
    keys = severity.groups(stored(store), Setting())
    table = points.GAIN.table(result, store=store, groups=keys)
    assert len(table) == 4 and not table["here"].any()
    assert (table["gain_low"] < table["gain"]).all() and (table["gain"] < table["gain_high"]).all()
    assert "4 settings of 1 dense network: no correlation is given" in points.GAIN.sentence(table)
    assert points.GAIN.figure(table, **points.GAIN.limits([table])).data
    ours = points.correlations(store, keys, "asr_lw", "simultaneous", False, "median", [EMA])
    assert ours.set_index("against").loc["severity", ["paper_pearson", "paper_spearman"]].tolist() == [0.61, 0.7]
    assert ours.set_index("against")["paper_pearson"].isna()["overshoot"]


def test_a_single_setting_is_drawn_but_no_correlation_is_told(store):
    result = store_result(store)
    table = points.GAIN.table(result, store=store, groups=severity.groups(stored(store), Setting()))
    assert table["here"].all() and "fewer than 5 networks" in points.GAIN.sentence(table)
    assert points.GAIN.figure(table, **points.GAIN.limits([table])).data
