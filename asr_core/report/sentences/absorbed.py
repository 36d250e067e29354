"""Sentences about what BatchNorm undoes: distances to BN only, what the identity predicts, what is left where."""

from itertools import combinations

import numpy as np
import pandas as pd

from asr_core.measure.statistics import AHEAD, BEHIND, EQUAL, UNMEASURED
from asr_core.report import naming
from asr_core.report.words import begun, counted, in_state, tested
from asr_core.store.tables import networks

WAYS = {"cumulative": "cumulative averaging", "reset": "an ema from reset", "keep": "an ema from kept statistics"}
NEVER_UNDONE = "This network has no BatchNorm: nothing undoes a factor, a shift or a new weight, whatever the method."
SAME = 0.05  # a largest logit difference up to which two networks count as one function


def gaps(table: pd.DataFrame) -> str:
    """Are the methods one network, in which way of recalibration, and how far apart otherwise. table:
    figures.absorption.gap_table."""
    parts = [_way(way, table[table["way"] == way]) for way in WAYS if (table["way"] == way).any()]
    none = table[table["b"] == 0]
    if np.isfinite(none["logit_gap"]).any():
        logits, top1 = _reach(none)
        parts.append(
            f"Without recalibration nothing is absorbed: logits differ by up to {logits}, top-1 by up to {top1}."
        )
    return " ".join(parts) or "No logits are kept that could be compared with BN only."


def _way(way: str, rows: pd.DataFrame) -> str:
    if not np.isfinite(rows["logit_gap"]).all():
        return f"Under {WAYS[way]} some logits are not finite, so the methods cannot be compared."
    if way == "cumulative":
        return _full(rows)
    near, last = (rows[rows["b"] == b] for b in (_reporting(rows["b"]), rows["b"].max()))
    logits, top1 = _reach(near)
    text = f"Under {WAYS[way]} at {_at(near)} logits differ by up to {logits} and top-1 by up to {top1}"
    if last["b"].iloc[0] != near["b"].iloc[0]:
        text += f"; at {_at(last)} by {' and '.join(_reach(last))}"
    return text + "."


def _full(rows: pd.DataFrame) -> str:
    """Under cumulative averaging: whether scales and shifts are gone, and how far new weights stay."""
    scales, told = networks(rows).map(lambda network: network.scales).astype(bool), []
    if scales.any():
        methods, every = len(naming.in_table(rows[scales])), scales.all()
        named = f"all {methods} repairs" if every else f"the {methods} repairs that scale and shift"
        named = "the method" if methods == 1 else named
        one = "one network" if rows[scales]["logit_gap"].max() <= SAME else "not one network"
        logits, top1 = _reach(rows[scales])
        told.append(f"{named} and BN only are {one}: logits differ by at most {logits}, top-1 by at most {top1}")
    if not scales.all():
        named = ", ".join(dict.fromkeys(rows[~scales]["label"]))
        logits, top1 = _reach(rows[~scales])
        told.append(f"methods that set new weights ({named}): logits differ by up to {logits}, top-1 by up to {top1}")
    return f"Under cumulative averaging {'; '.join(told)}."


def _at(rows: pd.DataFrame) -> str:
    return f"b = {rows['b'].iloc[0]} (a = {rows['a'].iloc[0]:.3f})"


def _reach(rows: pd.DataFrame) -> tuple[str, str]:
    """Largest differences of logits and of top-1."""
    top1 = rows["top1_gap"].abs().max()
    return f"{rows['logit_gap'].max():.2g}", f"{100 * top1:.1f} points" if top1 == top1 else "an unknown amount"


def _reporting(budgets: pd.Series) -> int:
    """The paper's reporting budget, or the stored one nearest to it."""
    return min(set(budgets), key=lambda b: abs(b - 20))


