"""Calibration curves: accuracy against the budget, for methods, orders and ways of recalibration together."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from asr_core.figures import Chart, NothingToDraw, style
from asr_core.store.results import Result

WAYS = {"reset": "ema from reset", "keep": "ema from kept", "cumulative": "cumulative", "none": "no recalibration"}
REFERENCES = ("dense", "no_repair")


def curves_table(result: Result, slugs=(), ways=("reset",), momentum=0.1, x="batches", more=()) -> pd.DataFrame:
    """One row per point: line, slug, way, batches, images, distinct_images, top1, top1_low, top1_high, n_eval, seeds, x.

    dense and no_repair are rows with way `none`. images: training images a point needs, statistics
    images included. `more` results of other seeds turn points into means with their least and largest
    value; those of other numbers of statistics images add points without recalibration (x = images).
    """
    same = [r for r in more if r.setting["dense_id"] == result.setting["dense_id"]]
    others = [r for r in more if r.setting["dense_id"] != result.setting["dense_id"]]
    table = _points(result, slugs, ways, momentum, x)
    if x == "images":
        found = [_points(r, slugs, (), momentum, x) for r in same]
        table = pd.concat([table, *(rows[~rows["slug"].isin(REFERENCES)] for rows in found)], ignore_index=True)
    if others:
        table = _over_seeds([table, *(_points(r, slugs, ways, momentum, x) for r in others)])
    if table.empty:
        raise NothingToDraw("No accuracy is stored for this setting yet; compute it.")
    line = style.labels(table["slug"]) + np.where(table["slug"].isin(REFERENCES), "", " · " + table["way"].map(WAYS))
    line += np.where(table["seeds"] > 1, " · " + table["seeds"].astype(str) + " seeds", "")
    table = table.assign(line=line, x=table[x].astype(float), place=table["slug"].map([*REFERENCES, *slugs].index))
    return table.sort_values(["place", "way", "x"], kind="stable").drop(columns="place").reset_index(drop=True)


def _points(result: Result, slugs, ways, momentum, x: str) -> pd.DataFrame:
    """Points of one result; b = 0 begins each way's line over batches, and is a line of its own over images."""
    rows = result.accuracy[result.accuracy["slug"].isin([*REFERENCES, *slugs])]
    rows = rows[rows["calib_batches"].eq(0) | ~rows["slug"].isin(REFERENCES)]
    batches, cumulative = rows["calib_batches"], rows["averaging"].eq("cumulative").fillna(False)
    ema = rows["averaging"].eq("ema").fillna(False) & rows["momentum"].eq(momentum).fillna(False)
    masks = {"cumulative": cumulative} | {way: ema & rows["start"].eq(way).fillna(False) for way in ("reset", "keep")}
    begin = rows[batches.eq(0) & ~rows["slug"].isin(REFERENCES)]
    parts = [rows[rows["slug"].isin(REFERENCES)].assign(way="none")]
    parts += [
        pd.concat([begin, rows[masks[way].astype(bool)]] if x == "batches" else [rows[masks[way].astype(bool)]]).assign(
            way=way
        )
        for way in ways
    ]
    if x == "images":
        parts.append(begin[begin["stat_images"].notna()].assign(way="none"))
    found = pd.concat(parts)
    passed = found["calib_batches"] * result.setting["calibration"]["calib_batch_size"]
    images = np.maximum(passed, found["stat_images"].fillna(0).astype(int))
    columns = [
        "slug",
        "way",
        "calib_batches",
        "distinct_images",
        "stat_images",
        "top1",
        "top1_low",
        "top1_high",
        "n_eval",
    ]
    return found[columns].rename(columns={"calib_batches": "batches"}).assign(images=images, seeds=1)


