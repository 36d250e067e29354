"""What more pruning does to the layer-wise factor: collapsed channels and the largest factor over sparsity."""

import pandas as pd
import plotly.graph_objects as go

from asr_core.figures import Chart, NothingToDraw, style
from asr_core.figures.colours import METHODS
from asr_core.report.sentences import ideas
from asr_core.store.results import Result
from asr_core.studies import lessonnumbers

COLUMNS = ("sparsity", "collapsed", "gamma_lw")


def runaway_table(result: Result, rows=()) -> pd.DataFrame:
    """sparsity, collapsed (mean share of channels), gamma_lw (the largest); `rows` of them, else of `result` alone."""
    table = pd.DataFrame(list(rows), columns=COLUMNS) if rows else lessonnumbers.runaway([result])
    if table["gamma_lw"].isna().all():
        raise NothingToDraw("No layer-wise factor is stored for this setting yet; compute it.")
    return table


def runaway_figure(table: pd.DataFrame) -> go.Figure:
    """The largest factor over sparsity on a logarithmic axis, the share of collapsed channels beside each mark."""
    figure = go.Figure()
    colour, symbol = METHODS["lw_bn"]
    figure.add_scatter(
        x=100 * table["sparsity"],
        y=table["gamma_lw"],
        mode="lines+markers+text",
        line={"color": colour},
        marker={"symbol": symbol, "size": 11},
        text=[f"{share:.0%}" for share in table["collapsed"]],
        textposition="top left",
        hovertemplate="sparsity %{x:.4g} %<br>largest factor %{y:.3g}<br>collapsed %{text}<extra></extra>",
        showlegend=False,
    )
    low, high = min(1.0, table["gamma_lw"].min()), 2.5 * table["gamma_lw"].max()
    ends = 100 * table["sparsity"].min() - 4, 100 * table["sparsity"].max() + 2
    figure.update_xaxes(range=ends)
    figure.update_yaxes(style.log_axis(low, high))
    return style.finish(
        figure, 400, "sparsity, % (at each mark: share of collapsed channels)", "largest γ_LW of a layer"
    )


RUNAWAY = Chart("runaway.RUNAWAY", runaway_table, runaway_figure, ideas.runaway)
