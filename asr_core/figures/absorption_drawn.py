"""The two figures of `absorption`: distances to BN only by budget, and predicted against measured ones."""

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from asr_core.figures import style
from asr_core.spec.repairs import RepairSpec
from asr_core.store.tables import networks

WAYS = {"cumulative": "cumulative", "reset": "ema from reset", "keep": "ema from keep"}
FLOOR = 1e-5  # lowest value drawn on a logarithmic axis
TITLES = {
    "logit_gap": "measured: largest<br>logit difference",
    "top1_gap": "measured: top-1 minus<br>BN only, points",
}
SYMBOLS = {"cumulative": "circle", "reset": "triangle-up", "keep": "square"}
HOVER = (
    "%{fullData.name}<br>b = %{x}, a = %{customdata[0]:.3f}<br>largest logit difference %{customdata[1]:.3g}"
    "<br>top-1 minus BN only %{customdata[2]:+.1%}"
    "<br>predicted channel error %{customdata[3]:.3g} σ<extra></extra>"
)


def gap_figure(
    table: pd.DataFrame,
    show: str = "logit_gap",
    low: float = FLOOR,
    high: float = 10.0,
    bottom: float = FLOOR,
    top: float = 1.0,
    points: float = 0.1,
) -> go.Figure:
    """Measured distance to BN only above, predicted channel error below; one column per way of recalibration."""
    ways = [way for way in WAYS if (table["way"] == way).any()]
    titles, gaps = [WAYS[way] for way in ways], {"vertical_spacing": 0.07, "horizontal_spacing": 0.03}
    figure = make_subplots(2, len(ways), shared_xaxes=True, shared_yaxes=True, column_titles=titles, **gaps)
    traces: list[Any] = []
    rows_of: list[int] = []
    columns: list[int] = []
    for column, way in enumerate(ways, start=1):
        for network, rows in style.each(table[table["way"] == way]):
            traces += _gap_lines(network, rows, show, low, bottom, legend=way == ways[0])
            rows_of, columns = [*rows_of, 1, 2], [*columns, column, column]
    figure.add_traces(traces, rows=rows_of, cols=columns)
    style.finish(figure, 560, "", "", style.legend(table)[1], top=70)
    figure.update_layout(legend={"y": 1.07})
    figure.update_xaxes(title="budget b, batches", row=2, tickvals=sorted(set(table["b"]) - {0}))
    figure.update_yaxes(**style.log_axis(low, high), title=None, row=1)
    figure.update_yaxes(**style.log_axis(bottom, top), title=None, row=2)
    if show == "top1_gap":
        zero = {"zeroline": True, "zerolinecolor": style.REFERENCE, "range": [-100 * points, 100 * points]}
        figure.update_yaxes(type="linear", dtick=None, exponentformat=None, **zero, row=1)
    figure.update_yaxes(title=TITLES[show], row=1, col=1)
    figure.update_yaxes(title="predicted: channel<br>error, σ units", row=2, col=1)
    return figure


def _gap_lines(
    network: RepairSpec, rows: pd.DataFrame, show: str, low: float, bottom: float, legend: bool
) -> list[go.Scatter]:
    """The measured and the predicted line of one repair in one way of recalibration."""
    colour, symbol = style.look_of(network)
    measured = 100 * rows["top1_gap"] if show == "top1_gap" else rows["logit_gap"].clip(lower=low)
    name = rows["label"].iloc[0]
    shared = {
        "x": rows["b"],
        "line": {"color": colour, "width": 2},
        "customdata": rows[["a", "logit_gap", "top1_gap", "predicted"]].to_numpy(float),
        "legendgroup": name,
        "name": name,
        "hovertemplate": HOVER,
        "mode": "lines+markers",
    }
    mark, small = {"symbol": symbol, "size": 9, "line": {"width": 1.5}}, {"symbol": symbol, "size": 6}
    return [
        go.Scatter(y=measured, marker=mark, showlegend=legend, **shared),
        go.Scatter(y=rows["predicted"].clip(lower=bottom), marker=small, showlegend=False, **shared),
    ]


def gap_limits(tables) -> dict:
    """Equal axes, whole powers of ten."""
    rows = pd.concat(tables)
    rows = rows[rows["way"].notna()]
    (low, high), (bottom, top) = _decades(rows["logit_gap"]), _decades(rows["predicted"])
    points = rows["top1_gap"].abs().max()
    reach = round(float(points) * 1.1 + 0.01, 3) if points == points else 0.1
    return {"low": low, "high": high, "bottom": bottom, "top": top, "points": reach}


def _decades(values: pd.Series) -> tuple[float, float]:
    """Whole powers of ten around the positive finite values, at least FLOOR."""
    values = values[np.isfinite(values) & (values > FLOOR)]
    if values.empty:
        return FLOOR, 1.0
    low, high = np.floor(np.log10(values.min())), np.ceil(np.log10(values.max()) + 1e-9)
    return float(10.0**low), float(10.0**high)


def agreement_figure(
    table: pd.DataFrame, low: float = FLOOR, high: float = 10.0, left: float = FLOOR, right: float = 1.0
) -> go.Figure:
    """Measured logit difference against predicted channel error, log-log; colour: method, shape: recalibration."""
    figure = go.Figure()
    for way, rows in table.groupby("way", sort=False):
        colours = [style.look_of(network)[0] for network in networks(rows)]
        marker = {"symbol": SYMBOLS[way], "size": 10, "color": colours, "line": {"width": 1, "color": style.REFERENCE}}
        figure.add_scatter(
            x=rows["predicted"],
            y=rows["logit_gap"],
            mode="markers",
            marker=marker,
            name=WAYS[way],
            customdata=rows[["label", "b", "a"]].to_numpy(),
            hovertemplate=f"%{{customdata[0]}}<br>{WAYS[way]}, b = %{{customdata[1]}}, a = %{{customdata[2]:.3f}}<br>"
            "predicted %{x:.3g} σ, measured %{y:.3g}<extra></extra>",
        )
    x, y = "predicted channel error, σ units", "measured largest logit difference"
    style.finish(figure, 400, x, y, style.legend(table)[1])
    figure.update_xaxes(**style.log_axis(left, right))
    figure.update_yaxes(**style.log_axis(low, high))
    return figure


def agreement_limits(tables) -> dict:
    """Equal axes, whole powers of ten."""
    rows = pd.concat(tables)
    (low, high), (left, right) = _decades(rows["logit_gap"]), _decades(rows["predicted"])
    return {"low": low, "high": high, "left": left, "right": right}
