"""One look for all figures: Okabe-Ito colours and marker shapes per method, labels, axes, print template."""

import json
import math
import re
from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from asr_core.spec import labels
from asr_core.spec.repairs import ORDERS, RepairSpec
from asr_core.store.tables import networks

# Okabe and Ito's palette, told apart by colour-blind readers; the shape repeats what the colour says.
METHODS = {
    "dense": ("#7F7F7F", "star"),
    "no_repair": ("#8C8C8C", "x"),
    "bn_only": ("#E69F00", "square"),
    "lw_bn": ("#0072B2", "triangle-up"),
    "raw_bn": ("#CC79A7", "diamond"),
    "asr_bn": ("#009E73", "circle"),
}
SPARE = (("#D55E00", "cross"), ("#56B4E9", "pentagon"), ("#F0E442", "hexagon"))  # for methods added later
REFERENCES = ("dense", "no_repair")  # networks that no repair made
REFERENCE = "#888888"  # lines such as y = x: readable on white and on black
MAGNITUDE, RATIO = "Cividis", "RdBu_r"
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
GRID = "rgba(128,128,128,0.25)"
SUBTITLE = 22  # pixels that the line over a figure takes
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


def in_order(found: Iterable[RepairSpec]) -> list[RepairSpec]:
    """Networks as rows and legends have them: dense, no repair, then by method (`labels.methods`), order, bias."""
    known = [*REFERENCES, *labels.methods()]
    return sorted(dict.fromkeys(found), key=lambda network: (known.index(network.method), *_variant(network)))


def _variant(network: RepairSpec) -> tuple:
    order = ORDERS.index(network.order) if network.order else -1
    return order, bool(network.bias), network.columns["params"]


def in_table(table: pd.DataFrame) -> list[RepairSpec]:
    """The networks of a table, as `in_order`."""
    return in_order(networks(table).unique())


def each(table: pd.DataFrame) -> Iterator[tuple[RepairSpec, pd.DataFrame]]:
    """(network, its rows) for each network of a table, as `in_order`."""
    rows = dict(iter(table.groupby(networks(table), sort=False, observed=True)))
    for network in in_order(rows):
        yield network, rows[network]


def ordered(table: pd.DataFrame, *more: str) -> pd.DataFrame:
    """Rows network by network, as `in_order`, then by the columns `more`."""
    found = networks(table)
    place = {network: number for number, network in enumerate(in_order(found.unique()))}
    rows = table.assign(place=found.map(place).astype(int)).sort_values(["place", *more], kind="stable")
    return rows.drop(columns="place").reset_index(drop=True)


def legend(table: pd.DataFrame) -> tuple[dict[RepairSpec, str], str]:
    """(legend text of each network of a table, what all its repairs share): see `spec.labels.labels`."""
    return labels.labels(in_table(table))


def labelled(table: pd.DataFrame) -> pd.DataFrame:
    """`table` with the column `label`: the network of each row, as a legend names it."""
    names, _ = legend(table)
    return table.assign(label=networks(table).map(names).astype(object))


def in_words(found: Iterable[RepairSpec]) -> tuple[dict[RepairSpec, str], str]:
    """(short name of each network, ' (what all of them share)' or ''): for sentences."""
    names, shared = labels.labels(found)
    return names, f" ({shared})" if shared else ""


def titles(found: Iterable[RepairSpec]) -> tuple[list[str], str]:
    """(names on several lines, what all repairs share): of columns or rows of pictures, in the order given."""
    found = list(found)
    names, shared = labels.labels(found)
    return ["pruned" if n.method == "no_repair" else names[n].replace(" · ", "<br>") for n in found], shared


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


def interval(value, low, high, scale: float = 100, **look) -> dict:
    """Plotly's error bars from `low` to `high` around `value` (fractions, drawn times `scale`)."""
    ends = {"array": np.atleast_1d(scale * (high - value)), "arrayminus": np.atleast_1d(scale * (value - low))}
    return {"type": "data", "symmetric": False, "thickness": 1.5, "width": 5, **ends, **look}


def diagonal(figure: go.Figure, low: float, high: float, name: str = "y = x") -> None:
    """A dashed line y = x from `low` to `high`."""
    line = {"color": REFERENCE, "dash": "dash"}
    figure.add_scatter(x=[low, high], y=[low, high], mode="lines", line=line, name=name, hoverinfo="skip")


def percent(sparsity: float) -> str:
    """'95.5 %'."""
    return f"{100 * sparsity:.4g} %"


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
    """A logarithmic axis over [low, high]: ticks at powers of ten, on a short one at twice and five times these too."""
    decades = math.log10(high) - math.log10(low)
    step = "D2" if decades < 2 else next((step for step in (1, 2, 5, 10) if decades < 8 * step), 50)
    return {
        "type": "log",
        "range": [math.log10(low), math.log10(high)],
        "exponentformat": "power",
        "dtick": step,
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
