"""Comparisons of stored accuracies on the same test images, as columns of tables. No torch."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from asr_core.measure.statistics import compare, word
from asr_core.spec.repairs import DENSE, NO_REPAIR

COMPARED = ["gain", "gain_low", "gain_high", "p", "word", "pairs"]
PLAIN = {"gain_low": "low", "gain_high": "high"}  # their names in a table of pairs


def empty(table: pd.DataFrame) -> pd.DataFrame:
    """`table` with the columns COMPARED, nothing in them."""
    return table.assign(**dict.fromkeys(COMPARED[:4], np.nan), word="", pairs=0)


def with_best(table: pd.DataFrame, bits: Sequence[Any]) -> pd.DataFrame:
    """`table` (a row per network) with `best` (the repair of the highest top1) and the columns COMPARED.

    Those are of the best repair minus the row: gain with its interval, p corrected by Holm for all `pairs` of repairs
    and no repair, and what the best one is against the row, in the words of `measure.statistics`; '' on its own row
    and on that of the dense network. bits: per row, which images it has right, or None.
    """
    made = empty(table).assign(best=False)
    top1 = np.asarray(table["top1"], float)
    method = table["method"].to_numpy(object)
    compared = [i for i in range(len(table)) if np.isfinite(top1[i]) and method[i] != DENSE.method]
    repairs = [i for i in compared if method[i] != NO_REPAIR.method]
    if not repairs:
        return made
    best = max(repairs, key=lambda i: top1[i])
    found = compare({i: bits[i] for i in compared})
    told: dict[str, Any] = {name: made[name].to_numpy(copy=True) for name in COMPARED[:-1]}
    told["word"] = told["word"].astype(object)
    for row in found[(found["first"] == best) | (found["second"] == best)].itertuples():
        sign, other = (1, row.second) if row.first == best else (-1, row.first)
        low, high = (row.low, row.high) if sign == 1 else (-row.high, -row.low)
        values = [sign * row.gain, low, high, row.p, word(sign * row.gain, row.p)]
        for name, value in zip(COMPARED[:-1], values, strict=True):
            told[name][other] = value
    return made.assign(**told, best=np.arange(len(table)) == best, pairs=int(found["p"].notna().sum()))


def against(rows: pd.DataFrame, others: pd.DataFrame, bits: Sequence[Any], of_others: Sequence[Any]) -> pd.DataFrame:
    """`rows` with the columns COMPARED of each row minus the row of `others` in the same place, corrected by Holm for
    all of them; a row that has no partner, or other images, is not measured."""
    numbers = range(len(rows))
    own = {("row", i): one for i, one in zip(numbers, bits, strict=True)}
    theirs = {("other", i): one for i, one in zip(numbers, of_others, strict=True)}
    found = compare(own | theirs, [(("row", i), ("other", i)) for i in numbers])
    told = {name: found[PLAIN.get(name, name)].to_numpy() for name in COMPARED[:-1]}
    plain = np.asarray(rows["top1"], float) - np.asarray(others["top1"], float)
    gain = np.where(np.isfinite(told["gain"].astype(float)), told["gain"].astype(float), plain)
    return rows.assign(**told | {"gain": gain}, pairs=int(found["p"].notna().sum()))
