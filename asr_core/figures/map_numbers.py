"""Beside the maps: a channel's numbers in every network, and which channels are worth a look."""

import numpy as np
import pandas as pd

from asr_core.figures import style
from asr_core.store.results import Result


def numbers(result: Result, layer: str, channel: int, slugs=()) -> pd.DataFrame:
    """One channel's numbers, a row per network: variance, after recalibration, ratio to dense, gamma, gamma_raw, shrinkage."""
    row = result.channels[(result.channels["layer"] == layer) & (result.channels["channel"] == channel)].iloc[0]
    rows = [{"slug": "dense", "variance": row["v_dense"]}, {"slug": "no_repair", "variance": row["v_pruned"]}]
    own = result.repairs[(result.repairs["layer"] == layer) & (result.repairs["channel"] == channel)].set_index("slug")
    names = {
        "v_repaired": "variance",
        "v_recalibrated": "recalibrated",
        "gamma": "gamma",
        "gamma_raw": "gamma_raw",
        "shrinkage": "shrinkage",
    }
    rows += [
        {"slug": slug} | {new: own.loc[slug, old] for old, new in names.items() if old in own}
        for slug in slugs
        if slug in own.index
    ]
    made = pd.DataFrame(rows, columns=["slug", *names.values()])
    ratio = made["variance"] / row["v_dense"] if row["v_dense"] > 0 else np.nan
    made.insert(1, "network", [style.label(slug) for slug in made["slug"]])
    return made.assign(ratio=ratio)


def ranking(result: Result, layer: str, slugs=(), stage: str = "repaired") -> pd.DataFrame:
    """Channels of a layer: channel, damage, gain, disagreement, dead.

    With r = sqrt(v / v_dense): damage |r_pruned - 1|; gain: by how much the best of `slugs` makes
    |r - 1| smaller; disagreement: largest minus smallest r among `slugs`. NaN where v_dense is 0.
    """
    rows = result.channels[result.channels["layer"] == layer].set_index("channel")
    dense = rows["v_dense"].where(rows["v_dense"] > 0)
    damage = (np.sqrt(rows["v_pruned"] / dense) - 1).abs()
    own = result.repairs[(result.repairs["layer"] == layer) & result.repairs["slug"].isin(list(slugs))]
    moment = f"v_{stage}" if f"v_{stage}" in own else "v_repaired"
    roots = np.sqrt(own.pivot(index="channel", columns="slug", values=moment).reindex(rows.index).div(dense, axis=0))
    made = pd.DataFrame(
        {
            "damage": damage,
            "gain": damage - (roots - 1).abs().min(axis=1),
            "disagreement": roots.max(axis=1) - roots.min(axis=1),
        }
    )
    return made.assign(dead=rows["v_pruned"].eq(0) | rows["v_pruned"].isna()).rename_axis("channel").reset_index()


def ranked(found: pd.DataFrame, by: str) -> list[int]:
    """Channels in the order of `by` (`channel`, or a column of `ranking`, largest first; undefined ones last)."""
    if by == "channel":
        return found["channel"].tolist()
    return found.sort_values(by, ascending=False, kind="stable", na_position="last")["channel"].tolist()
