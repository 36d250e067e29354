"""Does the paper's shrinkage follow the signal? Correlation of each channel beside its shrinkage weight."""

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from asr_core.figures import Chart, NothingToDraw, cloud, style
from asr_core.figures.errors import ABSENT
from asr_core.measure.errorparts import FLOOR
from asr_core.report.sentences import signals
from asr_core.spec.recalibration import NO_STATE
from asr_core.store import Store
from asr_core.store.results import Result
from asr_core.studies import signalled

COLOURS = {"rho": ("#0072B2", "circle"), "shrinkage": ("#D55E00", "x")}


def shrinkage_table(result: Result, store: Store, layer: str, images: str = "calibration") -> pd.DataFrame:
    """Per channel of `layer` in the pruned network: ratio = v_pruned / v_dense, rho, shrinkage = v_pruned / (v_pruned +
    median of the layer's v_pruned), eq. 5 and 6; and `left_out`, channels that are dead in either network."""
    found = signalled.stored(result, store, (), NO_STATE)
    if found is None:
        raise NothingToDraw(ABSENT)
    rows = found[(found["layer"] == layer) & (found["images"] == images)]
    alive = (rows["v"] > FLOOR) & rows["rho"].notna()
    prior = float(rows["v"].median()) if len(rows) else 0.0
    table = rows[alive].assign(ratio=rows["v"] / rows["v_dense"], shrinkage=rows["v"] / (rows["v"] + prior))
    if table.empty:
        raise NothingToDraw(f"{layer} has no channel that is live in both networks, so there is no correlation.")
    table = table.assign(left_out=int((~alive).sum()))
    return table[["layer", "channel", "ratio", "rho", "shrinkage", "left_out"]].reset_index(drop=True)


def shrinkage_figure(table: pd.DataFrame, low: float = 1e-3, high: float = 2.0) -> go.Figure:
    """Correlation and shrinkage against the variance that pruning left."""
    figure, names = go.Figure(), {"rho": "correlation with the dense output", "shrinkage": "shrinkage, eq. 6"}
    for column, name in names.items():
        colour, symbol = COLOURS[column]
        figure.add_scatter(
            x=table["ratio"].to_numpy("float32"),
            y=table[column].to_numpy("float32"),
            mode="markers",
            name=name,
            marker={"size": 8, "opacity": 0.8, "color": colour, "symbol": symbol},
            customdata=table[["channel", "rho", "shrinkage"]].to_numpy("float32"),
            unselected={"marker": {"opacity": 0.8}},
            hovertemplate="channel %{customdata[0]}<br>v_pruned / v_dense %{x:.3g}<br>correlation %{customdata[1]:.3f}"
            "<br>shrinkage %{customdata[2]:.3f}<extra></extra>",
        )
    style.finish(figure, 420, "v_pruned / v_dense", "correlation, shrinkage")
    figure.update_xaxes(**style.log_axis(low, high))
    figure.update_yaxes(range=[min(-0.03, 1.05 * float(table["rho"].min())), 1.03])
    return cloud.condensed(figure)


def shrinkage_limits(tables) -> dict[str, Any]:
    """Equal axes that hold all ratios."""
    ratios = pd.concat([table["ratio"] for table in tables])
    return {"low": float(min(0.5, 0.8 * ratios.min())), "high": float(max(1.5, 1.25 * ratios.max()))}


SHRINKAGE = Chart("shrinkage.SHRINKAGE", shrinkage_table, shrinkage_figure, signals.shrinkage, shrinkage_limits)