def _over_seeds(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """Mean over seeds; the interval becomes the least and largest value, where there is more than one.

    Each line keeps the points that most of its seeds have, so that a mean never changes its seeds on the way.
    """
    every = pd.concat(tables)
    groups = every.groupby(["slug", "way", "batches", "images"], as_index=False, dropna=False)
    table = groups.agg(
        top1=("top1", "mean"),
        least=("top1", "min"),
        largest=("top1", "max"),
        seeds=("top1", "size"),
        top1_low=("top1_low", "first"),
        top1_high=("top1_high", "first"),
        n_eval=("n_eval", "first"),
        distinct_images=("distinct_images", "first"),
        stat_images=("stat_images", "first"),
    )
    several = table["seeds"] > 1
    table["top1_low"] = table["least"].where(several, table["top1_low"])
    table["top1_high"] = table["largest"].where(several, table["top1_high"])
    most = table.groupby(["slug", "way"])["seeds"].transform("max")
    return table[table["seeds"] == most].drop(columns=["least", "largest"])


def curves_figure(
    table: pd.DataFrame, x: str = "batches", low: float = 0.0, high: float = 1.0, left: float = 0, right: float = 50
) -> go.Figure:
    """Lines with bands; dense and no repair as horizontal reference lines."""
    figure = go.Figure()
    ways = list(dict.fromkeys(table.loc[~table["slug"].isin(REFERENCES), "way"]))
    for slug, rows in table[table["slug"].isin(REFERENCES)].groupby("slug", sort=False):
        level = 100 * rows["top1"].iloc[0]
        figure.add_scatter(
            x=[left, right],
            y=[level, level],
            mode="lines",
            name=f"{style.label(slug)} {level:.1f} %",
            line={"color": style.look_of(slug)[0], "dash": "longdash" if slug == "dense" else "dot", "width": 1.5},
            hoverinfo="skip",
        )
    for (slug, way), rows in table[~table["slug"].isin(REFERENCES)].groupby(["slug", "way"], sort=False):
        _line(figure, slug, rows, style.DASHES[ways.index(way) % len(style.DASHES)])
    title = "recalibration batches b" if x == "batches" else "training images (statistics and recalibration)"
    if x == "images":
        figure.update_xaxes(
            type="log", dtick=np.log10(2), tickformat="d", range=[np.log10(left), np.log10(right)], gridcolor=style.GRID
        )
    else:
        figure.update_xaxes(range=[left, right], gridcolor=style.GRID)
    figure.update_yaxes(range=[100 * low, 100 * high], gridcolor=style.GRID)
    band = "95 % interval" if table["seeds"].max() == 1 else f"least and largest of {table['seeds'].max()} seeds"
    below = 16 * (2 + len(figure.data) // 2)  # pixels that the legend takes under the plot
    style.finish(figure, 460 + below, title, f"top-1 accuracy, % (band: {band})")
    return figure.update_layout(legend={"yanchor": "top", "y": -70 / 440, "maxheight": 1000})


def _line(figure: go.Figure, slug: str, rows: pd.DataFrame, dash: str) -> None:
    colour, symbol = style.look_of(slug)
    name = rows["line"].iloc[0]
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    x, low, high = rows["x"].to_numpy(), 100 * rows["top1_low"].to_numpy(), 100 * rows["top1_high"].to_numpy()
    figure.add_scatter(
        x=np.concatenate([x, x[::-1]]),
        y=np.concatenate([high, low[::-1]]),
        fill="toself",
        fillcolor=f"rgba({red},{green},{blue},0.12)",
        line={"width": 0},
        hoverinfo="skip",
        showlegend=False,
        legendgroup=name,
        mode="lines",
    )
    figure.add_scatter(
        x=x,
        y=100 * rows["top1"].to_numpy(),
        mode="lines+markers",
        name=name,
        legendgroup=name,
        line={"color": colour, "dash": dash, "width": 2},
        marker={"color": colour, "symbol": symbol, "size": 8},
        customdata=rows[["batches", "images", "distinct_images", "top1_low", "top1_high"]].astype(float).to_numpy(),
        hovertemplate=f"<b>{name}</b><br>b = %{{customdata[0]}}, %{{customdata[1]}} images (%{{customdata[2]}} distinct)<br>%{{y:.2f}} % [%{{customdata[3]:.1%}}, %{{customdata[4]:.1%}}]<extra></extra>",
    )


def curves_limits(tables) -> dict:
    """Equal axes for all figures; accuracy with a little room."""
    low, high = min(t["top1_low"].min() for t in tables), max(t["top1_high"].max() for t in tables)
    x = pd.concat([t.loc[~t["slug"].isin(REFERENCES), "x"] for t in tables])
    far, near = (float(x.max()), float(x.min())) if len(x) else (1.0, 0.0)
    left, right = (near / 1.2, far * 1.2) if near > 0 else (-0.02 * max(far, 1), 1.03 * max(far, 1))
    return {
        "low": round(max(0.0, low - 0.03), 3),
        "high": round(min(1.02, high + 0.03), 3),
        "left": round(left, 2),
        "right": round(right, 2),
    }


def curves_sentence(table: pd.DataFrame) -> str:
    """How far the methods lie apart at the smallest and the largest budget of each way."""
    lines = table[~table["slug"].isin(REFERENCES)]
    if lines.empty:
        return "None of the chosen repairs is stored for this setting."
    parts = []
    for way, rows in lines.groupby("way", sort=False):
        budgets = rows[(rows["batches"] > 0) | (way == "none")]
        for at in dict.fromkeys([budgets["x"].min(), budgets["x"].max()] if len(budgets) else []):
            here = budgets[budgets["x"] == at]
            unit = "b = " if here["x"].iloc[0] == here["batches"].iloc[0] else "images = "
            parts.append(
                f"{WAYS[way]}, {unit}{at:g}: {100 * here['top1'].min():.1f} to {100 * here['top1'].max():.1f} %"
            )
    methods = lines["slug"].nunique()
    return f"Top-1 accuracy over the {methods} chosen {'repairs' if methods > 1 else 'repair'}: {'; '.join(parts)}."


def curves_difference(pinned: pd.DataFrame, current: pd.DataFrame) -> pd.DataFrame:
    """Current minus pinned top-1 at each point of both."""
    columns = ["slug", "way", "batches", "images"]
    both = current.merge(pinned[[*columns, "top1"]], on=columns, suffixes=("", "_pinned"))
    if both.empty:
        raise NothingToDraw(
            "The pinned and the current setting have no point in common, so there is no difference to show."
        )
    return both.assign(difference=both["top1"] - both["top1_pinned"])


def curves_difference_figure(table: pd.DataFrame, x: str = "batches", **_limits) -> go.Figure:
    """Lines of current minus pinned accuracy."""
    figure = go.Figure()
    figure.add_hline(y=0, line={"color": style.REFERENCE, "dash": "dash"})
    for name, rows in table[~table["slug"].isin(REFERENCES)].groupby("line", sort=False):
        colour, symbol = style.look_of(rows["slug"].iloc[0])
        figure.add_scatter(
            x=rows["x"],
            y=100 * rows["difference"],
            mode="lines+markers",
            name=name,
            line={"color": colour},
            marker={"symbol": symbol, "size": 8},
        )
    title = "recalibration batches b" if x == "batches" else "training images (statistics and recalibration)"
    return style.finish(figure, 460, title, "current minus pinned top-1, percentage points")


CURVES = Chart(
    "curves.CURVES",
    curves_table,
    curves_figure,
    curves_sentence,
    curves_limits,
    curves_difference,
    curves_difference_figure,
    wide=True,
)


def decay_table(result: Result, momentum: float = 0.1) -> pd.DataFrame:
    """a = (1 - momentum)^b over 0 to the largest stored budget: share of the starting statistics that is left."""
    most = max(int(result.accuracy["calib_batches"].max()) if len(result.accuracy) else 0, 1)
    b = np.arange(most + 1)
    return pd.DataFrame({"b": b, "a": (1 - momentum) ** b, "momentum": momentum})


def decay_figure(table: pd.DataFrame, left: float = 0, right: float = 50) -> go.Figure:
    """The share of the start that an ema still holds."""
    figure = go.Figure(
        go.Scatter(
            x=table["b"],
            y=table["a"],
            mode="lines",
            line={"color": "#D55E00"},
            fill="tozeroy",
            fillcolor="rgba(213,94,0,0.12)",
            hovertemplate="b = %{x}: a = %{y:.3f}<extra></extra>",
        )
    )
    figure.update_xaxes(range=[left, right], gridcolor=style.GRID)
    figure.update_yaxes(range=[0, 1.02], gridcolor=style.GRID)
    return style.finish(figure, 220, "recalibration batches b", "a = (1 − momentum)<sup>b</sup>")


def decay_sentence(table: pd.DataFrame) -> str:
    """The left-over at the paper's budgets."""
    stated = [f"{row.a:.3f} at b = {row.b}" for row in table[table["b"].isin([10, 20, 30, 50])].itertuples()]
    momentum = table["momentum"].iloc[0]
    return f"With momentum {momentum:g} an ema still holds {', '.join(stated) or 'all'} of its starting statistics; cumulative averaging holds none."


DECAY = Chart("curves.DECAY", decay_table, decay_figure, decay_sentence)
