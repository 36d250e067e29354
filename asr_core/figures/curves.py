"""Calibration curves: accuracy against the budget, for methods, orders and ways of recalibration together."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from asr_core.figures import TESTED, Chart, NothingToDraw, style
from asr_core.report.sentences import accuracies
from asr_core.spec.recalibration import NOTHING
from asr_core.spec.repairs import COLUMNS, DENSE, NO_REPAIR, RepairSpec
from asr_core.store.results import Result
from asr_core.store.tables import rows_of

WAYS = accuracies.WAYS
TITLES = {"batches": "recalibration batches b", "images": "training images (statistics and recalibration)"}


def curves_table(result: Result, repairs=(), ways=("reset",), momentum=0.1, x="batches", more=()) -> pd.DataFrame:
    """One row per point: COLUMNS, label, line, way, batches, images, distinct_images, top1, interval, n_eval, seeds, x.

    dense and no_repair are rows with way `none`. images: training images a point needs, statistics
    images included. `more` results of other seeds, or of other calibration draws of the same dense network, turn
    points into means with their least and largest value (`over`: seeds or draws); those of other numbers of statistics
    images add points without recalibration (x = images).
    """
    if x == "batches" and not result.batchnorm:
        raise NothingToDraw(f"{NOTHING} So there is no curve over batches, but one over images.")
    drawn = [r for r in more if _draw(r) != _draw(result) and r.setting["dense_id"] == result.setting["dense_id"]]
    same = [r for r in more if _draw(r) == _draw(result) and r.setting["dense_id"] == result.setting["dense_id"]]
    others = [r for r in more if r.setting["dense_id"] != result.setting["dense_id"]]
    table = _points(result, repairs, ways, momentum, x)
    if x == "images":
        found = [_points(r, repairs, (), momentum, x) for r in same]
        table = pd.concat([table, *(rows[~is_reference(rows)] for rows in found)], ignore_index=True)
    if drawn or others:
        table = _over_seeds([table, *(_points(r, repairs, ways, momentum, x) for r in drawn or others)])
        table = table.assign(over="draws" if drawn else "seeds")
    if table.empty:
        raise NothingToDraw("No accuracy is stored for this setting.")
    return lined(table.assign(x=table[x].astype(float)))


def _draw(result: Result) -> int:
    return result.setting["calibration"]["draw"]


def is_reference(table: pd.DataFrame) -> pd.Series:
    """Whether each row is of dense or no repair."""
    return table["method"].isin(style.REFERENCES)


def lined(table: pd.DataFrame) -> pd.DataFrame:
    """A table in order, with `label`, and `line`: label, way of recalibration unless all share it, number of seeds."""
    table = style.labelled(style.ordered(table, "way", "x"))
    without = is_reference(table) | bool(shared_way(table))
    line = table["label"] + np.where(without, "", " · " + table["way"].map(WAYS))
    several = " · " + table["seeds"].astype(str) + " " + table["over"].astype(str)
    return table.assign(line=line + np.where(table["seeds"] > 1, several, ""))


def shared_way(table: pd.DataFrame) -> str:
    """The way of recalibration of all lines, in words; empty where there are several."""
    ways = table.loc[~is_reference(table), "way"].unique()
    return WAYS[ways[0]] if len(ways) == 1 else ""


def _points(result: Result, repairs, ways, momentum, x: str) -> pd.DataFrame:
    """Points of one result; b = 0 begins each way's line over batches, and is a line of its own over images."""
    rows = rows_of(result.accuracy, DENSE, NO_REPAIR, *repairs)
    rows = rows[rows["calib_batches"].eq(0) | ~is_reference(rows)]
    cumulative = rows["averaging"].eq("cumulative").fillna(False)
    ema = rows["averaging"].eq("ema").fillna(False) & rows["momentum"].eq(momentum).fillna(False)
    masks = {"cumulative": cumulative} | {way: ema & rows["start"].eq(way).fillna(False) for way in ("reset", "keep")}
    begin = rows[rows["calib_batches"].eq(0) & ~is_reference(rows)]
    parts = [rows[is_reference(rows)].assign(way="none")]
    for way in ways:
        own = rows[masks[way].astype(bool)]
        parts.append(pd.concat([begin, own] if x == "batches" else [own]).assign(way=way))
    if x == "images":
        parts.append(begin[begin["stat_images"].notna()].assign(way="none"))
    found = pd.concat(parts)
    passed = found["calib_batches"] * result.setting["calibration"]["calib_batch_size"]
    images = np.maximum(passed, found["stat_images"].fillna(0).astype(int))
    numbers = ["calib_batches", "distinct_images", "stat_images", "top1", "top1_low", "top1_high", "n_eval"]
    found = found[[*COLUMNS, "way", *numbers]].rename(columns={"calib_batches": "batches"})
    return found.assign(images=images, seeds=1, over="seeds")


