"""Who is ahead of whom in how many cells of the paper's table 1, in the paper and here. Imports no torch."""

from typing import Any

import numpy as np
import pandas as pd

from asr_core.measure.statistics import AHEAD, BEHIND, EQUAL, compare, word
from asr_core.studies.cells import CELL, METHODS, is_tie

VERSUS = (("asr_bn", "lw_bn"), ("asr_bn", "bn_only"), ("lw_bn", "bn_only"))


def wins(table: pd.DataFrame, right: list[Any] | None = None) -> pd.DataFrame:
    """Who is ahead in how many cells of a table 1: better, worse, cells, wins, ties, losses, ahead, behind, equal.

    wins, ties, losses: by the numbers as they are. ahead, behind, equal (may be equal): of ours, which come with
    `right` (which images each row of `table` has right), by McNemar's test, corrected by Holm for all cells and pairs
    of methods; of the paper's, whose images are not known, by gaps of more than PAPER_NOISE.
    """
    column = "paper" if right is None else "top1"
    cells = table[table["method"].isin(METHODS) & table[column].notna()]
    rows = {(*row[:3], row[3]): place for place, *row in cells[[*CELL, "method"]].itertuples()}
    places = [
        (better, worse, rows[(*cell, better)], rows[(*cell, worse)])
        for better, worse in VERSUS
        for cell in dict.fromkeys(key[:3] for key in rows)
        if (*cell, better) in rows and (*cell, worse) in rows
    ]
    values = table[column].astype(float)
    gaps = pd.DataFrame([(a, b, values[i] - values[j]) for a, b, i, j in places], columns=["better", "worse", "gap"])
    gaps["word"] = (
        [word(gap, 1.0 if is_tie(gap) else 0.0) for gap in gaps["gap"]]
        if right is None
        else [*compare(dict(enumerate(right)), [place[2:] for place in places])["word"]]
    )
    return pd.DataFrame([_count(gaps, *pair) for pair in VERSUS])


WORDS = {"ahead": AHEAD, "behind": BEHIND, "equal": EQUAL}


def _count(gaps: pd.DataFrame, better: str, worse: str) -> dict[str, Any]:
    own = gaps[(gaps["better"] == better) & (gaps["worse"] == worse)]
    counts = {"wins": own["gap"] > 0, "ties": own["gap"] == 0, "losses": own["gap"] < 0}
    words = {name: int((own["word"] == said).sum()) for name, said in WORDS.items()}
    return {"better": better, "worse": worse, "cells": len(own)} | {n: int(c.sum()) for n, c in counts.items()} | words


def ordered_alike(table: pd.DataFrame, right: list[Any]) -> tuple[int, int]:
    """(pairs of rows told apart here, corrected by Holm, whose paper numbers are more than PAPER_NOISE apart; those of
    them that the paper orders alike)."""
    found = compare(dict(enumerate(right)))
    paper = table["paper"].to_numpy(float)
    gap = np.array([paper[row.first] - paper[row.second] for row in found.itertuples()], float)
    told = found["word"].isin((AHEAD, BEHIND)).to_numpy() & np.isfinite(gap) & ~is_tie(gap)
    return int(told.sum()), int((told & (np.sign(gap) == np.sign(found["gain"].to_numpy(float)))).sum())
