"""What figures say of channels, layers and recalibration, at every shipped setting, against the stored files."""

import numpy as np
import pandas as pd
import pytest
import shipped
from shipped import near, number

from asr_core.figures import NothingToDraw, absorption, curves, heatmaps, overview, runaway, spread, variance
from asr_core.spec.repairs import repairs
from asr_core.store import results

REPAIRS = repairs(orders=("simultaneous",), biases=("off",))
METHODS = ("lw_bn", "raw_bn", "asr_bn")
DEAD, EPS = 1e-12, 1e-8  # variance at or under which a channel is dead; of eq. 4


@pytest.fixture(scope="module")
def store():
    return shipped.store()


@pytest.fixture(scope="module")
def opened(store):
    """(key of its first result, result) of every shipped setting."""
    return [(keys[0], results.open_results(store, keys)) for keys in shipped.settings(store)]


def layers_of(key: str) -> pd.DataFrame:
    """One row per conv: what pruning did to it."""
    return shipped.table(key, "layers").drop_duplicates("layer").sort_values("depth")


def test_the_strip_names_the_layer_that_is_damaged_most(opened):
    for key, result in opened:
        text, layers = overview.STRIP.sentence(overview.STRIP.table(result)), layers_of(key)
        worst = layers.loc[layers["severity"].idxmax()]
        assert f"is largest in {worst['layer']} (" in text, (key, text)
        assert near(number(r"is largest in \S+ \(([\d.e+-]+)\)", text), worst["severity"]), (key, text)


def test_the_strip_counts_the_dead_channels(opened):
    for key, result in opened:
        text, layers = overview.STRIP.sentence(overview.STRIP.table(result)), layers_of(key)
        assert number(r"([\d,]+) of [\d,]+ channels", text) == layers["dead"].sum(), (key, text)
        assert number(r"[\d,]+ of ([\d,]+) channels", text) == layers["channels"].sum(), (key, text)


def test_the_strip_tells_how_damage_goes_with_depth(opened):
    for key, result in opened:
        text, layers = overview.STRIP.sentence(overview.STRIP.table(result)), layers_of(key).dropna(subset="severity")
        late = layers["depth"] > layers["depth"].median()
        halves = [layers.loc[half, "severity"].mean() for half in (~late, late)]
        said = [number(r"\(([\d.e+-]+) in the first half", text), number(r"([\d.e+-]+) in the second\)", text)]
        assert all(map(near, said, halves)), (key, text)
        assert ("grows" in text) == (halves[1] > 1.25 * halves[0]), (key, text)
        assert ("falls" in text) == (halves[0] > 1.25 * halves[1]), (key, text)


def test_the_largest_layer_wise_factor_is_that_of_the_stored_layers(opened):
    for key, result in opened:
        layers = layers_of(key)
        layers = layers[layers["depth"] > layers["depth"].min()]
        text = runaway.RUNAWAY.sentence(runaway.RUNAWAY.table(result))
        asked = 100 * shipped.facts(key)["sparsity_asked"]
        said = number(rf"factor: ([\d.e+-]+) at {asked:.4g} %, where", text)
        assert near(said, layers["gamma_lw"].max()), (key, text)
        share = 100 * layers["below_p5"].mean()
        assert abs(number(r"on average (\d+)% of a layer's channels", text) - share) < 0.51, (key, text)


def damage_of(key: str) -> pd.DataFrame:
    """Log factors of the live channels of repaired layers, where channels are shipped."""
    channels = shipped.table(key, "channels")
    if channels.empty:
        return channels
    rows = channels[(channels["depth"] > channels["depth"].min())]
    rows = rows[(rows["v_dense"] > DEAD) & (rows["v_pruned"] > DEAD)]
    return rows.assign(log=0.5 * np.log(rows["v_dense"] / (rows["v_pruned"] + EPS)))


def test_the_share_within_layers_is_that_of_the_stored_channels(opened):
    checked = 0
    for key, result in opened:
        rows = damage_of(key)
        if rows.empty:
            continue
        inside = rows["log"] - rows.groupby("layer")["log"].transform("mean")
        text = spread.SPREAD.sentence(spread.SPREAD.table(result))
        share = (inside**2).sum() / (rows["log"] ** 2).sum()
        assert abs(number(r"([\d.]+)% of the mean-square damage", text) / 100 - share) < 2e-3, (key, text)
        checked += 1
    assert checked > 0


