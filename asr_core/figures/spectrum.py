"""One layer's channels sorted by their dense variance, as in the paper's figure 4."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from asr_core.figures import Chart, cloud, style, variance
from asr_core.measure import diagnostics
from asr_core.report.sentences import damage
from asr_core.spec.repairs import DENSE, NO_REPAIR, RepairSpec
from asr_core.store.tables import rows_of


def sorted_figure(table: pd.DataFrame, low: float = 1e-6, high: float = 1e2) -> go.Figure:
    """The paper's figure 4: channels sorted by dense variance, one line per network."""
    base = rows_of(table, NO_REPAIR)
    order = base.sort_values("v_dense", ascending=False)["channel"]
    rank = pd.Series(np.arange(1, len(order) + 1), index=order.to_numpy())
    figure = go.Figure()
    dense = base.assign(**DENSE.columns, label="dense", v=base["v_dense"], diverged=False)
    dense = dense.assign(dead=base["v_dense"] <= diagnostics.FLOOR)
    for network, rows in [(DENSE, dense), *style.each(table)]:
        rows = rows.assign(rank=rank.loc[rows["channel"]].to_numpy()).sort_values("rank")
        _channels(figure, network, rows, variance.placed(rows, low, high), variance.size_of(table, 5))
    figure.update_xaxes(range=[1 - 0.02 * len(order), 1.02 * len(order)])
    figure.update_yaxes(style.log_axis(low, high))
    x, y = "channels, sorted by dense variance", "variance (activation units²)"
    return cloud.condensed(style.finish(figure, 520, x, y, style.legend(table)[1]))


def _channels(figure: go.Figure, network: RepairSpec, rows: pd.DataFrame, y: pd.Series, size: float) -> None:
    """One network's channels by rank; dense as a line."""
    colour, symbol = style.look_of(network)
    line, name = network == DENSE, rows["label"].iloc[0]
    figure.add_scatter(
        x=rows["rank"].to_numpy("int32"),
        y=style.numbers(y),
        name=name,
        mode="lines" if line else "markers",
        line={"color": colour, "width": 2.5} if line else None,
        marker=None if line else {"color": colour, "symbol": symbol, "size": size},
        customdata=rows[["channel"]].to_numpy("int32"),
        hovertemplate=f"channel %{{customdata[0]}}, rank %{{x}}<br>{name} %{{y:.3g}}<extra></extra>",
    )


def sorted_limits(tables) -> dict:
    """One variance axis for all figures."""
    return {name: value for name, value in variance.scatter_limits(tables).items() if name in ("low", "high")}


SORTED = Chart("spectrum.SORTED", variance.points_table, sorted_figure, damage.spectrum, sorted_limits)
