"""One look for all figures: Okabe-Ito colours and marker shapes per method, labels, axes, print template."""

import json
import math
import re
import textwrap

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from asr_core.figures.colours import METHODS, SPARE
from asr_core.report.naming import REFERENCES as REFERENCES
from asr_core.report.naming import beside as beside
from asr_core.report.naming import budget as budget
from asr_core.report.naming import each as each
from asr_core.report.naming import headed as headed
from asr_core.report.naming import in_order as in_order
from asr_core.report.naming import in_table as in_table
from asr_core.report.naming import in_words as in_words
from asr_core.report.naming import labelled as labelled
from asr_core.report.naming import legend as legend
from asr_core.report.naming import ordered as ordered
from asr_core.report.naming import percent as percent
from asr_core.report.naming import titles as titles
from asr_core.spec import labels
from asr_core.spec.repairs import RepairSpec

REFERENCE = "#888888"  # lines such as y = x: readable on white and on black
MAGNITUDE, RATIO = "Cividis", "RdBu_r"
LAYERS = "layers in execution order"  # convs, and between LayerNorms linear layers too: no title says which
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
GRID = "rgba(128,128,128,0.25)"
SUBTITLE, SIGNATURE = 22, 18  # pixels that the line over a figure takes, and the one under it
SMALL, LETTER = 10, 5.2  # pixels of the line under it, and of a letter of it
UNSEEN = {"marker": {"opacity": 0}}
# Plotly's settings for every figure, on the page and in saved HTML: its "Share chart..." uploads to another company.
CONFIG = {
    "displaylogo": False,
    "showSendToCloud": False,
    "plotlyServerURL": "",
    "modeBarButtonsToRemove": ["sendChartToCloud", "select2d", "lasso2d", "autoScale2d"],
}

PRINT = go.layout.Template(
    layout={
        "font": {"family": "DejaVu Sans, Arial, sans-serif", "size": 14, "color": "#111"},
        "paper_bgcolor": "white",
        "plot_bgcolor": "white",
        "xaxis": {"gridcolor": "#ddd", "linecolor": "#111", "ticks": "outside", "zeroline": False, "automargin": True},
        "yaxis": {"gridcolor": "#ddd", "linecolor": "#111", "ticks": "outside", "zeroline": False, "automargin": True},
    }
)


def look_of(network: RepairSpec) -> tuple[str, str]:
    """(colour, marker symbol) of a network's method; open: without mean correction; with a dot: sequential."""
    if network.method not in METHODS:
        later = [name for name in labels.methods() if name not in METHODS]
        colour, shape = SPARE[later.index(network.method) % len(SPARE)] if network.method in later else SPARE[0]
    else:
        colour, shape = METHODS[network.method]
    return colour, shape + "-open" * (network.bias is False) + "-dot" * (network.order == "sequential")


def joined(*parts: str) -> str:
    """The parts of a line over a figure: 'simultaneous, bias off, b = 20'."""
    return ", ".join(part for part in parts if part)


def finish(figure: go.Figure, height: int, x: str, y: str, shared: str = "", top: int = 16, **layout) -> go.Figure:
    """Axis titles, legend and margins that all figures share.

    shared: what all drawn networks have in common, as a line over the figure. top: pixels over the plot.
    """
    above = SUBTITLE if shared else 0
    figure.update_layout(
        height=height + above,
        margin={"l": 10, "r": 16, "t": top + above, "b": 10},
        hovermode="closest",
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.02, "x": 0, "title": None},
        **layout,
    )
    if shared:
        place = {"x": 0, "xref": "paper", "xanchor": "left", "y": 1, "yref": "container", "yanchor": "top"}
        figure.update_layout(title={"text": shared, "font": {"size": 12}, "pad": {"t": 5}, **place})
    # None: for an empty title Plotly keeps a title's room free.
    figure.update_xaxes(title=x or None, automargin=True)
    figure.update_yaxes(title=y or None, automargin=True)
    return figure


def signed(figure: go.Figure, text: str, across: float) -> go.Figure:
    """`figure` with lines under it, at most `across` pixels long, that say what it is of: in every picture of it."""
    lines = textwrap.wrap(text, max(20, int(across / LETTER)))
    room = SIGNATURE + (len(lines) - 1) * 1.3 * SMALL
    below = (figure.layout.margin.b or 0) + room
    figure.update_layout(margin={"b": below}, height=(figure.layout.height or 400) + room)
    look = {"font": {"size": SMALL}, "align": "left", "opacity": 0.82, "showarrow": False, "name": "signature"}
    place = {"xref": "paper", "x": 0, "xanchor": "left", "yref": "paper", "y": 0, "yanchor": "top"}
    shift = {"xshift": 4 - (figure.layout.margin.l or 0), "yshift": room - 4 - below}
    return figure.add_annotation(text="<br>".join(lines), **shift, **look, **place)