def test_the_heatmap_tells_how_many_channels_fall_under_the_dense_percentile(opened):
    for key, result in opened:
        text = heatmaps.CELLS.sentence(heatmaps.CELLS.table(result, repairs=REPAIRS))
        share = layers_of(key)["below_p5"].mean()
        assert abs(number(r"On average (\d+)% of a layer", text) / 100 - share) < 0.0051, (key, text)


def test_the_heatmap_tells_how_far_the_quartiles_are_from_dense(opened):
    for key, result in opened:
        text, layers = heatmaps.CELLS.sentence(heatmaps.CELLS.table(result, repairs=REPAIRS)), layers_of(key)
        ratios = layers[["q25_pruned", "q75_pruned"]].to_numpy().ravel()
        typical = 2 ** np.median(np.abs(np.log2(ratios[ratios > 0])))
        assert near(number(r"no repair ×([\d.e+]+)", text), typical), (key, text)


def test_a_layers_scatter_tells_its_ratio_of_variances(opened):
    checked = 0
    for key, result in opened:
        channels = shipped.table(key, "channels")
        for layer, rows in channels.groupby("layer", sort=False) if len(channels) else ():
            live = rows[(rows["v_dense"] > DEAD) & (rows["v_pruned"] > DEAD)]
            if len(live) < 3 or checked % 7:
                checked += 1
                continue
            text = variance.SCATTER.sentence(variance.SCATTER.table(result, layer=layer))
            dead = int((rows["v_pruned"] <= DEAD).sum())
            assert (f"Pruning left {dead} without any variance" in text) == (dead > 0), (key, text)
            assert f"{len(rows)} channels of {layer} " in text, (key, text)
            checked += 1
    assert checked > 0


def stage(rows: pd.DataFrame, averaging: str, start: str, b: int) -> pd.DataFrame:
    """Accuracy rows of one recalibration, simultaneous and without mean correction where that applies."""
    same = rows["calib_batches"].eq(b) & rows["averaging"].eq(averaging) & rows["params"].eq("")
    ema = averaging == "cumulative" or (rows["start"].eq(start) & rows["momentum"].eq(0.1))
    look = rows["method"].isin(("bn_only",)) | (rows["order"].eq("simultaneous") & rows["bias"].eq(False))
    return rows[same & ema & look]


def test_how_far_recalibrated_methods_lie_apart_is_what_is_stored(opened):
    checked = 0
    for key, result in opened:
        try:
            text = absorption.GAP.sentence(absorption.GAP.table(result, repairs=REPAIRS))
        except NothingToDraw:
            continue
        rows = stage(result.accuracy, "cumulative", "", 20)
        own = rows[rows["method"].isin(METHODS)]
        if own.empty or "cannot be compared" in text or set(result.accuracy["calib_batches"]) - {0, 20}:
            continue
        apart = (own["top1"] - rows.loc[rows["method"].eq("bn_only"), "top1"].iloc[0]).abs().max()
        said = number(r"Under cumulative averaging .*?top-1 by at most ([\d.]+) points", text)
        assert abs(said - 100 * apart) < 0.051, (key, text)
        assert ("are one network" in text or "is one network" in text) == (own["logit_gap"].max() <= 0.05), (key, text)
        checked += 1
    assert checked > 0


def test_calibration_curves_tell_the_range_at_their_budget(opened):
    checked = 0
    for key, result in opened:
        try:
            text = curves.CURVES.sentence(curves.CURVES.table(result, repairs=REPAIRS))
        except NothingToDraw:
            continue
        rows = stage(result.accuracy, "ema", "reset", 20)
        rows = rows[rows["method"].isin((*METHODS, "bn_only"))]
        if rows.empty or set(result.accuracy["calib_batches"]) - {0, 20}:
            continue
        low, high = (f"{100 * value:.1f}" for value in (rows["top1"].min(), rows["top1"].max()))
        assert f"b = 20: {low} %" in text or f"b = 20: {low} to {high} %" in text, (key, text)
        checked += 1
    assert checked > 0
