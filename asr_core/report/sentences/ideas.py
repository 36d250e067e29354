"""The idea and the lesson in words that need no paper: one scalar and one factor each, layers, BatchNorm."""

import numpy as np
import pandas as pd

from asr_core.report import naming

BEFORE, AFTER = "BatchNorm as it was", "BatchNorm measured anew"


def layer(table: pd.DataFrame) -> str:
    """How far one scalar is off in both directions, and what one factor each does."""
    by = {method: rows["share"] for method, rows in table.groupby("method", observed=True)}
    one = by["lw_bn"]
    return (
        f"Eight channels of the layer {table['layer'].iloc[0]}. Pruning left {_share(by['no_repair'].min())} to "
        f"{_share(by['no_repair'].max())} of their variances. One scalar brings them to {_share(one.min())} to "
        f"{_share(one.max())}, one factor each to {_share(by['raw_bn'].min())} or more, shrinkage to "
        f"{_share(by['asr_bn'].min())} to {_share(by['asr_bn'].max())}."
    )


def depth(table: pd.DataFrame) -> str:
    """Where each line ends."""
    last = table[table["depth"] == table["depth"].max()]
    parts = [f"{row.label} {_share(row.share)}" for row in last.itertuples()]
    return f"In the last of {table['layer'].nunique()} layers a typical channel has, of its dense variance: " + (
        f"{', '.join(parts)}."
    )


def _share(value: float) -> str:
    if not np.isfinite(value):
        return "no finite share"
    return f"{100 * value:.3g} %" if value < 9.995 else f"{value:,.0f} times"


def batchnorm(table: pd.DataFrame) -> str:
    """How far apart the repairs are before, and after."""
    words = []
    for when in (BEFORE, AFTER):
        rows = table[(table["when"] == when) & ~table["method"].isin(naming.REFERENCES)]
        if len(rows):
            ends = dict.fromkeys(f"{100 * end:.1f}" for end in (rows["top1"].min(), rows["top1"].max()))
            words.append(f"{when}, {' to '.join(ends)} %")
    if not words:
        return "No repair is stored here, with BatchNorm as it was or measured anew."
    return f"Right answers of the pruned network over the repairs: {'; '.join(words)}."


def runaway(table: pd.DataFrame) -> str:
    """First and last of the layer-wise factors that are known; of a single one, that."""
    known = table.dropna(subset="gamma_lw")
    first, last = known.iloc[0], known.iloc[-1]
    before = f"{first.gamma_lw:.3g} at {naming.percent(first.sparsity)}, " if len(known) > 1 else ""
    return (
        f"Largest layer-wise factor: {before}{last.gamma_lw:.3g} at {naming.percent(last.sparsity)}, where on "
        f"average {last.collapsed:.0%} of a layer's channels are collapsed."
    )
