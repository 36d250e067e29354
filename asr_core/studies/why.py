"""Why two networks differ: how far their channels lie apart, and how much of it is other factors on the same inputs
(granularity), how much other inputs (compounding). From stored tables, no torch.

Of a channel with variances v1 and v2 and factors g1 and g2, the difference d = ln(v1 / v2) / 2 is in units of factors.
On the same inputs it would be p = ln(g1 / g2), the predicted view; the rest d - p comes of inputs that differ. Of the
sum of squares, p has sum(p d) / sum(d^2) and the rest sum((d - p) d) / sum(d^2): they add up to 1, and one is below 0
where it works against the other.
"""

import numpy as np
import pandas as pd

from asr_core.measure.errorparts import FLOOR
from asr_core.spec.repairs import NO_REPAIR, RepairSpec
from asr_core.store.results import Result
from asr_core.store.tables import rows_of

SAME = 1e-6  # of a log ratio, under which two networks do not differ


def channels(result: Result, first: RepairSpec, second: RepairSpec) -> pd.DataFrame:
    """Per channel that is live in the dense network and in both: layer, depth, channel, measured (d), predicted (p; NaN
    where a network has new weights and no factors), rest (d - p), and recalibrated (d after the reporting point's
    recalibration; NaN where that is not stored). Empty where the channels of one of both are not stored."""
    one, other = _of(result, first), _of(result, second)
    if one is None or other is None:
        return pd.DataFrame()
    both = one.merge(other, on=["layer", "channel"], suffixes=("_1", "_2"))
    base = result.channels[["layer", "depth", "channel", "v_dense"]]
    both = base[base["v_dense"] > FLOOR].merge(both.astype({"layer": object}), on=["layer", "channel"])
    both = both[(both[["v_1", "v_2"]] > FLOOR).all(axis=1) & np.isfinite(both[["v_1", "v_2"]]).all(axis=1)]
    measured = 0.5 * np.log(both["v_1"] / both["v_2"])
    predicted = np.log(both["gamma_1"] / both["gamma_2"])
    after = both[["after_1", "after_2"]].where(lambda v: v > FLOOR)
    found = both[["layer", "depth", "channel"]].assign(
        measured=measured, predicted=predicted, rest=measured - predicted
    )
    return found.assign(recalibrated=0.5 * np.log(after["after_1"] / after["after_2"])).reset_index(drop=True)


def _of(result: Result, network: RepairSpec) -> pd.DataFrame | None:
    """layer, channel, v (before recalibration), gamma, after (v after it) of a network; None where not stored."""
    if network == NO_REPAIR or not network.order:
        own = result.channels[["layer", "channel"]].assign(v=result.channels["v_pruned"], gamma=1.0)
        rows = rows_of(result.repairs, network)
        after = rows.get("v_recalibrated")
        if after is None or rows.empty:
            return own.assign(after=np.nan)
        return own.merge(rows[["layer", "channel"]].assign(after=after), on=["layer", "channel"], how="left")
    rows = rows_of(result.repairs, network)
    if rows.empty or rows["v_repaired"].isna().all():
        return None
    gamma = rows["gamma"].fillna(1.0) if network.scales else np.nan  # a layer that is left alone has no factors
    after = rows.get("v_recalibrated", np.nan)
    return rows[["layer", "channel"]].assign(v=rows["v_repaired"], gamma=gamma, after=after)


def layers(table: pd.DataFrame) -> pd.DataFrame:
    """Per layer of `channels`, in order: layer, depth, channels, and `parts` of its channels; worst (the channel that
    differs most) and worst_measured."""
    rows = []
    for (layer, depth), group in table.groupby(["layer", "depth"], sort=False, observed=True):
        worst = group.loc[group["measured"].abs().idxmax()]
        found = {"layer": layer, "depth": depth, "channels": len(group)} | parts(group)
        rows.append(found | {"worst": int(worst["channel"]), "worst_measured": worst["measured"]})
    return pd.DataFrame(rows).sort_values("depth").reset_index(drop=True)


def parts(table: pd.DataFrame) -> dict[str, float]:
    """Root mean squares of d, p, d - p and of d after recalibration (measured, predicted, rest, recalibrated), and the
    shares granularity and compounding of the squares of d: NaN where nothing differs or nothing is predicted."""
    found = {name: _rms(table[name]) for name in ("measured", "predicted", "rest", "recalibrated")}
    told = table[table["predicted"].notna()]
    whole = float((told["measured"] ** 2).sum())
    share = float((told["predicted"] * told["measured"]).sum()) / whole if whole > len(told) * SAME**2 else np.nan
    return found | {"granularity": share, "compounding": 1 - share}


def _rms(values: pd.Series) -> float:
    known = values.dropna()
    return float(np.sqrt((known**2).mean())) if len(known) else float("nan")
