"""Sentences about confidence: how far networks are from being as sure as they are right, and what would mend it."""

import numpy as np
import pandas as pd

from asr_core.report import naming
from asr_core.report.words import counted, in_state, listed
from asr_core.store.tables import networks

TEMPERED = "the temperature at which the labels of these very images are most likely"


def errors(table: pd.DataFrame) -> str:
    """Calibration errors, on which side they lie, and what one temperature would leave.

    table: figures.confidence.errors_table.
    """
    stored = table[table["ece"].notna()]
    if stored.empty:
        return "Of none of the chosen networks the confidence is stored."
    names, shared = naming.in_words(networks(table))
    told = stored.assign(name=networks(stored).map(names).astype(object))
    repairs = told[~told["method"].isin(naming.REFERENCES)]
    parts = [_one(row) for row in told[told["method"].isin(naming.REFERENCES)].itertuples()]
    if len(repairs):
        parts.append(f"{in_state(table)}{shared}, {_range(repairs)}")
    images = f"{int(stored['n_eval'].max()):,} test images"
    absent = [names[network] for network in networks(table[table["ece"].isna()])]
    text = f"Expected calibration error on {images}, in points: {'; '.join(parts)}. {_tempered(told)}"
    return f"{text} Not stored: {listed(absent)}." if absent else text


def _one(row) -> str:
    chance = f", where chance would show {100 * row.ece_chance:.1f}" if np.isfinite(row.ece_chance) else ""
    return f"{row.name} {100 * row.ece:.1f}{chance} ({_side(row.gap)})"


def _side(gap: float) -> str:
    """On which side confidence lies of what is right."""
    if abs(gap) < 0.0005:
        return "on average as sure as right"
    return f"{100 * abs(gap):.1f} {'surer' if gap > 0 else 'less sure'} than right on average"


def _range(repairs: pd.DataFrame) -> str:
    rows = repairs.sort_values("ece", kind="stable")
    low, high = rows.iloc[0], rows.iloc[-1]
    if len(rows) == 1:
        return _one(next(rows.itertuples()))
    if low["ece"] == high["ece"]:
        return f"the {counted(len(rows), 'repair')} alike {100 * low['ece']:.1f}"
    ends = (f"{100 * row['ece']:.1f} ({row['name']}, {_side(row['gap'])})" for row in (low, high))
    return f"repairs from {' to '.join(ends)}"


def _tempered(told: pd.DataFrame) -> str:
    left = told["ece_tempered"]
    low, high = (f"{100 * value:.1f}" for value in (left.min(), left.max()))
    reach = low if low == high else f"{low} to {high}"
    hot, worse = int((told["temperature"] > 1).sum()), told[told["ece_tempered"] > told["ece"]]["name"]
    more = f"; that is more than before for {listed(worse)}" if len(worse) else ""
    return (
        f"With {TEMPERED}, {reach} would be left{more}. {hot} of {counted(len(told), 'network')} would have to be less "
        "sure for it (temperature over 1)."
    )


def bins(table: pd.DataFrame) -> str:
    """What share of the images lies in bins that are surer, or less sure, than right beyond chance.

    table: figures.confidence.bins_table.
    """
    names, shared = naming.in_words(networks(table))
    parts = []
    for network, rows in naming.each(table):
        total = rows["n"].sum()
        over = rows.loc[rows["confidence"] > rows["right_high"], "n"].sum() / total
        under = rows.loc[rows["confidence"] < rows["right_low"], "n"].sum() / total
        parts.append(f"{names[network]} {_percent(over)} and {_percent(under)}")
    return (
        "Share of the images in bins where the network is surer than right, and less sure than right, beyond the bin's "
        f"95 % interval{shared}: {'; '.join(parts)}."
    )


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
