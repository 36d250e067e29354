"""Sentences about why two methods differ at a setting."""

import numpy as np
import pandas as pd

from asr_core.measure.statistics import AHEAD, BEHIND, UNMEASURED
from asr_core.report.words import begun, in_state
from asr_core.spec.recalibration import NO_BATCHNORM, NOTHING
from asr_core.studies.why import SAME


def why(table: pd.DataFrame) -> str:
    """How far two methods lie apart, where, by what, what recalibration leaves, and what signal says.

    table: figures.why.table.
    """
    row = table.iloc[0]
    return " ".join(
        part for part in (_accuracy(table, row), _apart(table, row), _reason(row), _after(row), _signal(row)) if part
    )


def _accuracy(table: pd.DataFrame, row) -> str:
    shared = f" ({row['shared']})" if row["shared"] else ""
    pair = f"{row['first']} against {row['second']}{shared}"
    if not (np.isfinite(row["top1_first"]) and np.isfinite(row["top1_second"])):
        return f"{pair}: the accuracy of one of both is not stored {in_state(table)}."
    shares = f"{100 * row['top1_first']:.1f} and {100 * row['top1_second']:.1f} % right {in_state(table)}"
    verdict = {
        AHEAD: "the first is ahead",
        BEHIND: "the second is ahead",
        UNMEASURED: "not measured on the same images",
    }
    told = verdict.get(row["word"], "they may be equal")
    test = f" (McNemar, p = {row['p']:.2g})" if np.isfinite(row["p"]) else ""
    return f"{pair}: {shares}; {told}{test}."


def _apart(table: pd.DataFrame, row) -> str:
    if row["all_measured"] < SAME:
        return begun(f"{_before(row)}every live channel has the same variance in both.")
    most = table.loc[table["measured"].idxmax()]
    return begun(
        f"{_before(row)}the strengths of their channels lie apart by a factor of {_factor(row['all_measured'])} "
        f"(root mean square), most in {most['layer']} ({_factor(most['measured'])}), there in channel {most['worst']} "
        f"({_factor(abs(most['worst_measured']))})."
    )


def _before(row) -> str:
    """'before recalibration ', where there is any."""
    return "" if row["recalibration"] == NO_BATCHNORM else "before recalibration "


def _reason(row) -> str:
    if row["all_measured"] < SAME:
        return ""
    share = row["all_granularity"]
    if not np.isfinite(share):
        return "How much is granularity is not defined: one of both has new weights and no factors."
    text = (
        f"Of the squared difference, {_share(share)} is granularity (other factors on the same inputs) and "
        f"{_share(1 - share)} compounding (other inputs)"
    )
    return f"{text}; the one below 0 works against the other." if not 0 <= share <= 1 else f"{text}."


def _after(row) -> str:
    if row["recalibration"] == NO_BATCHNORM:
        return NOTHING
    left = row["all_recalibrated"]
    if not np.isfinite(left):
        return "After recalibration: not stored."
    return f"After recalibration (ema 0.1 from reset, b = 20) a factor of {_factor(left)} is left."


def _signal(row) -> str:
    shares = row["signal_first"], row["signal_second"]
    if not all(map(np.isfinite, shares)):
        return "Signal is not stored for one or both."
    one, other = (_share(value) for value in shares)
    return begun(
        f"{_before(row)}factors and biases could mend {one} of the error that is left after the first and {other} "
        "after the second; the rest none can."
    )


def _factor(log: float) -> str:
    return f"{np.exp(log):.2f}" if log < 3 else f"{np.exp(log):.3g}"


def _share(value: float) -> str:
    return f"{100 * value:.0f} %"
