"""Sentences about accuracies of one setting: at one budget, over budgets, at equal numbers of images."""

import numpy as np
import pandas as pd

from asr_core.measure.statistics import AHEAD, BEHIND, EQUAL, UNMEASURED
from asr_core.report import naming
from asr_core.report.words import accuracy, begun, counted, in_state, listed, relation, tested
from asr_core.spec.repairs import BN_ONLY
from asr_core.store.tables import is_of, networks

WAYS = {"reset": "ema from reset", "keep": "ema from kept", "cumulative": "cumulative", "none": "no recalibration"}


def overview(table: pd.DataFrame) -> str:
    """What pruning cost, which repair is highest, and what it is against every other and no repair.

    table: figures.overview.accuracy_table.
    """
    by = table.dropna(subset="top1").drop_duplicates("method").set_index("method")
    named = {"dense": "dense", "no_repair": "pruned without repair"}
    words = [f"{name} {accuracy(by.loc[method])}" for method, name in named.items() if method in by.index]
    images = table["n_eval"].dropna()
    on = f" on {int(images.iloc[0]):,} test images" if len(images) else ""
    text = f"Top-1 accuracy{on}: {', '.join(words) or 'neither dense nor pruned network is stored'}."
    alike = table["dense_alike"].iloc[0]
    text += "" if np.isnan(alike) else f" Recalibrated alike, the dense network has {100 * alike:.1f} %."
    repairs = table[~table["method"].isin(naming.REFERENCES)]
    if repairs["top1"].isna().all():
        return text + f" None of the chosen repairs is stored {in_state(table)}."
    names, shared = naming.in_words(networks(repairs))
    named = networks(repairs).map(names).astype(object)
    return f"{text} {begun(in_state(table))}{shared}, {_highest(table, repairs, named)}{_absent(repairs, named)}"


def _highest(table: pd.DataFrame, repairs: pd.DataFrame, named: pd.Series) -> str:
    """The highest of several, or the only one, and what it is against the others."""
    best = repairs[repairs["best"]].iloc[0]
    others = repairs[repairs["top1"].notna() & ~repairs["best"]]
    level, lower = others[others["top1"] == best["top1"]], others[others["top1"] != best["top1"]]
    name = listed([named[best.name], *named[level.index]])
    if others.empty:
        text = f"{name} reaches {accuracy(best)}"
    else:
        text = f"{name} {'are' if len(level) else 'is'} highest of the repairs with {accuracy(best)}"
        text += f": {relation([*named[lower.index]], [*lower['word']])}" if len(lower) else ""
    plain = table[table["method"].eq("no_repair") & table["top1"].notna() & table["word"].ne("")]
    if len(plain):
        text += f"; {relation(['no repair'], [*plain['word'].head(1)])} ({100 * plain['top1'].iloc[0]:.1f} %)"
    pairs = int(best["pairs"])
    return text + (f" ({tested(pairs)})." if pairs else ".")


def _absent(repairs: pd.DataFrame, named: pd.Series) -> str:
    absent = list(named[repairs["top1"].isna()])
    return f" Not stored: {listed(absent)}." if absent else ""


def curves(table: pd.DataFrame) -> str:
    """How far the stored repairs lie apart at the smallest and the largest budget of each way."""
    lines = table[~table["method"].isin(naming.REFERENCES)]
    if lines.empty:
        return "None of the chosen repairs is stored for this setting."
    parts, chosen = [], len(naming.in_table(lines))
    for way, rows in lines.groupby("way", sort=False):
        budgets = rows[(rows["batches"] > 0) | (way == "none")]
        for at in dict.fromkeys([budgets["x"].min(), budgets["x"].max()] if len(budgets) else []):
            here = budgets[budgets["x"] == at]
            unit = "b = " if here["x"].iloc[0] == here["batches"].iloc[0] else "images = "
            low, high = (f"{100 * value:.1f}" for value in (here["top1"].min(), here["top1"].max()))
            reach = f"{low} %" if low == high else f"{low} to {high} %"
            stored = len(naming.in_table(here))
            of = f" ({stored} of {chosen} stored)" if stored < chosen else ""
            parts.append(f"{WAYS[way]}, {unit}{at:g}: {reach}{of}")
    if not parts:
        return f"Of the {counted(chosen, 'chosen repair')} nothing is stored beyond b = 0."
    return f"Top-1 accuracy over the {counted(chosen, 'chosen repair')}: {'; '.join(parts)}."


def equal(table: pd.DataFrame) -> str:
    """What each repair without recalibration is against BN only on as many images. table: budgets.equal_table."""
    rows = table[table["word"].ne("")]
    if rows.empty:
        return "No repair without recalibration and BN only are stored at an equal number of images."
    named, alone = networks(rows), table[is_of(table, BN_ONLY) & table["batches"].gt(0)].set_index("images")["top1"]
    names, shared = naming.in_words(named.unique())
    total = rows["word"].value_counts()
    said = [f"{word} in {total[word]}" for word in (AHEAD, BEHIND, EQUAL, UNMEASURED) if word in total]
    parts = []
    for count in dict.fromkeys((rows["images"].min(), rows["images"].max())):
        here = rows[rows["images"] == count]
        each = [
            f"{names[network]} {100 * row.top1:.1f} % ({row.word})"
            for network, row in zip(named[here.index], here.itertuples(), strict=True)
        ]
        parts.append(f"{counted(int(count), 'image')}: BN only {100 * alone[count]:.1f} %, {', '.join(each)}")
    pairs, budgets = int(rows["pairs"].iloc[0]), rows["images"].nunique()
    holes = len(names) * budgets - len(rows)
    absent = f"; the other {holes:,} {'is' if holes == 1 else 'are'} not stored" if holes else ""
    return (
        f"At equal numbers of images, against BN only, {counted(len(names), 'repair')}{shared} x "
        f"{counted(budgets, 'budget')}: {', '.join(said)} of {len(rows)}{absent} ({tested(pairs)}). "
        f"{'. '.join(parts)}."
    )


def decay(table: pd.DataFrame) -> str:
    """The left-over at the paper's budgets."""
    stated = [f"{row.a:.3f} at b = {row.b}" for row in table[table["b"].isin([10, 20, 30, 50])].itertuples()]
    momentum = table["momentum"].iloc[0]
    held = ", ".join(stated) or "all"
    return (
        f"With momentum {momentum:g} an ema still holds {held} of its starting statistics; "
        "cumulative averaging holds none."
    )
