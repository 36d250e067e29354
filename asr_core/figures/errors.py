"""Signal or noise: correlation with the dense output by layer, and what the error of each layer consists of."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from asr_core.figures import Chart, NothingToDraw, style
from asr_core.report.sentences import signals
from asr_core.spec.recalibration import REPORTED_STATE, BatchNormState
from asr_core.spec.repairs import COLUMNS, RepairSpec
from asr_core.store import Store
from asr_core.store.results import Result
from asr_core.studies import signalled

PARTS = {  # column -> (what it is, colour)
    "error_mean": ("mean: another level", "#56B4E9"),
    "error_scale": ("scale: another strength", "#E69F00"),
    "error_decorrelation": ("decorrelation: another pattern", "#D55E00"),
}
ABSENT = "Not stored: signal was not measured for this setting and these methods; compute it on this page."


def layers_table(
    result: Result,
    store: Store,
    repairs: Iterable[RepairSpec],
    state: BatchNormState = REPORTED_STATE,
    when: str = "repaired",
    images: str = "calibration",
) -> pd.DataFrame:
    """Per network and layer: COLUMNS, label, layer, depth, `errorparts.by_layer`, `mendable` (of the network), images.

    state: the recalibration of `when` = `recalibrated`; images: `calibration` or `test`.
    """
    table = signalled.layers(result, store, repairs, state, when, images)
    if table is None:
        raise NothingToDraw(ABSENT)
    front = [*COLUMNS, "label", "layer", "depth"]
    table = style.labelled(style.ordered(table, "depth"))
    return table[[*front, *(name for name in table if name not in front)]]


def profile_figure(table: pd.DataFrame) -> go.Figure:
    """Median correlation by layer, one line per network, bars from quartile to quartile."""
    figure = go.Figure()
    for network, rows in style.each(table):
        colour, symbol = style.look_of(network)
        reach = {"array": rows["rho_q75"] - rows["rho"], "arrayminus": rows["rho"] - rows["rho_q25"]}
        figure.add_scatter(
            x=rows["depth"],
            y=rows["rho"],
            mode="lines+markers",
            name=rows["label"].iloc[0],
            line={"color": colour, "width": 2},
            marker={"symbol": symbol, "size": 8, "line": {"width": 1.5}},
            error_y={"type": "data", "symmetric": False, "thickness": 1, "width": 0, **reach},
            customdata=rows[["layer", "rho_q25", "rho_q75", "error"]].to_numpy(),
            hovertemplate="%{fullData.name}<br><b>%{customdata[0]}</b><br>correlation %{y:.3f} [quartiles "
            "%{customdata[1]:.3f}, %{customdata[2]:.3f}]<br>squared error %{customdata[3]:.3g} of the dense variance"
            "<extra></extra>",
        )
    style.finish(figure, 420, style.LAYERS, "correlation with the dense output", _shared(table))
    style.layer_axis(figure, table, 0.5)
    low = min(0.0, float(np.nanmin([table["rho_q25"].min(), 0.0])))
    figure.update_yaxes(range=[low - 0.02, 1.02])
    return figure


def _shared(table: pd.DataFrame) -> str:
    return style.joined(style.legend(table)[1], f"{table['images'].iloc[0]} images")


def parts_figure(table: pd.DataFrame, high: float = 1.0, bars: str = "shares") -> go.Figure:
    """Stacked bars per layer: the three parts of the squared error, a group of bars per network.

    bars: `shares` of each layer's error, or `sizes` on an axis up to `high`, of which one layer may hide all others.
    """
    figure, drawn, shares = go.Figure(), list(style.each(table)), bars == "shares"
    width = 0.84 / len(drawn)
    for place, (_, rows) in enumerate(drawn):
        base = np.zeros(len(rows))
        unit = rows["error"].where(rows["error"] > 0) if shares else 1.0
        for part, (name, colour) in PARTS.items():
            figure.add_bar(
                x=rows["depth"] + (place - (len(drawn) - 1) / 2) * width,
                y=rows[part] / unit,
                base=base.copy(),
                width=0.92 * width,
                name=name,
                legendgroup=part,
                showlegend=place == 0,
                marker_color=colour,
                customdata=rows[["layer", "label", "error", "unmendable", part]].to_numpy(),
                hovertemplate=f"<b>%{{customdata[0]}}</b><br>%{{customdata[1]}}<br>{name}: %{{customdata[4]:.3g}}"
                f"{' (%{y:.0%})' if shares else ''}<br>whole error "
                "%{customdata[2]:.3g}; the best factor and bias would leave %{customdata[3]:.3g}<extra></extra>",
                unselected=style.UNSEEN | {"marker": {"opacity": 1}},
            )
            base += (rows[part] / unit).fillna(0).to_numpy()
    y = "share of the layer's<br>squared error" if shares else "squared error /<br>dense variance"
    order = ", ".join(rows["label"].iloc[0] for _, rows in drawn)
    style.finish(figure, 420, style.LAYERS, y, style.joined(_shared(table), f"bars: {order}"))
    style.layer_axis(figure, table, 0.6)
    figure.update_yaxes(range=[0, 1 if shares else high], gridcolor=style.GRID, tickformat=".0%" if shares else "")
    return figure.update_layout(barmode="overlay")


def parts_limits(tables) -> dict:
    """Up to the tallest bar."""
    top = max((float(table["error"].max()) for table in tables), default=1.0)
    return {"high": round(1.05 * top, 4) if np.isfinite(top) and top > 0 else 1.0}


PROFILE = Chart("errors.PROFILE", layers_table, profile_figure, signals.profile)
BARS = Chart("errors.BARS", layers_table, parts_figure, signals.parts, parts_limits)
