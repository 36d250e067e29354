"""What is said of recalibration's left-over, of predictions and of equal budgets, at shipped settings, by the files."""

import re
from collections import Counter
from contextlib import suppress
from functools import lru_cache
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import shipped
from shipped import NOTHING, REPORTED, near, number

from asr_core.figures import NothingToDraw, absorption, signal, unabsorbed
from asr_core.spec.repairs import repairs
from asr_core.store import results

REPAIRS = repairs(orders=("simultaneous",), biases=("off",))
METHODS = {"LW (eq. 1)": "lw_bn", "raw": "raw_bn", "ASR": "asr_bn"}
EPS = 1e-5  # of BatchNorm
PLACE = ["layer", "channel"]


@pytest.fixture(scope="module")
def opened():
    """(keys, result) of the shipped settings whose factors are shipped."""
    store = shipped.store()
    keys = [keys for keys in shipped.looked_at(store) if any(map(len, factors(keys).values()))]
    assert keys
    return [(some, results.open_results(store, some)) for some in keys]


def moments(keys) -> pd.DataFrame:
    """Mean and variance of each conv's output while BatchNorm recalibrates, and those of the dense network."""
    base = shipped.channels(keys).set_index(PLACE)
    rows = pd.concat([table for key in keys if len(table := shipped.table(key, "repairs"))])
    plain = rows["params"].eq("") & rows["method"].isin(METHODS.values())
    inexact = plain & rows["order"].eq("sequential") & rows["bias"].fillna(False).astype(bool)
    if inexact.any():
        first = rows[inexact & rows["method"].eq(rows.loc[inexact, "method"].iloc[0])].drop_duplicates(PLACE)
        own = shifted(keys, first.set_index(PLACE))
        found = pd.DataFrame({"mu": (own["mu_repaired"] - own["c"]) / own["g"], "v": own["v_repaired"] / own["g"] ** 2})
    elif rows["method"].eq("bn_only").any():
        own = rows[rows["method"].eq("bn_only")].drop_duplicates(PLACE).set_index(PLACE)
        found = pd.DataFrame({"mu": own["mu_recalibrated"], "v": own["v_recalibrated"]})
    else:
        found = pd.DataFrame({"mu": base["mu_pruned"], "v": base["v_pruned"]})
    return found.join(base[["mu_dense", "v_dense"]], how="inner")


def shifted(keys, rows: pd.DataFrame) -> pd.DataFrame:
    """With the factor g and the shift c of each channel: where the conv has a bias of its own, c from its means."""
    convs, base = shipped.table(keys[0], "convs"), shipped.channels(keys).set_index(PLACE)
    g, new = rows["gamma"].astype(float).fillna(1), rows["b_new"].astype(float)
    biased = rows.index.get_level_values("layer").isin(convs.loc[convs["has_bias"].astype(bool), "layer"])
    by_means = (base["mu_dense"] - g * base["mu_pruned"]).reindex(rows.index)
    return rows.assign(g=g, c=np.where(new.isna(), 0, np.where(biased, by_means, new)))


@lru_cache(maxsize=64)
def factors(keys) -> dict[str, pd.DataFrame]:
    """g, c and moments of each absorbed channel, per method."""
    convs, found = shipped.table(keys[0], "convs"), {}
    absorbed = set(convs.loc[convs["absorbed"] != "no", "layer"])
    for name, method in METHODS.items():
        rows = shipped.repaired(keys, method)
        if rows is not None:
            rows = shifted(keys, rows[rows.index.get_level_values("layer").isin(absorbed)])
            found[name] = rows[["g", "c"]].join(moments(keys), how="inner")
    return found


def after(rows: pd.DataFrame, g, c, a: float, start: str) -> tuple:
    """Strength and offset of BatchNorm's output for g*y + c, where a of its starting statistics is left."""
    m0, v0 = (rows["mu_dense"], rows["v_dense"]) if start == "keep" else (0, 1)
    width = np.sqrt(a * v0 + (1 - a) * g**2 * rows["v"] + EPS)
    return g * np.sqrt(rows["v"]) / width, a * (g * rows["mu"] + c - m0) / width


def drawn(opened, chart, **what):
    """(keys, sentence) of a chart wherever it can be drawn."""
    told = []
    for keys, result in opened:
        with suppress(NothingToDraw):
            told.append((keys, chart.sentence(chart.table(result, repairs=REPAIRS, **what))))
    assert told
    return told


def furthest(keys) -> dict[str, tuple[float, str]]:
    """Of each network the median strength of the layer that is furthest from 1, and that layer; the furthest first."""
    own = factors(keys)
    if any(table["method"].eq("bn_only").any() for key in keys if len(table := shipped.table(key, "repairs"))):
        own["BN only"] = next(iter(own.values())).assign(g=1.0, c=0.0)
    found = {}
    for name, rows in own.items():
        strength = after(rows, rows["g"], rows["c"], 0.9**20, "reset")[0]
        middle = strength.groupby("layer").median()
        layer = (middle - 1).abs().idxmax()
        found[name] = float(middle[layer]), layer
    return dict(sorted(found.items(), key=lambda one: -abs(one[1][0] - 1)))


def test_how_far_channels_are_from_full_strength_is_what_stored_factors_say(opened):
    for keys, text in drawn(opened, signal.SIGNAL):
        far = furthest(keys)
        distances = [abs(value - 1) for value, _ in far.values()]
        if distances[0] < 0.0199:
            assert "next to nothing is left" in text, (keys, text)
            continue
        said = re.findall(r"[:;] ([^;:]*?) ([\d.e+-]+) in ([\w.]*\w)(?=[.;])", text)
        assert len(said) == min(3, len(far)), (keys, text)
        for (name, value, layer), distance in zip(said, distances, strict=False):
            assert near(float(value), far[name][0], 2) and layer == far[name][1], (keys, name, text)
            assert abs(abs(far[name][0] - 1) - distance) < 1e-3, (keys, name, text)
        if len(far) > 3:
            assert near(number(r"up to ([\d.e+-]*\d) from 1", text), distances[3], 2), (keys, text)


