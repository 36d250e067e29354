"""What a repair is worth where nothing absorbs it: without recalibration, or without BatchNorm, against no repair."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from asr_core.figures import TESTED, Chart, NothingToDraw, style
from asr_core.report.sentences import absorbed
from asr_core.spec.recalibration import NO_STATE
from asr_core.spec.repairs import DENSE, NO_REPAIR
from asr_core.store import results
from asr_core.store.results import Result
from asr_core.store.tables import rows_of
from asr_core.studies import answered, paired


def table(result: Result, repairs=()) -> pd.DataFrame:
    """One row per stored repair of `repairs` that changes weights, before recalibration: COLUMNS, label, top1, n_eval,
    paired.COMPARED (it minus no repair, fractions), no_repair and dense (their top1; NaN: not stored), b,
    recalibration."""
    asked = [repair for repair in repairs if repair.order]
    every = answered.rows(result.accuracy, asked, NO_STATE)
    plain = rows_of(every, NO_REPAIR) if len(every) else every
    found = style.ordered(rows_of(every, *asked).dropna(subset="top1")) if len(plain) else plain
    if found.empty:
        raise NothingToDraw("No repair that changes weights is stored without recalibration, beside no repair.")
    others = pd.concat([plain] * len(found), ignore_index=True)
    told = paired.against(found, others, results.right_of([result], found), results.right_of([result], others))
    dense = rows_of(every, DENSE)["top1"]
    levels = {"no_repair": float(plain["top1"].iloc[0]), "dense": float(dense.iloc[0]) if len(dense) else np.nan}
    kept = told.drop(columns=[name for name in ("key", "stored_row") if name in told])
    return style.labelled(kept).assign(**levels, **result.budget(NO_STATE))


def figure(found: pd.DataFrame, low: float | None = None, high: float | None = None) -> go.Figure:
    """A mark with its 95 % interval per repair: points gained over no repair, which is 0; a line where dense is."""
    made = go.Figure()
    for network, rows in style.each(found):
        told = "%{y}<br>%{x:+.2f} points against no repair<extra></extra>"
        gain, least, most = rows["gain"], rows["gain_low"], rows["gain_high"]
        style.marks(made, network, rows["label"], gain, least, most, form="+.1f", hovertemplate=told)
    dense = 100 * (found["dense"] - found["no_repair"]).iloc[0]
    for x, dash in ((0.0, "dash"), (dense, "longdash")):
        if np.isfinite(x):
            made.add_vline(x, line={"color": style.REFERENCE, "dash": dash, "width": 1.5})
    made.update_xaxes(range=None if low is None or high is None else [100 * low, 100 * high])
    made.update_yaxes(range=[len(found) - 0.4, -0.6], type="category")
    x = "points of top-1 against no repair (dashes: 0, and the dense network)"
    return style.finish(made, 90 + 42 * len(found), x, "", style.joined(style.legend(found)[1], style.budget(found)))


def limits(tables) -> dict:
    """One axis for all, with 0 and the dense network on it."""
    ends = [(t["gain"].min(), max(t["gain"].max(), (t["dense"] - t["no_repair"]).max())) for t in tables]
    low, high = min(0.0, *(end[0] for end in ends)), max(0.0, *(end[1] for end in ends))
    pad = 0.08 * max(high - low, 0.02)
    return {"low": round(low - pad, 3), "high": round(high + pad, 3)}


UNABSORBED = Chart("unabsorbed.UNABSORBED", table, figure, absorbed.unabsorbed, limits, counts=TESTED)
