"""Answers by class: the share of each class that networks get right, and what they answer instead."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from asr_core.figures import TESTED, Chart, cells, style
from asr_core.figures.paying import said
from asr_core.images import data
from asr_core.report.sentences import images
from asr_core.spec import labels
from asr_core.spec.experiment import Setting
from asr_core.spec.recalibration import REPORTED_STATE, BatchNormState
from asr_core.spec.repairs import DENSE, NO_REPAIR, RepairSpec
from asr_core.store import Store
from asr_core.store.answers import Answers
from asr_core.store.results import Result
from asr_core.store.tables import rows_of
from asr_core.studies import byclass

MOST = 20  # classes that are drawn of more: those that pruning moves most
TEXT = 12  # classes up to which cells hold their number


def _chosen(there: dict[RepairSpec, Answers], repair: RepairSpec | None) -> RepairSpec:
    """The repair that is looked at, or the last stored one."""
    if repair is None or repair not in there or repair in (DENSE, NO_REPAIR):
        return list(there)[-1]
    return repair


def names_of(result: Result, store: Store) -> tuple[str, ...]:
    """Names of the classes, as far as they are known here."""
    return data.class_names(Setting.from_facts(result.setting).data, store)


def recalls_table(
    result: Result,
    store: Store,
    repairs=(),
    state: BatchNormState = REPORTED_STATE,
    repair: RepairSpec | None = None,
) -> pd.DataFrame:
    """byclass.recalls with label, `moved` (recall of the class in the dense minus in the pruned network), `looked_at`
    (label of `repair`, or of the last stored one) and b; classes by `moved`, largest loss first."""
    there = said(result, repairs, state)
    chosen = _chosen(there, repair)
    table = style.labelled(byclass.recalls(there, names_of(result, store), chosen))
    moved = (
        (rows_of(table, DENSE).set_index("class_index")["recall"])
        - (rows_of(table, NO_REPAIR).set_index("class_index")["recall"])
    )
    table = table.assign(moved=table["class_index"].map(moved), looked_at=labels.label(chosen), **result.budget(state))
    return style.ordered(table.sort_values("moved", ascending=False, kind="stable"))


def recalls_figure(table: pd.DataFrame) -> go.Figure:
    """A line per class, a mark with its interval per network; of many classes those that pruning moves most."""
    shown, figure = _shown(table), go.Figure()
    for network, rows in style.each(table[table["class_index"].isin(shown)]):
        colour, symbol = style.look_of(network)
        figure.add_scatter(
            x=100 * rows["recall"],
            y=rows["class"],
            error_x=style.interval(rows["recall"], rows["low"], rows["high"], thickness=1, width=3),
            mode="markers",
            name=rows["label"].iloc[0],
            marker={"color": colour, "symbol": symbol, "size": 10, "line": {"width": 1.5}},
            customdata=rows[["right", "n", "low", "high"]].to_numpy(float) * [1, 1, 100, 100],
            hovertemplate="%{fullData.name}<br><b>%{y}</b> %{x:.1f} % [%{customdata[2]:.1f}, %{customdata[3]:.1f}]<br>"
            "%{customdata[0]:,.0f} of %{customdata[1]:,.0f} images right<extra></extra>",
        )
    figure.update_yaxes(autorange="reversed", type="category")
    figure.update_xaxes(range=[-1, 101])
    of = f"{len(shown)} of {table['class_index'].nunique()} classes, those that pruning moves most"
    more = of if len(shown) < table["class_index"].nunique() else ""
    shared = style.joined(style.legend(table)[1], style.budget(table), more)
    return style.finish(
        figure, 130 + 34 * len(shown), "images of the class that are right, % (95 % interval)", "", shared
    )


def _shown(table: pd.DataFrame) -> list[int]:
    """The classes that are drawn."""
    classes = table.drop_duplicates("class_index").set_index("class_index")["moved"]
    most = classes.abs().sort_values(ascending=False, kind="stable").index[:MOST]
    return [each for each in classes.index if each in most]


RECALLS = Chart("classes.RECALLS", recalls_table, recalls_figure, images.recalls, wide=True, counts=TESTED)


def confusions_table(
    result: Result,
    store: Store,
    repairs=(),
    state: BatchNormState = REPORTED_STATE,
    repair: RepairSpec | None = None,
) -> pd.DataFrame:
    """byclass.confusions of dense, no repair and `repair` (or the last stored one), with label and b."""
    there = said(result, repairs, state)
    chosen = {network: there[network] for network in (DENSE, NO_REPAIR, _chosen(there, repair))}
    return style.labelled(byclass.confusions(chosen, names_of(result, store))).assign(**result.budget(state))


def confusions_figure(table: pd.DataFrame) -> go.Figure:
    """Three grids: rows are classes, columns answers, colour the share of the class that gets the answer."""
    parts = list(style.each(table))
    titles = [rows["label"].iloc[0] for _, rows in parts]
    made = make_subplots(1, len(parts), column_titles=titles, shared_yaxes=True, horizontal_spacing=0.02)
    for column, (_, rows) in enumerate(parts, 1):
        for trace in _answers(rows, with_bar=column == len(parts)):
            made.add_trace(trace, row=1, col=column)
    classes = table["class_index"].nunique()
    style.finish(made, 170 + min(480, 30 * classes), "", "", style.budget(table), top=44)
    made.update_yaxes(autorange="reversed", type="category", title=None)
    made.update_xaxes(type="category", tickangle=-60)
    made.update_yaxes(title="class", row=1, col=1)
    made.update_xaxes(title="answer", row=1, col=2)
    return made


def _answers(rows: pd.DataFrame, with_bar: bool) -> list:
    """The grid of one network, and what stands in its cells where classes are few."""
    percent = 100 * rows.pivot(index="class_index", columns="answer_index", values="share")
    answers = rows.drop_duplicates("answer_index").set_index("answer_index")["answer"].loc[percent.columns]
    classes = rows.drop_duplicates("class_index").set_index("class_index")["class"].loc[percent.index]
    few = len(percent) <= TEXT
    grid = go.Heatmap(
        z=style.numbers(percent),
        x=answers,
        y=classes,
        customdata=rows.pivot(index="class_index", columns="answer_index", values="n"),
        colorscale=style.MAGNITUDE,
        zmin=0,
        zmax=100,
        showscale=with_bar,
        colorbar={"title": {"text": "% of the class", "side": "right"}, "thickness": 12},
        xgap=1 if few else 0,
        ygap=1 if few else 0,
        hovertemplate="%{y} answered as %{x}:<br>%{z:.1f} %, %{customdata:,} images<extra></extra>",
    )
    ends = style.MAGNITUDE, 0, 100
    return (
        [grid, cells.written(answers, classes, percent, _cells(percent), ends, style.REFERENCE, size=10)]
        if few
        else [grid]
    )


def _cells(percent: pd.DataFrame) -> list[list[str]]:
    return [["" if not np.isfinite(v) or v < 0.5 else f"{v:.0f}" for v in row] for row in percent.to_numpy(float)]


CONFUSIONS = Chart(
    "classes.CONFUSIONS", confusions_table, confusions_figure, images.confusions, wide=True, counts=TESTED
)
