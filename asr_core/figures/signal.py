"""What BatchNorm still lets through of each method's factors, by layer: predicted from the identity."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from asr_core.figures import Chart, NothingToDraw, style
from asr_core.report.sentences import absorbed
from asr_core.spec.recalibration import REPORTED_STATE, BatchNormState
from asr_core.spec.repairs import COLUMNS
from asr_core.store.results import Result
from asr_core.store.tables import typed
from asr_core.studies import leftover


def signal_table(result: Result, repairs=(), state: BatchNormState = REPORTED_STATE) -> pd.DataFrame:
    """Per repair and absorbed conv: COLUMNS, label, layer, depth, b; medians over channels of the predicted signal
    (leftover.recalibrated) and of |offset|, and the signal's quartiles."""
    if not result.batchnorm:
        raise NothingToDraw(absorbed.NEVER_UNDONE)
    if state.calib_batches == 0:
        raise NothingToDraw("Without recalibration (b = 0) BatchNorm absorbs nothing; choose a budget.")
    rows = leftover.recalibrated(leftover.factors(result, repairs), state)
    if rows.empty:
        raise NothingToDraw(
            "No conv of this network is absorbed by BatchNorm, or none of the chosen methods is stored."
        )
    by = [*COLUMNS, "layer"]
    grouped = rows.assign(offset=rows["offset"].abs()).groupby(by, sort=False, dropna=False, observed=True)
    quartiles = {f"q{round(100 * q)}": grouped["signal"].quantile(q) for q in (0.25, 0.75)}
    table = typed(grouped[["signal", "offset"]].median().assign(**quartiles).reset_index())
    table = table.astype({"layer": object}).merge(result.convs[["layer", "depth"]], on="layer")
    return style.labelled(style.ordered(table, "depth")).assign(b=state.calib_batches)


def signal_figure(table: pd.DataFrame, high: float = 1.5) -> go.Figure:
    """Predicted signal by layer, one line per method; 1 where nothing of the start is left."""
    figure = go.Figure()
    for network, rows in style.each(table):
        colour, symbol = style.look_of(network)
        figure.add_scatter(
            x=rows["depth"],
            y=rows["signal"],
            mode="lines+markers",
            name=rows["label"].iloc[0],
            line={"color": colour, "width": 1.5},
            marker={"symbol": symbol, "size": 8, "line": {"width": 1.5}},
            customdata=rows[["layer", "q25", "q75", "offset"]].to_numpy(),
            hovertemplate="%{fullData.name}<br><b>%{customdata[0]}</b><br>"
            "signal %{y:.3f} [quartiles %{customdata[1]:.3f}, %{customdata[2]:.3f}]<br>"
            "|offset| %{customdata[3]:.3f}<extra></extra>",
        )
    figure.add_hline(1, line={"color": style.REFERENCE, "dash": "dot", "width": 1.5})
    layers = table.drop_duplicates("layer").sort_values("depth")
    ticks = layers.iloc[:: -(-len(layers) // 30)]
    y = "predicted signal after BatchNorm<br>(1: fully re-estimated)"
    shared = style.joined(style.legend(table)[1], f"b = {table['b'].iloc[0]}")
    style.finish(figure, 460, style.LAYERS, y, shared)
    figure.update_xaxes(tickvals=ticks["depth"], ticktext=ticks["layer"], tickangle=-50, showgrid=False)
    figure.update_yaxes(range=[0, high])
    return figure


def signal_limits(tables) -> dict:
    """Equal axes from 0 that hold all medians and 1."""
    values = pd.concat(tables)["signal"]
    return {"high": round(1.08 * float(max([1.0, *values[np.isfinite(values)]])), 3)}


SIGNAL = Chart("signal.SIGNAL", signal_table, signal_figure, absorbed.leftover, signal_limits)