def _over_seeds(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """Mean over seeds; the interval becomes the least and largest value, where there is more than one.

    Each line keeps the points that most of its seeds have, so that a mean never changes its seeds on the way.
    """
    groups = pd.concat(tables).groupby([*COLUMNS, "way", "batches", "images"], as_index=False, dropna=False, sort=False)
    first = ("over", "top1_low", "top1_high", "n_eval", "distinct_images", "stat_images")
    level = {name: ("top1", how) for name, how in (("top1", "mean"), ("least", "min"), ("largest", "max"))}
    table = groups.agg(**level, seeds=("top1", "size"), **{name: (name, "first") for name in first})
    several = table["seeds"] > 1
    table["top1_low"] = table["least"].where(several, table["top1_low"])
    table["top1_high"] = table["largest"].where(several, table["top1_high"])
    most = table.groupby([*COLUMNS, "way"], dropna=False)["seeds"].transform("max")
    return table[table["seeds"] == most].drop(columns=["least", "largest"])


def curves_figure(
    table: pd.DataFrame, x: str = "batches", low: float = 0.0, high: float = 1.0, left: float = 0, right: float = 50
) -> go.Figure:
    """Lines with bands; dense and no repair as horizontal reference lines."""
    figure = go.Figure()
    lines = table[~is_reference(table)]
    ways = list(dict.fromkeys(lines["way"]))
    for network, rows in style.each(table[is_reference(table)]):
        _level(figure, network, rows, left, right)
    for network, of_network in style.each(lines):
        for way, rows in of_network.groupby("way", sort=False):
            grid = sorted(lines.loc[lines["way"] == way, "x"].unique())
            _line(figure, network, rows, style.DASHES[ways.index(way) % len(style.DASHES)], grid)
    _along(figure, x, left, right)
    figure.update_yaxes(range=[100 * low, 100 * high], gridcolor=style.GRID)
    several = table["seeds"].max()
    band = f"least and largest of {several} {table['over'].iloc[0]}" if several > 1 else "95 % interval"
    below = 16 * (2 + len(figure.data) // 2)  # pixels that the legend takes under the plot
    style.finish(figure, 460 + below, TITLES[x], f"top-1 accuracy, % (band: {band})", _shared(table))
    return figure.update_layout(legend={"yanchor": "top", "y": -70 / 440, "maxheight": 1000})


def _shared(table: pd.DataFrame) -> str:
    """What all lines share: 'simultaneous, bias off, ema from reset'."""
    return ", ".join(filter(None, (style.legend(table)[1], shared_way(table))))


def _along(figure: go.Figure, x: str, left: float, right: float) -> None:
    """The axis of budgets; images in powers of two."""
    if x == "images":
        ends = [np.log10(left), np.log10(right)]
        figure.update_xaxes(type="log", dtick=np.log10(2), tickformat="d", range=ends, gridcolor=style.GRID)
    else:
        figure.update_xaxes(range=[left, right], gridcolor=style.GRID)


def _level(figure: go.Figure, network: RepairSpec, rows: pd.DataFrame, left: float, right: float) -> None:
    level, dash = 100 * rows["top1"].iloc[0], "longdash" if network == DENSE else "dot"
    figure.add_scatter(
        x=[left, right],
        y=[level, level],
        mode="lines",
        name=f"{rows['label'].iloc[0]} {level:.1f} %",
        line={"color": style.look_of(network)[0], "dash": dash, "width": 1.5},
        hoverinfo="skip",
    )


def _line(figure: go.Figure, network: RepairSpec, rows: pd.DataFrame, dash: str, grid: list[float]) -> None:
    """One line with its band; both end where a value of `grid` that others have is not stored."""
    colour, symbol = style.look_of(network)
    name = rows["line"].iloc[0]
    runs = [run for run in _runs(rows, grid) if len(run)]
    band = [_outline(run) for run in runs]
    figure.add_scatter(
        x=np.concatenate([x for x, _ in band]),
        y=np.concatenate([y for _, y in band]),
        fill="toself",
        fillcolor=style.faint(colour),
        line={"width": 0},
        hoverinfo="skip",
        showlegend=False,
        legendgroup=name,
        mode="lines",
    )
    gap = pd.DataFrame([dict.fromkeys(rows)]).astype(object)
    whole = pd.concat([part for run in runs for part in (run.astype(object), gap)][:-1], ignore_index=True)
    told = ["batches", "images", "distinct_images", "top1_low", "top1_high"]
    figure.add_scatter(
        x=whole["x"].astype(float),
        y=100 * whole["top1"].astype(float),
        mode="lines+markers",
        name=name,
        legendgroup=name,
        line={"color": colour, "dash": dash, "width": 2},
        marker={"color": colour, "symbol": symbol, "size": 8},
        customdata=whole[told].astype("Float64").to_numpy(float, na_value=np.nan),
        hovertemplate=f"<b>{name}</b><br>"
        "b = %{customdata[0]}, %{customdata[1]} images (%{customdata[2]} distinct)<br>"
        "%{y:.2f} % [%{customdata[3]:.1%}, %{customdata[4]:.1%}]<extra></extra>",
    )


def _runs(rows: pd.DataFrame, grid: list[float]) -> list[pd.DataFrame]:
    """The rows of a line in runs of neighbours on `grid`."""
    place = rows["x"].map({x: number for number, x in enumerate(grid)}).to_numpy()
    ends = np.flatnonzero(np.diff(place) > 1) + 1
    return [rows.iloc[part] for part in np.split(np.arange(len(rows)), ends)]


def _outline(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """A band around a run, closed, and a break after it."""
    x, low, high = (rows[name].to_numpy(float) for name in ("x", "top1_low", "top1_high"))
    return np.concatenate([x, x[::-1], [np.nan]]), 100 * np.concatenate([high, low[::-1], [np.nan]])


def curves_limits(tables) -> dict:
    """Equal axes for all figures; accuracy with a little room."""
    low, high = min(t["top1_low"].min() for t in tables), max(t["top1_high"].max() for t in tables)
    x = pd.concat([t.loc[~is_reference(t), "x"] for t in tables])
    far, near = (float(x.max()), float(x.min())) if len(x) else (1.0, 0.0)
    left, right = (near / 1.2, far * 1.2) if near > 0 else (-0.02 * max(far, 1), 1.03 * max(far, 1))
    heights = {"low": round(max(0.0, low - 0.03), 3), "high": round(min(1.02, high + 0.03), 3)}
    return heights | {"left": round(left, 2), "right": round(right, 2)}


def curves_difference(pinned: pd.DataFrame, current: pd.DataFrame) -> pd.DataFrame:
    """Current minus pinned top-1 at each point of both."""
    columns = [*COLUMNS, "way", "batches", "images"]
    both = current.merge(pinned[[*columns, "top1"]], on=columns, suffixes=("", "_pinned"))
    if both.empty:
        raise NothingToDraw("The pinned and the current setting have no point in common, so there is no difference.")
    return both.assign(difference=both["top1"] - both["top1_pinned"])


def curves_difference_figure(table: pd.DataFrame, x: str = "batches", **_limits) -> go.Figure:
    """Lines of current minus pinned accuracy."""
    figure = go.Figure()
    figure.add_hline(y=0, line={"color": style.REFERENCE, "dash": "dash"})
    for network, of_network in style.each(table[~is_reference(table)]):
        for name, rows in of_network.groupby("line", sort=False):
            colour, symbol = style.look_of(network)
            figure.add_scatter(
                x=rows["x"],
                y=100 * rows["difference"],
                mode="lines+markers",
                name=name,
                line={"color": colour},
                marker={"symbol": symbol, "size": 8},
            )
    shared = _shared(table)
    return style.finish(figure, 460, TITLES[x], "current minus pinned top-1, percentage points", shared)


CURVES = Chart(
    "curves.CURVES",
    curves_table,
    curves_figure,
    accuracies.curves,
    curves_limits,
    curves_difference,
    curves_difference_figure,
    wide=True,
    counts=TESTED,
)
