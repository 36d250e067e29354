"""Table 2 of the paper beside the same rows here, and the surface of granularity x prior."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from asr_core.figures import TESTED, Chart, NothingToDraw, cells, style
from asr_core.report import words
from asr_core.report.sentences import paper
from asr_core.spec import labels
from asr_core.spec.recalibration import REPORTED_STATE, BatchNormState
from asr_core.spec.repairs import ORDERS, RepairSpec
from asr_core.store import results
from asr_core.store.results import Result
from asr_core.store.tables import networks
from asr_core.studies import ablation, ahead, paired
from asr_core.studies.cells import ABLATED, PRUNINGS

PAPER_LOOK = ("#D55E00", "line-ns")
PLACE = ["key", "stored_row"]


def table2_table(result: Result, order: str = "simultaneous", state: BatchNormState = REPORTED_STATE) -> pd.DataFrame:
    """ablation.table2 at one recalibration."""
    table = ablation.table2(result.accuracy, order, state, result.batchnorm)
    if table["top1"].isna().all():
        raise NothingToDraw("None of the rows of table 2 is stored at this recalibration.")
    right = results.right_of([result], table)
    model, prune = result.setting["model"], result.setting["prune"]
    same = model["architecture"] == ABLATED.architecture and PRUNINGS[ABLATED.pruning].items() <= prune.items()
    told, alike = ahead.ordered_alike(table, right)
    table = paired.with_best(table, right).drop(columns=PLACE, errors="ignore")
    return table.assign(**result.budget(state), told=told, alike=alike, same_network=same)


def table2_figure(table: pd.DataFrame, low: float = 0.0, high: float = 1.0) -> go.Figure:
    """Ours with 95 % intervals, the paper's as upright strokes; a row without a mark of ours is not stored."""
    figure = go.Figure()
    have = table.dropna(subset="top1")
    for network, row in zip(networks(have), have.itertuples(), strict=True):
        _ours(figure, network, row)
    _published(figure, table)
    style.not_stored(figure, 100 * low, table.loc[table["top1"].isna(), "row"])
    figure.update_xaxes(range=[100 * low, 100 * high])
    figure.update_yaxes(categoryorder="array", categoryarray=list(table["row"])[::-1], type="category")
    shared = f"{table['order'].dropna().iloc[0]}, {style.budget(table)}"
    return style.finish(figure, 110 + 46 * len(table), "top-1 accuracy, % (95 % interval)", "", shared)


def _ours(figure: go.Figure, network: RepairSpec, row) -> None:
    """One row of the table, as it is here."""
    told = f"{labels.label(network)}<br>{words.accuracy(row)}<extra>here</extra>"
    style.marks(figure, network, [row.row], row.top1, row.top1_low, row.top1_high, hovertemplate=told)


def _published(figure: go.Figure, table: pd.DataFrame) -> None:
    """The paper's numbers, as upright strokes."""
    colour, symbol = PAPER_LOOK
    figure.add_scatter(
        x=100 * table["paper"],
        y=table["row"],
        mode="markers",
        name="the paper (ResNet-50, CIFAR-10, 90 %)",
        marker={"symbol": symbol, "size": 16, "color": colour, "line": {"width": 3, "color": colour}},
        hovertemplate="%{y}<br>%{x:.2f} %<extra>the paper</extra>",
    )


def table2_limits(tables) -> dict:
    """Equal axes that hold ours and the paper's."""
    rows = pd.concat(tables)
    low, high = min(rows["top1_low"].min(), rows["paper"].min()), max(rows["top1_high"].max(), rows["paper"].max())
    pad = 0.06 * (high - low)
    return {"low": round(max(0.0, low - pad), 3), "high": round(min(1.02, high + pad), 3)}


TABLE2 = Chart("ablation.TABLE2", table2_table, table2_figure, paper.table2, table2_limits, counts=TESTED)


