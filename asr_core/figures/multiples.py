"""Small multiples: the variance plot of every layer, as one figure on one pair of axes (fast for 100 layers)."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from asr_core.figures import Chart, NothingToDraw, cloud, style
from asr_core.figures.variance import repaired_rows, scatter_limits
from asr_core.measure import diagnostics
from asr_core.report.sentences import damage
from asr_core.spec.repairs import COLUMNS, NO_REPAIR
from asr_core.store.results import Result
from asr_core.store.tables import with_network

ACROSS, GAP, MOST = 8, 0.12, 80  # panels per row, space between, channels drawn per panel and network


def panels_table(result: Result, repairs=(), stage: str = "repaired") -> pd.DataFrame:
    """At most MOST live channels per layer, evenly over the ranks of dense variance.

    COLUMNS, label, layer, depth, channel, v_dense, v; middle: the layer's median of v / v_dense over all channels that
    are live in that network, drawn or not; one that diverged counts as infinite, NaN where none is live.
    """
    base = result.channels[result.channels["v_dense"] > diagnostics.FLOOR]
    if base.empty:
        raise NothingToDraw("No channel statistics are stored for this setting.")
    rank = base.groupby("layer", sort=False)["v_dense"].rank(method="first")
    step = np.maximum(1, base.groupby("layer", sort=False)["v_dense"].transform("size") / MOST)
    base = base.assign(drawn=(rank // step) != ((rank - 1) // step))
    base = base[["layer", "depth", "channel", "v_dense", "v_pruned", "drawn"]]
    unrepaired = with_network(base.assign(v=base["v_pruned"]), NO_REPAIR)
    parts = [unrepaired, *repaired_rows(result, base, repairs, stage)]
    table = pd.concat([_with_middle(part) for part in parts], ignore_index=True)
    shown = table[table["drawn"].astype(bool)].reset_index(drop=True)
    return style.labelled(shown[[*COLUMNS, "layer", "depth", "channel", "v_dense", "v", "middle"]])


def _with_middle(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of one network with the median ratio of variances of each one's layer."""
    v = rows["v"].where(np.isfinite(rows["v"]), np.inf)
    ratio = (v / rows["v_dense"]).where(v > diagnostics.FLOOR)
    return rows.assign(middle=ratio.groupby(rows["layer"].to_numpy(object)).transform("median"))


def panels_figure(
    table: pd.DataFrame,
    low: float = 1e-6,
    high: float = 1e2,
    left: float = 1e-6,
    right: float = 1e2,
    marked: str | None = None,
) -> go.Figure:
    """A grid of log-log panels, v over [low, high] against v_dense over [left, right]; `marked`: a layer."""
    layers = list(table.drop_duplicates("layer").sort_values("depth")["layer"])
    place = {layer: divmod(i, ACROSS) for i, layer in enumerate(layers)}
    across = {layer: column * (1 + GAP) for layer, (_, column) in place.items()}
    down = {layer: -row * (1 + 2 * GAP) for layer, (row, _) in place.items()}
    height = -(-len(layers) // ACROSS)
    figure = go.Figure()
    _frames(figure, place, marked, [_unit(pd.Series([left, right]), low, high).tolist(), [0, 1]])
    for network, rows in style.each(table):
        colour, symbol = style.look_of(network)
        x, y = _unit(rows["v_dense"], left, right), _unit(rows["v"], low, high)
        name = rows["label"].iloc[0]
        figure.add_scatter(
            x=(rows["layer"].map(across) + x).to_numpy("float32"),
            y=(rows["layer"].map(down) + y).to_numpy("float32"),
            mode="markers",
            name=name,
            marker={"color": colour, "symbol": symbol, "size": 3.5, "opacity": 0.7},
            unselected={"marker": {"opacity": 0.7}},
            customdata=rows[["depth", "channel"]].to_numpy("int32"),
            hovertemplate=f"channel %{{customdata[1]}}<extra>{name}</extra>",
        )
    figure.update_xaxes(visible=False, range=[-0.02, ACROSS * (1 + GAP)])
    figure.update_yaxes(visible=False, range=[-(height - 1) * (1 + 2 * GAP) - 0.05, 1 + 2 * GAP])
    return cloud.condensed(style.finish(figure, 60 + 150 * height, "", "", style.legend(table)[1], font={"size": 11}))


def _unit(values: pd.Series, low: float, high: float) -> pd.Series:
    """log position within [low, high] as [0, 1]; dead channels lie on 0, diverged ones on 1."""
    logs = np.log10(values.where(np.isfinite(values), high).mask(values <= diagnostics.FLOOR, low).clip(low, high))
    return (logs - np.log10(low)) / (np.log10(high) - np.log10(low))


def _frames(figure: go.Figure, place: dict, marked: str | None, diagonal: list) -> None:
    """Frame, line y = x (`diagonal`: its y at both ends, x at both ends), title of each panel, in three traces."""
    ends = list(zip(diagonal[1], diagonal[0], strict=True))
    square, lines, bold, titles = [(0, 0), (1, 0), (1, 1), (0, 1), (0, 0)], [], [], []
    for layer, (row, column) in place.items():
        left, bottom = column * (1 + GAP), -row * (1 + 2 * GAP)
        for path in (square, ends):
            lines += [(left + a, bottom + b) for a, b in path] + [(None, None)]
        if layer == marked:
            bold += [(left + a, bottom + b) for a, b in square]
        titles.append((left, bottom + 1 + GAP, layer if len(layer) <= 18 else f"…{layer[-17:]}"))
    for points, width in ((lines, 1), (bold, 3)):
        x, y = zip(*points, strict=True) if points else ((), ())
        figure.add_scatter(
            x=x, y=y, mode="lines", line={"color": style.REFERENCE, "width": width}, hoverinfo="skip", showlegend=False
        )
    x, y, text = zip(*titles, strict=True)
    figure.add_scatter(
        x=x,
        y=y,
        text=text,
        mode="text",
        textposition="middle right",
        textfont={"size": 10},
        hoverinfo="skip",
        showlegend=False,
    )


PANELS = Chart("multiples.PANELS", panels_table, panels_figure, damage.panels, scatter_limits, wide=True)
