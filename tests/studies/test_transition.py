"""Rules and budgets of one dense network: densities, the band, the verdict, what is protected; all by hand."""

import numpy as np
import pandas as pd
import pytest
from made_allocation import ASR, STATE, WEIGHTS, store_run

from asr_core.figures import NothingToDraw
from asr_core.figures import transition as figures
from asr_core.measure.statistics import UNMEASURED
from asr_core.report.sentences import rules
from asr_core.spec.experiment import Setting
from asr_core.spec.parts import PruneSpec
from asr_core.spec.recalibration import NO_STATE, BatchNormState
from asr_core.spec.repairs import BN_ONLY, DENSE, NO_REPAIR
from asr_core.store import Store, catalogue
from asr_core.studies import densities, transition

HERE = Setting(), f"{0:016x}"


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


def accuracies(store, repair=ASR, state=STATE):
    """(store, accuracy table) of everything stored for HERE."""
    grouped = transition.groups(catalogue.stored(store), *HERE)
    return store, transition.accuracy(transition.read(store, grouped)[0], repair, state)


def bands(store, rule="global L1"):
    """The runs of one rule over everything stored for HERE."""
    table = transition.judged(*accuracies(store))
    return transition.runs(table[table["rule"] == rule], sorted(table["sparsity"].unique()))


def answers(dense=900, bn_only=900, asr=900, nothing=100):
    return {DENSE: dense, BN_ONLY: bn_only, ASR: asr, NO_REPAIR: nothing}


def layers(rule, kept, depth=range(4)):
    """A densities table of one rule, with `kept` weights in each of four convs."""
    kinds = ("first", "other", "other", "projection")
    weights = np.array(list(WEIGHTS.values()))
    kept = np.array(kept)
    return pd.DataFrame(
        {
            "rule": rule,
            "pruning": rule,
            "layer": list(WEIGHTS),
            "depth": depth,
            "kind": kinds,
            "density": kept / weights,
            "kept": kept,
            "weights": weights,
            "share": kept / kept.sum(),
        }
    )


def test_only_results_that_differ_in_rule_and_sparsity_belong_together(store):
    for rule, sparsity in (("global_l1", 0.9), ("global_l1", 0.95), ("uniform", 0.95)):
        store_run(store, rule, sparsity)
    store_run(store, "uniform", 0.9, seed=1)  # another dense network
    store_run(store, "uniform", 0.97, stat_images=16)  # measured differently
    store_run(store, "n_m", None, keep_n=2, group_m=4)
    rows, convs = transition.read(store, transition.groups(catalogue.stored(store), *HERE))
    wanted = [("global L1", 0.9), ("global L1", 0.95), ("uniform", 0.95), ("N:M 2:4", 0.5)]
    for table in (rows, convs):
        assert list(dict.fromkeys(zip(table["rule"], table["sparsity"], strict=True))) == wanted
        assert transition.in_order(table) == ["global L1", "uniform", "N:M 2:4"]
    assert transition.words(PruneSpec.of(pruning="n_m")) == "N:M 2:4"


def test_a_rule_that_keeps_the_first_conv_is_not_taken_for_the_plain_rule(store):
    plain = store_run(store)
    store_run(store, "uniform", keep_first=True)
    assert transition.groups(catalogue.stored(store), *HERE) == ((plain.entry.manifest["key"],),)


def test_densities_and_shares_are_kept_weights_over_weights(store):
    kept = {"conv1": 200, "layer1.0.conv1": 50, "layer2.0.conv1": 100, "layer2.0.downsample.0": 50}
    store_run(store, kept=kept)
    store_run(store, sparsity=0.9)
    convs = transition.read(store, transition.groups(catalogue.stored(store), *HERE))[1]
    table = densities.densities(convs, 0.95)
    assert list(table["density"]) == [1.0, 0.05, 0.05, 0.5]
    assert list(table["share"]) == [0.5, 0.125, 0.25, 0.125]
    assert list(table["kind"]) == ["first", "other", "other", "projection"]
    assert densities.densities(convs, 0.5).empty


