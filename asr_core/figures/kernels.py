"""The kernel of one output channel: dense, pruned, and scaled by each repair."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from asr_core.errors import StoreError
from asr_core.figures import Chart, NothingToDraw, style
from asr_core.pipeline import kernels
from asr_core.report.sentences import maps as words
from asr_core.spec.experiment import from_dict
from asr_core.spec.repairs import DENSE, NO_REPAIR
from asr_core.store import Store
from asr_core.store.results import Result

MOST = 32  # input channels that are drawn


def table(result: Result, store: Store, layer: str, channel: int, repairs=()) -> pd.DataFrame:
    """One row per weight: input channel, its rank by dense norm (0 first), row, column, and a column per network.

    Networks are dense, no_repair and `repairs`, headed by their labels. attrs: layer, channel; networks: heading ->
    COLUMNS.
    """
    try:
        found = kernels.read(from_dict(result.entry.manifest["spec"]), store, result, layer, channel)
    except StoreError as error:
        raise NothingToDraw(f"The kernel cannot be shown: {error}") from None
    dense = found.of[DENSE]
    order = np.argsort(-np.square(dense).sum((1, 2)), kind="stable")
    rank = np.empty(len(dense), int)
    rank[order] = np.arange(len(dense))
    index = np.indices(dense.shape).reshape(3, -1)
    shown = [DENSE, NO_REPAIR, *(repair for repair in style.in_order(repairs) if repair in found.of)]
    places = {"input": index[0], "rank": rank[index[0]], "row": index[1], "column": index[2]}
    made = style.beside({network: found.of[network].ravel() for network in shown}, **places)
    made.attrs |= {"layer": layer, "channel": int(channel)}
    return made


def figure(weights: pd.DataFrame, span: float | None = None) -> go.Figure:
    """A row per network, a tile per input channel, largest dense norm first; one scale, white at 0."""
    drawn = weights[weights["rank"] < MOST]
    titles, shared = style.titles(style.headed(weights).values())
    height, width, count = (int(drawn[name].max()) + 1 for name in ("row", "column", "rank"))
    grid, text = _tiles(drawn, list(style.headed(weights)))
    span = span or float(np.nanmax(np.abs(grid))) or 1.0
    bar = {"title": {"text": "weight", "side": "right"}, "thickness": 12}
    made = go.Figure()
    made.add_heatmap(
        z=grid,
        text=text,
        zmin=-span,
        zmax=span,
        colorscale=style.RATIO,
        colorbar=bar,
        hoverongaps=False,
        hovertemplate="%{text}<br>weight %{z:.4g}<extra></extra>",
    )
    x = f"input channel ({count} of {weights['input'].nunique()}, largest dense norm first)"
    style.finish(made, 90 + len(titles) * (34 + 8 * height), x, "", shared)
    first = drawn.drop_duplicates("rank").sort_values("rank")["input"]
    across = [i * (width + 1) + (width - 1) / 2 for i in range(count)]
    made.update_xaxes(tickvals=across, ticktext=[str(i) for i in first], showgrid=False, tickangle=0)
    down = [i * (height + 1) + (height - 1) / 2 for i in range(len(titles))]
    made.update_yaxes(tickvals=down, ticktext=titles, autorange="reversed", showgrid=False)
    return made


def _tiles(drawn: pd.DataFrame, names: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Weights and hover text on a grid of tiles with gaps (NaN)."""
    height, width, count = (int(drawn[name].max()) + 1 for name in ("row", "column", "rank"))
    grid = np.full((len(names) * (height + 1) - 1, count * (width + 1) - 1), np.nan)
    text = np.full(grid.shape, "", dtype=object)
    column = drawn["rank"].to_numpy() * (width + 1) + drawn["column"].to_numpy()
    for number, name in enumerate(names):
        place = number * (height + 1) + drawn["row"].to_numpy(), column
        grid[place] = drawn[name]
        text[place] = [f"{name}<br>input channel {i}" for i in drawn["input"]]
    return grid, text


def limits(tables) -> dict:
    """One colour range for all kernels."""
    return {"span": max(float(weights[list(style.headed(weights))].abs().max().max()) for weights in tables) or 1.0}


KERNEL = Chart("kernels.KERNEL", table, figure, words.kernel, limits, counts="")