def unabsorbed(table: pd.DataFrame) -> str:
    """Whether a repair matters where nothing absorbs it: against no repair, of what pruning took, and among the
    repairs. table: figures.unabsorbed.table."""
    first, names = table.iloc[0], naming.in_words(networks(table))
    named = networks(table).map(names[0]).astype(object)
    text = f"{begun(in_state(table))} nothing absorbs a repair. Without one {100 * first['no_repair']:.1f} % of "
    text += f"{int(first['n_eval']):,} test images are right"
    text += f" (dense {100 * first['dense']:.1f} %)" if first["dense"] == first["dense"] else ""
    words = table["word"].value_counts()
    told = [f"{word} in {words[word]}" for word in (AHEAD, BEHIND, EQUAL, UNMEASURED) if word in words]
    text += f". Of {counted(len(table), 'repair')}{names[1]}, against that: {', '.join(told)}"
    text += f" ({tested(int(first['pairs']))})" if first["pairs"] else ""
    low, high = table["gain"].idxmin(), table["gain"].idxmax()
    if table["gain"][low] == table["gain"][high]:
        return f"{text}; {'each' if len(table) > 1 else named[low]}: {_gained(table.loc[low])}."
    return f"{text}; from {named[low]}, {_gained(table.loc[low])}, to {named[high]}, {_gained(table.loc[high])}."


def _gained(row) -> str:
    """'+12.3 points, 34 % of what pruning took'; the share only of a gain, where pruning took anything."""
    took, text = row["dense"] - row["no_repair"], f"{100 * row['gain']:+.1f} points"
    return f"{text}, {row['gain'] / took:.0%} of what pruning took" if took > 0 and row["gain"] > 0 else text


def agreement(table: pd.DataFrame) -> str:
    """What was predicted and what was measured, without a number for how well: all points are of one dense network.
    table: figures.absorption.agreement_table."""
    if len(table) < 2:
        return "One recalibrated network is too few to set predictions against measurements."
    reach = [f"{table[name].min():.2g} to {table[name].max():.2g}" for name in ("predicted", "logit_gap")]
    apart = [
        (one.predicted < other.predicted) == (one.logit_gap < other.logit_gap)
        for one, other in combinations(list(table.itertuples()), 2)
        if one.predicted != other.predicted and one.logit_gap != other.logit_gap
    ]
    ordered = f" Of {counted(len(apart), 'pair')} of them, {sum(apart)} lie in the predicted order." if apart else ""
    return (
        f"{len(table)} recalibrated networks of one dense network: predicted channel errors of {reach[0]}, measured "
        f"logit differences of {reach[1]}.{ordered} One network is too few for a correlation."
    )


def leftover(table: pd.DataFrame) -> str:
    """How far from full strength the methods' channels are predicted to be, in their worst layers. table:
    figures.signal.signal_table."""
    finite = table[np.isfinite(table["signal"])]
    if finite.empty:
        return "Predicted strengths are not finite, since variances are not; nothing can be told."
    gone = _not_finite(table[~np.isfinite(table["signal"])])
    distance = finite["signal"].sub(1).abs()
    worst = finite.loc[distance.groupby(networks(finite), observed=True, sort=False).idxmax().dropna()]
    worst = worst.assign(distance=distance)
    if (worst["distance"] < 0.02).all():
        return (
            "Predicted: of the starting statistics next to nothing is left in any absorbed layer (median channels "
            "within 0.02 of full strength), so that for the median channel of these layers the identity predicts no "
            f"difference of methods.{gone}"
        )
    far = worst.sort_values("distance", ascending=False, kind="stable")
    words = [f"{row.label} {row.signal:.2g} in {row.layer}" for row in far.head(3).itertuples()]
    left, rest = len(far) - 3, ""
    if left > 0:
        lie = "one is" if left == 1 else f"{left} are"
        rest = f"; the other {lie} up to {far['distance'].iloc[3]:.2g} from 1"
    return (
        "Predicted: the starting statistics still change how strong channels come out of BatchNorm. Furthest from 1, "
        f"median over a layer's channels: {'; '.join(words)}{rest}.{gone}"
    )


def _not_finite(rows: pd.DataFrame) -> str:
    """In how many layers of which networks nothing can be predicted."""
    parts = [f"{label} in {counted(len(own), 'layer')}" for label, own in rows.groupby("label", sort=False)]
    return f" Not finite, so not told: {', '.join(parts)}." if parts else ""
