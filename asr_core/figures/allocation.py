"""Where each pruning rule leaves the weights: densities of all layers at one sparsity."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from asr_core.figures import Chart, NothingToDraw, style
from asr_core.figures.colours import SPARE
from asr_core.report.sentences import rules
from asr_core.store import Store
from asr_core.store.results import Result
from asr_core.studies import transition
from asr_core.studies.densities import densities

RULES = {
    "global_l1": "#005AFF",
    "uniform": "#E57500",
    "erk": "#8C5446",
    "lamp": "#00AA4F",
    "rr": "#A347B2",
    "n_m": "#408CFF",
}
PATTERNS = {"first": ".", "projection": "/", "1x1": "x", "other": ""}  # hatching says what colour cannot
HATCH = {"fillmode": "overlay", "fgcolor": "#fff", "size": 6}
KINDS = {
    "first": "first conv",
    "projection": "1x1 projection on a shortcut",
    "1x1": "other 1x1 conv, or linear",
    "other": "other conv",
}
GAP = 0.42  # between two rows of bars, in heights of one
LOWEST = 1e-6  # density at which the axis ends at the latest
HOVER = (
    "<b>%{customdata[0]}</b> (%{customdata[6]})<br>%{customdata[1]}: %{customdata[2]:.3%} kept<br>"
    "%{customdata[3]:,} of %{customdata[4]:,} weights, %{customdata[5]:.1%} of all kept<extra></extra>"
)


def bars_table(result: Result, store: Store, groups) -> pd.DataFrame:
    """densities of every stored rule at the sparsity of `result`, and sparsity, whole (density of all
    convs).

    groups: transition.groups.
    """
    convs = transition.read(store, tuple(map(tuple, groups)))[1]
    sparsity = result.setting["sparsity_asked"]
    table = densities(convs, sparsity)
    if table.empty:
        raise NothingToDraw("No finished result is stored at this sparsity yet, so there are no densities to compare.")
    by = table.groupby("rule", sort=False)
    whole = by["kept"].transform("sum") / by["weights"].transform("sum")
    return table.assign(sparsity=sparsity, whole=whole)


def bars_figure(table: pd.DataFrame, low: float = 1e-3) -> go.Figure:
    """Rows of bars over the layers in execution order; in each row the density from `low` to 1, logarithmic.

    All rows share one pair of axes, so that every bar can be clicked.
    """
    figure, rules = go.Figure(), list(dict.fromkeys(table["rule"]))
    bottoms = {rule: -number * (1 + GAP) for number, rule in enumerate(rules)}
    for rule, rows in table.groupby("rule", sort=False):
        _bars(figure, rows, bottoms[rule], low)
    for kind in [kind for kind in ("first", "projection", "1x1") if (table["kind"] == kind).any()]:
        marker = {"color": style.REFERENCE, "pattern": HATCH | {"shape": PATTERNS[kind]}}
        figure.add_bar(x=[None], y=[None], name=KINDS[kind], marker=marker)
    x, y = style.LAYERS, "share of weights kept"
    style.finish(figure, 250 + 95 * len(rules), x, y, barmode="overlay", bargap=0.15)
    figure.update_layout(showlegend=len(figure.data) > len(rules))
    style.layer_axis(figure, table, 0.7)
    figure.update_yaxes(**_density_ticks(bottoms.values(), low), zeroline=False, gridcolor=style.GRID)
    return figure


def _density_ticks(bottoms, low: float) -> dict:
    """Ticks at powers of ten in every row of bars."""
    decades = range(0, round(np.log10(low)) - 1, -1)
    ticks = [
        (bottom + _height(10.0**decade, low), f"{100 * 10.0**decade:g} %") for bottom in bottoms for decade in decades
    ]
    values, texts = zip(*ticks, strict=True)
    return {"tickvals": values, "ticktext": texts, "range": [min(bottoms) - 0.05, 1 + GAP]}


def _height(density, low: float):
    """Place of a density between `low` (0) and 1 (1), logarithmic."""
    return 1 - np.log10(np.maximum(density, low)) / np.log10(low)


def _bars(figure: go.Figure, rows: pd.DataFrame, bottom: float, low: float) -> None:
    """One rule: its name, its bars, a cross where no weight is left, a dotted line at its overall density."""
    colour = RULES.get(rows["pruning"].iloc[0], SPARE[0][0])
    names = ["layer", "rule", "density", "kept", "weights", "share"]
    told = rows[names].assign(kind=rows["kind"].map(KINDS)).to_numpy()
    figure.add_bar(
        x=rows["depth"],
        y=_height(rows["density"], low),
        base=bottom,
        name=rows["rule"].iloc[0],
        customdata=told,
        hovertemplate=HOVER,
        showlegend=False,
        marker={"color": colour, "pattern": HATCH | {"shape": rows["kind"].map(PATTERNS).tolist()}},
        unselected={"marker": {"opacity": 1}},
    )
    gone = (rows["kept"] == 0).to_numpy()
    if gone.any():
        figure.add_scatter(
            x=rows["depth"][gone],
            y=np.full(gone.sum(), bottom),
            mode="markers",
            customdata=told[gone],
            hovertemplate=HOVER,
            showlegend=False,
            marker={"symbol": "x", "size": 9, "color": colour},
            unselected={"marker": {"opacity": 1}},
        )
    _named(figure, rows, colour, bottom, bottom + _height(rows["whole"].iloc[0], low))


def _named(figure: go.Figure, rows: pd.DataFrame, colour: str, bottom: float, level: float) -> None:
    """The rule's name above its bars, and the line at `level`."""
    line = {"color": style.REFERENCE, "width": 1.5, "dash": "dot"}
    figure.add_shape(type="line", xref="paper", x0=0, x1=1, y0=level, y1=level, line=line)
    place = {"xref": "paper", "x": 0, "y": bottom + 1.02, "xanchor": "left", "yanchor": "bottom"}
    name = f"<b>{rows['rule'].iloc[0]}</b>"
    figure.add_annotation(text=name, showarrow=False, font={"color": colour}, **place)


def bars_limits(tables) -> dict:
    """The power of ten under every density above 0."""
    values = pd.concat(tables)["density"]
    least = values[values > 0].min()
    return {"low": float(max(LOWEST, min(0.1, 10.0 ** np.floor(np.log10(least)))))} if least == least else {}


DENSITIES = Chart("allocation.DENSITIES", bars_table, bars_figure, rules.bars, bars_limits, wide=True, counts="")