def predicted(keys) -> dict[tuple, float]:
    """(method, way, b) -> root mean square distance of channels to those of BN only, by the identity."""
    found = {}
    for name, rows in factors(keys).items():
        for (label, at), (key, row) in shipped.places(keys).items():
            averaging, start, momentum, b = at
            if label != f"{name} · simultaneous · bias off" or not b:
                continue
            if averaging not in ("ema", "cumulative") or (averaging == "ema" and momentum != REPORTED[2]):
                continue
            a = 0.0 if averaging == "cumulative" else (1 - momentum) ** b
            one, other = (after(rows, g, c, a, start) for g, c in ((rows["g"], rows["c"]), (1.0, 0.0)))
            error = np.hypot(one[0] - other[0], one[1] - other[1])
            gap = shipped.table(key, "accuracy")["logit_gap"].iloc[row]
            way = averaging if averaging == "cumulative" else start
            found[name, way, b] = float(np.sqrt((error**2).mean())), float(gap)
    return {place: both for place, both in found.items() if np.isfinite(both[1]) and min(both) > 0}


def test_what_was_predicted_and_measured_is_what_is_stored(opened):
    for keys, text in drawn(opened, absorption.AGREEMENT):
        both = list(predicted(keys).values())
        if len(both) < 2:
            assert "too few" in text, (keys, text)
            continue
        assert number(r"^([\d,]+) recalibrated", text) == len(both), (keys, text)
        for kind, values in zip(("channel errors", "logit differences"), zip(*both, strict=True), strict=True):
            low, high = re.search(rf"{kind} of ([\d.e+-]+) to ([\d.e+-]*\d)", text).groups()
            assert near(float(low), min(values), 2) and near(float(high), max(values), 2), (keys, kind, text)
        told = [(a[0] < b[0]) == (a[1] < b[1]) for a, b in combinations(both, 2) if a[0] != b[0] and a[1] != b[1]]
        count = Counter(told)
        assert number(r"Of ([\d,]+) pair", text) == len(told), (keys, text)
        assert number(r"pairs? of them, ([\d,]+) lie", text) == count[True], (keys, text)


def plain_rows(keys) -> dict[str, np.ndarray]:
    """Which images are right without recalibration: dense, no repair, and the three repairs by their short names."""
    names = {"dense": "dense", "no repair": "no repair"} | {
        name: f"{name} · simultaneous · bias off" for name in METHODS
    }
    found = {short: shipped.bits(keys, name, NOTHING) for short, name in names.items()}
    return {short: right for short, right in found.items() if right is not None}


def test_what_a_repair_is_worth_where_nothing_absorbs_it_is_what_the_images_say():
    store, checked = shipped.store(), 0
    for keys in shipped.looked_at(store):
        own = plain_rows(keys)
        mine = [name for name in METHODS if name in own]
        if not mine or "no repair" not in own:
            continue
        result = results.open_results(store, keys)
        text = unabsorbed.UNABSORBED.sentence(unabsorbed.UNABSORBED.table(result, repairs=REPAIRS))
        plain, dense = 100 * own["no repair"].mean(), 100 * own["dense"].mean()
        assert f"Without one {plain:.1f} % of {len(own['dense']):,} test images are right (dense {dense:.1f} %)" in text
        words = shipped.compared(own, [(name, "no repair") for name in mine])
        for word, count in Counter(words.values()).items():
            assert re.search(rf"against that: .*\b{word} in {count}\b.*Holm over {len(mine)} pair", text), (keys, text)
        gains = {name: 100 * own[name].mean() - plain for name in mine}
        said = re.findall(r"(?:; from |, to |; (?!from))([^;,:]*)[,:] ([+-][\d.]+) points(?:, (\d+)%)?", text)
        assert said, (keys, text)
        for (name, points, share), end in zip(said, (min, max), strict=False):
            gain = end(gains.values())
            assert abs(float(points) - gain) < 0.051, (keys, gains, text)
            assert name == "each" or gains[name] == pytest.approx(gain), (keys, gains, text)
            assert bool(share) == (gain > 0 and dense > plain), (keys, gains, text)
            assert not share or abs(float(share) - 100 * gain / (dense - plain)) < 0.51, (keys, gains, text)
        checked += 1
    assert checked > 0


def test_whether_a_method_is_absorbed_is_what_its_stored_logits_say(opened):
    checked = 0
    for keys, result in opened:
        with suppress(NothingToDraw):
            rows = absorption.methods_table(absorption.GAP.table(result, repairs=REPAIRS))
            for row in rows.itertuples():
                at = max(
                    (b, key, place)
                    for (name, (way, _, _, b)), (key, place) in shipped.places(keys).items()
                    if name == f"{row.label} · simultaneous · bias off" and way == "cumulative"
                )
                gap = shipped.table(at[1], "accuracy")["logit_gap"].iloc[at[2]]
                assert row.logit_gap == pytest.approx(gap), (keys, row)
                assert row.measured == ("absorbed" if gap <= 0.05 else "not absorbed"), (keys, row)
                alone = shipped.bits(keys, "BN only", ("cumulative", None, None, at[0]))
                assert row.top1_gap == pytest.approx(shipped.right(at[1])[at[2]].mean() - alone.mean()), (keys, row)
                checked += 1
    assert checked > 0