@pytest.mark.parametrize(
    ("layer", "depth", "kernel", "kind"),
    [
        ("conv1", 0, "1x1", "first"),
        ("layer2.0.downsample.0", 5, "1x1", "projection"),
        ("layer2.0.conv3", 4, "1x1", "1x1"),
        ("features.3", 1, "3x3", "other"),
        ("layer2.0.downsample.0", 5, "3x3", "other"),
    ],
)
def test_convs_are_told_apart_by_place_kernel_and_shortcut(layer, depth, kernel, kind):
    assert densities.kind_of(layer, depth, kernel) == kind


def test_accuracies_hold_the_repair_bn_only_and_none(store):
    store_run(store, right={**answers(), (ASR, 0): 700, (ASR, 20): 800})
    _, table = accuracies(store)
    found = table.set_index("role")["top1"]
    assert found.to_dict() == {"dense": 0.9, "no_repair": 0.1, "bn_only": 0.9, "repair": 0.8, "repair_alone": 0.7}
    assert set(accuracies(store, state=NO_STATE)[1]["role"]) == {"dense", "no_repair", "bn_only", "repair"}


def test_the_band_runs_from_the_first_to_the_last_sparsity_at_which_bn_only_fails_and_the_repair_clearly_beats_it(
    store,
):
    # dense 900: BN only fails from 850 on. p = 2^(1 - d) for d more images right, times up to 6 by Holm: 10 are clear
    for sparsity, bn_only, asr in (
        (0.9, 880, 899),
        (0.93, 850, 840),
        (0.94, 850, 856),
        (0.95, 800, 810),
        (0.955, 700, 712),
        (0.97, 500, 505),
    ):
        store_run(store, sparsity=sparsity, right=answers(bn_only=bn_only, asr=asr))
    assert bands(store) == [(0.95, 0.955)]


@pytest.mark.parametrize(("bn_only", "asr"), [(851, 900), (850, 855), (850, 800)])
def test_there_is_no_band_where_bn_only_holds_or_the_repair_does_not_recover(store, bn_only, asr):
    store_run(store, right=answers(bn_only=bn_only, asr=asr))
    assert bands(store) == []


def test_what_is_not_stored_ends_a_band_and_is_said(store):
    for sparsity in (0.9, 0.94, 0.95):
        store_run(store, "uniform", sparsity, right=answers(bn_only=500, asr=600))
        if sparsity != 0.94:
            store_run(store, "global_l1", sparsity, right=answers(bn_only=500, asr=600))
    table = transition.judged(*accuracies(store))
    grid = sorted(table["sparsity"].unique())
    assert bands(store) == [(0.9, 0.9), (0.95, 0.95)] and bands(store, "uniform") == [(0.9, 0.95)]
    said = rules.band(table[table["rule"] == "global L1"], grid)
    assert said == "at 90 and 95 %; not stored at 94 %"


def test_nowhere_never_counts_what_is_not_stored(store):
    store_run(store, "uniform", 0.9, right=answers(bn_only=500, asr=600))
    store_run(store, "global_l1", 0.95, right=answers())
    table = transition.judged(*accuracies(store))
    said = rules.band(table[table["rule"] == "global L1"], sorted(table["sparsity"].unique()))
    assert said == "at none of 1 stored; not stored at 90 %"


def test_there_is_no_band_without_correctness_per_image_or_of_a_rule_that_is_not_stored(store):
    store_run(store, right=answers(bn_only=500), bits=False)
    table = transition.judged(*accuracies(store))
    assert bands(store) == [] and set(table["inside"]) == {UNMEASURED}
    assert rules.band(table, [0.95]) == "not told; not tested at 95 %"


