"""Sentences over all stored settings: gains against damage."""

import numpy as np
import pandas as pd

from asr_core.measure.statistics import AHEAD, BEHIND, EQUAL, FEWEST_NETWORKS, FEWEST_VALUES, UNMEASURED, correlation
from asr_core.report.words import counted

ABSORBED = (
    "under cumulative averaging BatchNorm absorbs every repair whose conv it follows, so there is nothing to correlate"
)


def gains(table: pd.DataFrame) -> str:
    """In how many settings the gain is more than noise, and its correlation with the damage. table:
    figures.severity.gain_table."""
    first, texts = table.iloc[0], []
    for (order, bias), rows in table.groupby(["order", "bias"], sort=False):
        count = rows["word"].value_counts()
        said = [f"{word} in {count[word]}" for word in (AHEAD, BEHIND, EQUAL, UNMEASURED) if word in count]
        tie = ABSORBED if first.absorbed else correlated(correlation(rows["x"], rows["gain"], rows["network"]))
        texts.append(f"{order}, bias {'on' if bias else 'off'}: {', '.join(said)} of {len(rows)}; {tie}")
    return (
        f"Gain of {first.gained} against {first.against} at b = {first.b} ({first.recalibration}), one point per "
        f"stored setting; the first method is, by McNemar on the same images and Holm over the settings, in "
        f"{'. In '.join(texts)}."
    )


def correlated(found: dict) -> str:
    """'n = 14 of 6 networks, Pearson r = 0.61 [0.12, 0.86], Spearman ρ = 0.70 [...]', or why there is no number."""
    of = f"{counted(found['n'], 'setting')} of {counted(found['networks'], 'dense network')}"
    if not np.isfinite(found["pearson"]):
        return f"{of}: {why_none(found)}"
    r, rho = (f"{found[n]:.2f} [{found[f'{n}_low']:.2f}, {found[f'{n}_high']:.2f}]" for n in ("pearson", "spearman"))
    return f"{of}, Pearson r = {r}, Spearman ρ = {rho}, intervals over networks"


def why_none(found: dict) -> str:
    """Why no correlation is given."""
    if found["networks"] < FEWEST_NETWORKS:
        return f"no correlation is given for fewer than {FEWEST_NETWORKS} networks"
    if found["distinct"] < FEWEST_VALUES:
        return f"no correlation is given for fewer than {FEWEST_VALUES} distinct values"
    return "a correlation is undefined"
