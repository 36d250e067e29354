"""The idea on a stored result: eight channels of a layer, twenty layers, BatchNorm. In words that need no paper."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from asr_core.figures import TESTED, Chart, NothingToDraw, style
from asr_core.report.sentences import ideas
from asr_core.spec.recalibration import NO_STATE, BatchNormState
from asr_core.spec.repairs import BN_ONLY, DENSE, NO_REPAIR
from asr_core.store.results import Result
from asr_core.store.tables import is_of, with_network
from asr_core.studies import ablation, taught

NAMES = {
    "dense": "dense",
    "no_repair": "pruned",
    "bn_only": "no factors",
    "lw_bn": "one scalar for the layer",
    "raw_bn": "one factor each",
    "asr_bn": "shrinkage",
}
SHOWN = 8  # channels


def _labelled(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(label=table["method"].map(NAMES))


def layer_table(result: Result, layer: str | None = None) -> pd.DataFrame:
    """Eight channels of a layer, evenly over the ranks of what pruning left: COLUMNS, label, layer, position, channel,
    share (variance / dense variance if the layer's input stayed as it was)."""
    layer = taught.contrasting_layer(result) if layer is None else layer
    rows = taught.ratios(result)
    rows = rows[rows["layer"] == layer]
    if rows.empty:
        raise NothingToDraw(f"No channel of {layer} is left to be shown.")
    base = rows[is_of(rows, taught.ONE)].sort_values("before", kind="stable")
    picked = base.iloc[np.unique(np.linspace(0, len(base) - 1, SHOWN).round().astype(int))]
    place = dict(zip(picked["channel"], range(1, SHOWN + 1), strict=False))
    pruned = with_network(picked[["layer", "channel"]].assign(share=picked["before"]), NO_REPAIR)
    repaired = rows[rows["channel"].isin(place)].rename(columns={"predicted": "share"})
    table = pd.concat([pruned, repaired[pruned.columns]], ignore_index=True)
    return _labelled(style.ordered(table.assign(position=table["channel"].map(place)), "position"))


def layer_figure(table: pd.DataFrame, low: float = 0.01, high: float = 10.0) -> go.Figure:
    """Marks over the channels, the dense level as a line."""
    figure = go.Figure()
    places = table.drop_duplicates("position").sort_values("position")
    ends = [0.5, places["position"].max() + 0.5]
    figure.add_scatter(x=ends, y=[1, 1], mode="lines", line={"color": style.REFERENCE, "dash": "dash"}, name="dense")
    for network, rows in style.each(table):
        colour, symbol = style.look_of(network)
        figure.add_scatter(
            x=rows["position"],
            y=rows["share"],
            mode="markers",
            name=rows["label"].iloc[0],
            marker={"color": colour, "symbol": symbol.removesuffix("-open"), "size": 12},
            hovertemplate="%{y:.2f} of dense<extra></extra>",
        )
    names = {"tickvals": places["position"], "ticktext": [f"channel {one}" for one in places["channel"]]}
    figure.update_xaxes(range=ends, showgrid=False, **names)
    figure.update_yaxes(style.log_axis(low, high))
    return style.finish(figure, 380, "", "variance / dense variance")


def layer_limits(tables) -> dict:
    """Over all marks and the dense line."""
    return _around(pd.concat([table["share"] for table in tables]))


def _around(values: pd.Series) -> dict:
    found = values[np.isfinite(values) & (values > 0)]
    low, high = (0.5, 2.0) if found.empty else (min(found.min() / 1.6, 0.5), max(found.max() * 1.6, 2.0))
    return {"low": float(f"{low:.2g}"), "high": float(f"{high:.2g}")}


LAYER = Chart("idea.LAYER", layer_table, layer_figure, ideas.layer, layer_limits)


def depth_table(result: Result, measured: bool = True) -> pd.DataFrame:
    """Per network and layer the typical variance relative to dense: COLUMNS, label, layer, depth, share.

    measured: in the repaired network; else as if the layer's input had stayed as it was.
    """
    rows = taught.ratios(result)
    if rows.empty:
        raise NothingToDraw("No channel is left to be shown.")
    rows = rows.assign(share=rows["measured" if measured else "predicted"])
    pruned = with_network(
        rows[is_of(rows, taught.ONE)][["layer", "depth", "channel", "before"]].rename(columns={"before": "share"}),
        NO_REPAIR,
    )
    table = pd.concat([pruned, rows[pruned.columns]], ignore_index=True)
    by = ["method", "order", "bias", "params", "layer", "depth"]
    table = table.groupby(by, dropna=False, observed=True, sort=False)["share"].median().reset_index()
    return _labelled(style.ordered(table, "depth"))


def depth_figure(table: pd.DataFrame, low: float = 0.01, high: float = 100.0) -> go.Figure:
    """A line per repair over the layers."""
    figure = go.Figure()
    for network, rows in style.each(table):
        colour, symbol = style.look_of(network)
        figure.add_scatter(
            x=rows["depth"],
            y=style.numbers(rows["share"]),
            mode="lines+markers",
            name=rows["label"].iloc[0],
            line={"color": colour},
            marker={"symbol": symbol.removesuffix("-open"), "size": 8},
            customdata=rows["layer"],
            hovertemplate="%{customdata}<br>%{y:.3g} times dense<extra></extra>",
        )
    figure.add_hline(y=1, line={"color": style.REFERENCE, "dash": "dash"})
    style.layer_axis(figure, table, 0.5)
    figure.update_yaxes(style.log_axis(low, high))
    return style.finish(figure, 430, "layers, input on the left", "variance / dense variance, typical channel")


def depth_limits(tables) -> dict:
    """Over all lines."""
    return _around(pd.concat([table["share"] for table in tables]))


DEPTH = Chart("idea.DEPTH", depth_table, depth_figure, ideas.depth, depth_limits)


def batchnorm_table(result: Result) -> pd.DataFrame:
    """Accuracy with BatchNorm as it was and after it was measured anew: COLUMNS, label, when, top1, top1_low,
    top1_high, n_eval."""
    anew = BatchNormState.of(averaging="cumulative", calib_batches=taught.forgotten(result) or 20)
    parts = []
    for state, when in ((NO_STATE, ideas.BEFORE), (anew, ideas.AFTER)):
        rows = ablation.rows_in(result.accuracy, state)
        parts.append(rows[is_of(rows, DENSE, BN_ONLY, *taught.REPAIRS)].assign(when=when))
    table = pd.concat(parts, ignore_index=True)
    if table.empty:
        raise NothingToDraw("No accuracy is stored for this setting yet.")
    return _labelled(style.ordered(table))[["method", "order", "bias", "params", "label", "when", *_MEASURED]]


_MEASURED = ["top1", "top1_low", "top1_high", "n_eval"]
WAYS = {ideas.BEFORE: "#D55E00", ideas.AFTER: "#0072B2"}


def batchnorm_figure(table: pd.DataFrame, low: float = 0.0, high: float = 1.0) -> go.Figure:
    """Two marks per repair: before and after."""
    figure = go.Figure()
    for (when, colour), symbol in zip(WAYS.items(), ("circle-open", "circle"), strict=True):
        rows = table[table["when"] == when]
        figure.add_scatter(
            x=100 * rows["top1"],
            y=rows["label"],
            error_x=style.interval(rows["top1"], rows["top1_low"], rows["top1_high"]),
            mode="markers",
            name=when,
            marker={"color": colour, "symbol": symbol, "size": 12, "line": {"width": 2}},
            hovertemplate="%{y}: %{x:.1f} %<extra></extra>",
        )
    figure.update_xaxes(range=[100 * low, 100 * high])
    order = list(dict.fromkeys(table["label"]))
    figure.update_yaxes(type="category", categoryorder="array", categoryarray=order[::-1])
    finished = style.finish(figure, 330, "test images answered rightly, %", "")
    return finished.update_layout(margin={"r": 32})  # half of a label at the right end


BATCHNORM = Chart("idea.BATCHNORM", batchnorm_table, batchnorm_figure, ideas.batchnorm, counts=TESTED)
