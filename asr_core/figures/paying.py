"""Which images pay: what pruning loses, what each repair regains, alone or not, and what it newly breaks."""

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from asr_core.figures import TESTED, Chart, NothingToDraw, style
from asr_core.report.sentences import images
from asr_core.spec import labels
from asr_core.spec.recalibration import REPORTED_STATE, BatchNormState
from asr_core.spec.repairs import DENSE, NO_REPAIR, RepairSpec
from asr_core.store.answers import Answers
from asr_core.store.results import Result
from asr_core.store.tables import with_network
from asr_core.studies import answered, paying

ABSENT = (
    "Not stored: which images are right is not kept for the dense network, the pruned one and a chosen repair in this "
    "state."
)
# Column -> (what the bar is, colour): right of 0 is gained, left of 0 is lost.
BARS = {
    "alone": ("regained by it alone", "#009E73", 1),
    "shared": ("regained, by others too", "#7FCEB9", 1),
    "found": ("newly right: wrong when dense and pruned", "#56B4E9", 1),
    "broken": ("newly wrong: right when dense and pruned", "#D55E00", -1),
    "dropped": ("wrong again: right in the pruned network alone", "#E69F00", -1),
}


def said(result: Result, repairs, state: BatchNormState) -> dict[RepairSpec, Answers]:
    """What dense, no repair and each stored one of `repairs` say, in the order of legends; raises NothingToDraw."""
    rows = answered.rows(result.accuracy, repairs, state)
    found = {} if rows.empty else answered.by_network(result, style.ordered(rows))
    there = {network: one for network, one in found.items() if one is not None}
    if not {DENSE, NO_REPAIR} <= there.keys() or len(there) < 3:
        raise NothingToDraw(ABSENT)
    return there


def table(result: Result, repairs=(), state: BatchNormState = REPORTED_STATE) -> pd.DataFrame:
    """paying.counts, with COLUMNS and label in place of repair, `shared` (regained, by others too), b, recalibration,
    and `absent`, labels of chosen repairs that are not stored."""
    there = said(result, repairs, state)
    counts = paying.counts({network: one.correct for network, one in there.items()})
    parts = [with_network(rows.drop(columns="repair"), repair) for repair, rows in counts.groupby("repair", sort=False)]
    found = style.labelled(pd.concat(parts, ignore_index=True))
    absent = ", ".join(labels.label(repair) for repair in style.in_order(repairs) if repair not in there)
    told = {**result.budget(state), "absent": absent}
    return found.assign(shared=found["regained"] - found["alone"], **told)


def figure(found: pd.DataFrame, reach: float | None = None) -> go.Figure:
    """A line per repair: images gained to the right of 0, lost to the left."""
    made = go.Figure()
    for name, (words, colour, sign) in BARS.items():
        made.add_bar(
            x=sign * found[name],
            y=found["label"],
            customdata=found[name],
            orientation="h",
            name=words,
            marker_color=colour,
            hovertemplate=f"%{{y}}<br>{words}: %{{customdata:,}} images<extra></extra>",
        )
    net = [f"  net {n:+,}" for n in found["net"]]
    ends = found[["alone", "shared", "found"]].sum(axis=1)
    look = {"mode": "text", "text": net, "textposition": "middle right", "showlegend": False, "hoverinfo": "skip"}
    made.add_scatter(x=ends, y=found["label"], cliponaxis=False, **look)
    made.add_vline(0, line={"color": style.REFERENCE, "width": 1.5})
    made.update_yaxes(autorange="reversed", type="category")
    made.update_xaxes(range=[-reach, reach] if reach else None)
    x = "test images, against the pruned network: lost | gained"
    shared = style.joined(style.legend(found)[1], style.budget(found))
    return style.finish(made, 170 + 44 * len(found), x, "", shared, barmode="relative")


def limits(tables) -> dict:
    """As far to the left as to the right, with room for the net."""
    rows = pd.concat(tables)
    ends = [rows[[n for n, bar in BARS.items() if bar[2] == sign]].sum(axis=1).max() for sign in (1, -1)]
    return {"reach": round(1.2 * max(1.0, *map(float, ends)), 1)}


PAYING = Chart("paying.PAYING", table, figure, images.paying, limits, counts=TESTED)


def pairs(result: Result, repairs: Any, state: BatchNormState) -> pd.DataFrame:
    """paying.pairs with first_label and second_label in place of first and second."""
    right = {network: one.correct for network, one in said(result, repairs, state).items()}
    found = paying.pairs(right)
    names, _ = labels.labels({*found["first"], *found["second"]})
    columns = {f"{side}_label": found[side].map(names) for side in ("first", "second")}
    return found.assign(**columns)[[*columns, *(name for name in found if name not in ("first", "second"))]]
