"""Beside the maps: a channel's numbers in every network, and which channels are worth a look."""

import numpy as np
import pandas as pd

from asr_core.figures import style
from asr_core.spec.repairs import COLUMNS, DENSE, NO_REPAIR
from asr_core.store.results import Result
from asr_core.store.tables import networks, rows_of, typed

NUMBERS = {
    "v_repaired": "variance",
    "v_recalibrated": "recalibrated",
    "gamma": "gamma",
    "gamma_raw": "gamma_raw",
    "shrinkage": "shrinkage",
}


def numbers(result: Result, layer: str, channel: int, repairs=()) -> pd.DataFrame:
    """One channel's numbers, a row per network: COLUMNS, label, variance, after recalibration, gamma, gamma_raw,
    shrinkage, ratio (of the variance to the dense one)."""
    row = result.channels[(result.channels["layer"] == layer) & (result.channels["channel"] == channel)].iloc[0]
    rows = [DENSE.columns | {"variance": row["v_dense"]}, NO_REPAIR.columns | {"variance": row["v_pruned"]}]
    own = result.repairs[(result.repairs["layer"] == layer) & (result.repairs["channel"] == channel)]
    own = rows_of(own, *repairs).rename(columns=NUMBERS)
    columns = [*COLUMNS, *NUMBERS.values()]
    made = pd.DataFrame([*rows, *own.to_dict("records")], columns=columns)
    ratio = made["variance"] / row["v_dense"] if row["v_dense"] > 0 else np.nan
    return style.labelled(style.ordered(typed(made))).assign(ratio=ratio)


def ranking(result: Result, layer: str, repairs=(), stage: str = "repaired") -> pd.DataFrame:
    """Channels of a layer: channel, damage, gain, disagreement, dead.

    With r = sqrt(v / v_dense): damage |r_pruned - 1|; gain: by how much the best of `repairs` makes
    |r - 1| smaller; disagreement: largest minus smallest r among `repairs`. NaN where v_dense is 0.
    """
    rows = result.channels[result.channels["layer"] == layer].set_index("channel")
    dense = rows["v_dense"].where(rows["v_dense"] > 0)
    damage = (np.sqrt(rows["v_pruned"] / dense) - 1).abs()
    own = rows_of(result.repairs[result.repairs["layer"] == layer], *repairs)
    moment = f"v_{stage}" if f"v_{stage}" in own else "v_repaired"
    wide = own.set_index(["channel", networks(own)])[moment].unstack(sort=False)
    roots = np.sqrt(wide.reindex(rows.index).div(dense, axis=0))
    gain = damage - (roots - 1).abs().min(axis=1)
    apart = roots.max(axis=1) - roots.min(axis=1)
    made = pd.DataFrame({"damage": damage, "gain": gain, "disagreement": apart})
    return made.assign(dead=rows["v_pruned"].eq(0) | rows["v_pruned"].isna()).rename_axis("channel").reset_index()


def ranked(found: pd.DataFrame, by: str) -> list[int]:
    """Channels in the order of `by` (`channel`, or a column of `ranking`, largest first; undefined ones last)."""
    if by == "channel":
        return found["channel"].tolist()
    return found.sort_values(by, ascending=False, kind="stable", na_position="last")["channel"].tolist()