def interval(value, low, high, scale: float = 100, **look) -> dict:
    """Plotly's error bars from `low` to `high` around `value` (fractions, drawn times `scale`)."""
    ends = {"array": np.atleast_1d(scale * (high - value)), "arrayminus": np.atleast_1d(scale * (value - low))}
    return {"type": "data", "symmetric": False, "thickness": 1.5, "width": 5, **ends, **look}


def marks(figure: go.Figure, network: RepairSpec, y, value, low, high, form: str = ".1f", **hover) -> None:
    """A network's marks on the lines `y`, the number above: `value` from `low` to `high` (fractions, in percent)."""
    colour, symbol = look_of(network)
    values = 100 * np.atleast_1d(value)
    figure.add_scatter(
        x=values,
        y=y,
        error_x=interval(value, low, high),
        mode="markers+text",
        marker={"color": colour, "symbol": symbol, "size": 12, "line": {"width": 2}},
        text=[f"{one:{form}}" for one in values],
        textposition="top center",
        showlegend=False,
        **hover,
    )


def not_stored(figure: go.Figure, left: float, lines) -> None:
    """On each of these lines of a figure, at its left end, that nothing is stored."""
    figure.add_scatter(
        x=[left] * len(lines),
        y=lines,
        mode="text",
        text=["  not stored"] * len(lines),
        textposition="middle right",
        showlegend=False,
        hoverinfo="skip",
    )


def diagonal(figure: go.Figure, low: float, high: float, name: str = "y = x") -> None:
    """A dashed line y = x from `low` to `high`."""
    line = {"color": REFERENCE, "dash": "dash"}
    figure.add_scatter(x=[low, high], y=[low, high], mode="lines", line=line, name=name, hoverinfo="skip")


def layer_axis(figure: go.Figure, table: pd.DataFrame, pad: float) -> None:
    """Layers (columns layer, depth) across, `pad` beyond the first and the last; at most 40 of them are named."""
    layers = table.drop_duplicates("layer").sort_values("depth")
    shown = layers.iloc[:: -(-len(layers) // 40)]
    reach = [layers["depth"].min() - pad, layers["depth"].max() + pad]
    names = {"tickvals": shown["depth"], "ticktext": shown["layer"], "tickangle": -60}
    figure.update_xaxes(showgrid=False, range=reach, **names)


def faint(colour: str, opacity: float = 0.12) -> str:
    """A colour such as '#0072B2' for a band."""
    return f"rgba({','.join(str(int(colour[i : i + 2], 16)) for i in (1, 3, 5))},{opacity})"


def numbers(values) -> np.ndarray:
    """Numbers for a trace: float32, half as much to send, where it holds them; what is not finite is NaN."""
    found = np.asarray(values, float)
    found = np.where(np.isfinite(found), found, np.nan)
    return found if np.nanmax(np.abs(found), initial=0) > np.finfo(np.float32).max else found.astype(np.float32)


def log_axis(low: float, high: float) -> dict:
    """A logarithmic axis over [low, high], or more so that two powers of ten lie there; ticks at whole powers only."""
    ends = [math.log10(low), math.log10(high)]
    if math.floor(ends[1]) - math.ceil(ends[0]) < 1:
        ends = [math.floor(ends[0]), math.ceil(ends[1])] if ends[0] < ends[1] else [ends[0] - 1, ends[1] + 1]
    decades = ends[1] - ends[0]
    return {
        "type": "log",
        "range": ends,
        "exponentformat": "power",
        "dtick": next((step for step in (1, 2, 5, 10) if decades < 8 * step), 50),
        "gridcolor": GRID,
        "zeroline": False,
    }


def floor_of(low: float, high: float) -> float:
    """Where marks without a place on a logarithmic axis over [low, high] stand: whole, just above its lower end."""
    return low * (high / low) ** 0.02


# Plotly makes links and more of some tags, also in names that others chose. These are the ones that our figures use.
TAGS = re.compile(r"<(?!/?(?:b|br|i|sub|sup|extra)>)")


def inert(content):
    """A figure's content (dict, list, array, text): no text in it but a picture holds tags other than our figures'."""
    if isinstance(content, str):
        return TAGS.sub("&lt;", content)
    if isinstance(content, dict):
        return {name: value if name == "source" else inert(value) for name, value in content.items()}
    if isinstance(content, list | tuple):
        return [inert(value) for value in content]
    if isinstance(content, np.ndarray) and content.dtype.kind in "OU":
        return np.array([inert(value) for value in content.ravel()], object).reshape(content.shape)
    return content


def for_screen(figure: go.Figure) -> str:
    """A figure as JSON for the dashboard, which puts its own look in."""
    text = go.Figure(figure).update_layout(template="none").to_json()
    readable = text
    for mark in "</>":  # Plotly writes them so that they may stand in HTML
        readable = readable.replace(f"\\u{ord(mark):04x}", mark)
    return json.dumps(inert(json.loads(text))) if TAGS.search(readable) else text


def for_print(figure: go.Figure) -> go.Figure:
    """A copy on white for paper and notebooks, 1000 pixels wide."""
    return go.Figure(inert(figure.to_plotly_json())).update_layout(template=PRINT, width=1000)