@pytest.mark.parametrize(("difference", "level"), [(5, ["global L1"]), (6, [])])
def test_a_rule_wins_clearly_only_by_more_than_noise_on_the_same_images(store, difference, level):
    store_run(store, "global_l1", right=answers(asr=800))
    store_run(store, "uniform", right=answers(asr=800 + difference))
    store_run(store, "uniform", sparsity=0.9)  # a sparsity of one rule has no verdict
    found = transition.verdict(*accuracies(store))
    assert len(found) == 1
    row = found.iloc[0]
    assert (row["rule"], row["second"], row["rules"], row["n_eval"]) == ("uniform", "global L1", 2, 1000)
    assert row["gain"] == pytest.approx(difference / 1000) and row["p"] == pytest.approx(2.0 ** (1 - difference))
    assert row["level"] == level


def test_rules_of_equal_accuracy_are_within_noise(store):
    for rule in ("global_l1", "uniform"):
        store_run(store, rule, right=answers())
    row = transition.verdict(*accuracies(store)).iloc[0]
    assert row["gain"] == 0 and row["p"] == 1 and len(row["level"]) == 1 and not row["ahead_of_all"]


def test_results_of_other_images_are_not_paired(store):
    store_run(store, "global_l1", right=answers(asr=800))
    store_run(store, "uniform", right=answers(asr=900))
    _, table = accuracies(store)
    row = transition.verdict(store, table.assign(images=[*table["rule"]])).iloc[0]
    assert np.isnan(row["p"]) and row["level"] == [] and row["unmeasured"] == ["global L1"]


def test_protected_layers_are_counted_by_kind_with_their_share_of_the_budget():
    table = pd.concat([layers("erk", [200, 100, 100, 100]), layers("uniform", [10, 50, 100, 5])])
    found = densities.protected(table).set_index("rule")
    erk = found.loc["erk"]
    assert (erk["layers"], erk["first"], erk["projection"], erk["other"]) == (2, 1, 1, 0)
    assert erk["names"] == "conv1, layer2.0.downsample.0" and erk["share"] == pytest.approx(300 / 500)
    assert found.loc["uniform", "layers"] == 0 and found.loc["uniform", "share"] == 0


@pytest.mark.parametrize(("other", "verdict"), [([10, 50, 100, 99], True), ([10, 50, 100, 100], False)])
def test_erk_over_protects_projections_only_if_no_other_rule_keeps_as_many_of_their_weights(other, verdict):
    table = pd.concat([layers("erk", [200, 100, 100, 100]), layers("uniform", [10, 50, 100, 5]), layers("lamp", other)])
    assert densities.over_protects(table) is verdict


def test_over_protection_cannot_be_told_without_erk_another_rule_or_a_projection():
    erk, uniform = layers("erk", [200, 100, 100, 100]), layers("uniform", [10, 50, 100, 5])
    assert densities.over_protects(uniform) is None
    assert densities.over_protects(erk) is None
    assert densities.over_protects(pd.concat([erk, uniform]).assign(kind="other")) is None


def test_the_figure_shades_the_band_of_each_rule(store):
    for sparsity in (0.9, 0.95):
        result = store_run(store, "global_l1", sparsity, right=answers(bn_only=500))
        store_run(store, "uniform", sparsity, right=answers())
    grouped = transition.groups(catalogue.stored(store), *HERE)
    table = figures.TRANSITION.table(result, store, grouped, ASR)
    assert "global L1 at 90 to 95 %; uniform at none" in figures.TRANSITION.sentence(table)
    figure = figures.TRANSITION.figure(table, **figures.TRANSITION.limits([table]))
    assert [(shape.x0, shape.x1) for shape in figure.layout.shapes] == [(pytest.approx(89.85), pytest.approx(95.15))]


def test_a_repair_that_is_stored_nowhere_is_said_in_words(store):
    result = store_run(store)
    grouped = transition.groups(catalogue.stored(store), *HERE)
    with pytest.raises(NothingToDraw, match="Choose another b or repair"):
        figures.TRANSITION.table(result, store, grouped, ASR, BatchNormState.of(calib_batches=7))