def surface_table(result: Result, state: BatchNormState = REPORTED_STATE) -> pd.DataFrame:
    """ablation.surface_table for both orders and bias settings at one recalibration."""
    table = ablation.surface_table(result.accuracy, state)
    if table["top1"].isna().all():
        raise NothingToDraw("No point of the surface is stored at this recalibration.")
    right = results.right_of([result], table)
    table = paired.with_best(table, right).drop(columns=PLACE, errors="ignore")
    return table.assign(**result.budget(state))


def surface_figure(table: pd.DataFrame, low: float = 0.0, high: float = 1.0) -> go.Figure:
    """One map per order and bias: top-1 % in each cell, the paper's methods by name; an empty cell is not stored."""
    maps = [(order, bias) for order in ORDERS for bias in (False, True)]
    titles = [f"{order} · bias {'on' if bias else 'off'}" for order, bias in maps]
    gaps = {"vertical_spacing": 0.1, "horizontal_spacing": 0.04}
    figure = make_subplots(2, 2, subplot_titles=titles, shared_xaxes=True, shared_yaxes=True, **gaps)
    for number, (order, bias) in enumerate(maps):
        rows = table[table["order"].eq(order) & table["bias"].eq(bias).fillna(False).astype(bool)]
        for trace in _map(rows, low, high):
            figure.add_trace(trace, row=number // 2 + 1, col=number % 2 + 1)
    bar = {"title": {"text": "top-1, %", "side": "right"}, "thickness": 14}
    colours = {"colorscale": style.MAGNITUDE, "cmin": 100 * low, "cmax": 100 * high, "colorbar": bar}
    style.finish(figure, 700, "", "", style.budget(table), top=30, coloraxis=colours)
    figure.update_layout(margin={"r": 132})
    figure.update_xaxes(title="prior of the shrinkage", row=2)
    sizes = [paper.size(size) for size in reversed(ablation.GROUP_SIZES)]
    figure.update_yaxes(type="category", categoryorder="array", categoryarray=sizes, showgrid=False)
    figure.update_yaxes(title="channels per factor", col=1)
    return figure.update_xaxes(showgrid=False)


def _map(rows: pd.DataFrame, low: float, high: float) -> tuple:
    """Cells by colour, and what is written on them: dark on light, light on dark, a dot where nothing is stored."""
    x = [paper.PRIORS[where] for where in zip(rows["prior"], rows["scale"], strict=True)]
    y = [paper.size(size) for size in rows["group_size"]]
    written = ["·" if np.isnan(row.top1) else _cell(row) for row in rows.itertuples()]
    colours = cells.inks(rows["top1"].to_numpy(), (style.MAGNITUDE, low, high), style.REFERENCE)
    filled = go.Heatmap(
        x=x,
        y=y,
        z=100 * rows["top1"],
        customdata=[_named(row) for row in rows.itertuples()],
        coloraxis="coloraxis",
        hoverongaps=False,
        xgap=2,
        ygap=2,
        hovertemplate="%{y} channels per factor, prior %{x}<br>top-1 %{z:.2f} %<br>%{customdata}<extra></extra>",
    )
    look = {"mode": "text", "textfont": {"color": colours, "size": 12}, "hoverinfo": "skip", "showlegend": False}
    return filled, go.Scatter(x=x, y=y, text=written, **look)


def _named(row) -> str:
    """The paper's method at a point, or nothing."""
    if pd.isna(row.named):
        return ""
    return labels.method_label(row.named).split(" (")[0] + (" mean" if row.prior == "mean" else "")


def _cell(row) -> str:
    value = f"{100 * row.top1:.1f}"
    return f"<b>{_named(row)}</b><br>{value}" if _named(row) else value


def surface_limits(tables) -> dict:
    """One colour scale."""
    rows = pd.concat(tables)["top1"].dropna()
    low, high = rows.min(), rows.max()
    return {"low": round(float(low), 4), "high": round(float(max(high, low + 0.01)), 4)}


SURFACE = Chart("ablation.SURFACE", surface_table, surface_figure, paper.surface, surface_limits, counts=TESTED)
