"""The kernel of one output channel: dense, pruned, and scaled by each repair."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from asr_core.errors import StoreError
from asr_core.figures import Chart, NothingToDraw, maps, style
from asr_core.pipeline import kernels
from asr_core.store import default_root
from asr_core.store.results import Result

WEIGHT = ("input", "rank", "row", "column")
MOST = 32  # input channels that are drawn


def table(result: Result, layer: str, channel: int, slugs=()) -> pd.DataFrame:
    """One row per weight: input channel, its rank by dense norm (0 first), row, column, then dense, no_repair and slugs."""
    store = maps.opened_store(str(default_root()))
    try:
        found = kernels.read(maps.experiment_of(result, slugs), store, result, layer, channel)
    except StoreError as error:
        raise NothingToDraw(f"The kernel cannot be shown: {error}") from None
    dense = found.of["dense"]
    inputs = len(dense)
    order = np.argsort(-np.square(dense).sum((1, 2)), kind="stable")
    rank = np.empty(inputs, int)
    rank[order] = np.arange(inputs)
    index = np.indices(dense.shape).reshape(3, -1)
    made = pd.DataFrame({"input": index[0], "rank": rank[index[0]], "row": index[1], "column": index[2]})
    names = ["dense", "no_repair", *(slug for slug in slugs if slug in found.of)]
    made = made.assign(**{name: found.of[name].ravel() for name in names})
    made.attrs = {"layer": layer, "channel": int(channel)}
    return made


def networks(weights: pd.DataFrame) -> list[str]:
    """The networks of a table, dense first."""
    return [name for name in weights.columns if name not in WEIGHT]


def figure(weights: pd.DataFrame, span: float | None = None) -> go.Figure:
    """A row per network, a tile per input channel, largest dense norm first; one scale, white at 0."""
    names, drawn = networks(weights), weights[weights["rank"] < MOST]
    height, width, count = (int(drawn[name].max()) + 1 for name in ("row", "column", "rank"))
    grid = np.full((len(names) * (height + 1) - 1, count * (width + 1) - 1), np.nan)
    text = np.full(grid.shape, "", dtype=object)
    for number, name in enumerate(names):
        place = (
            number * (height + 1) + drawn["row"].to_numpy(),
            drawn["rank"].to_numpy() * (width + 1) + drawn["column"].to_numpy(),
        )
        grid[place] = drawn[name]
        text[place] = [f"{style.label(name)}<br>input channel {i}" for i in drawn["input"]]
    span = span or float(np.nanmax(np.abs(grid))) or 1.0
    bar = {"title": {"text": "weight", "side": "right"}, "thickness": 12}
    made = go.Figure(
        go.Heatmap(
            z=grid,
            text=text,
            zmin=-span,
            zmax=span,
            colorscale=style.RATIO,
            colorbar=bar,
            hoverongaps=False,
            hovertemplate="%{text}<br>weight %{z:.4g}<extra></extra>",
        )
    )
    first = drawn.drop_duplicates("rank").sort_values("rank")["input"]
    style.finish(
        made,
        90 + len(names) * (34 + 8 * height),
        f"input channel ({count} of {weights['input'].nunique()}, largest dense norm first)",
        "",
    )
    made.update_xaxes(
        tickvals=[i * (width + 1) + (width - 1) / 2 for i in range(count)],
        ticktext=[str(i) for i in first],
        showgrid=False,
        tickangle=0,
    )
    made.update_yaxes(
        tickvals=[i * (height + 1) + (height - 1) / 2 for i in range(len(names))],
        ticktext=[maps.short(name) for name in names],
        autorange="reversed",
        showgrid=False,
    )
    return made


def limits(tables) -> dict:
    """One colour range for all kernels."""
    return {"span": max(float(weights[networks(weights)].abs().max().max()) for weights in tables) or 1.0}


def sentence(weights: pd.DataFrame) -> str:
    """What pruning left of the kernel, and what the repairs multiply it by."""
    dense, pruned = weights["dense"], weights["no_repair"]
    kept, energy = int((pruned != 0).sum()), float((pruned**2).sum() / (dense**2).sum()) if (dense != 0).any() else 0.0
    inputs = weights.loc[pruned != 0, "input"].nunique()
    text = f"Pruning left {kept} of {len(weights)} weights of this kernel, from {inputs} of {weights['input'].nunique()} input channels, with {energy:.1%} of its energy (sum of squares)."
    if kept == 0:
        return text + " Nothing is left to scale: the channel is dead."
    factors = [
        f"{style.label(name)} {weights[name].abs().sum() / pruned.abs().sum():.3g}" for name in networks(weights)[2:]
    ]
    return text + (f" Repairs multiply what is left by: {', '.join(factors)}." if factors else "")


KERNEL = Chart("kernels.KERNEL", table, figure, sentence, limits)
