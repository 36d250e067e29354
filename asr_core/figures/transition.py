"""Accuracy against sparsity for each pruning rule: where recalibration begins to fail and a repair beats it."""

from typing import Any

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from asr_core.figures import TESTED, Chart, NothingToDraw, style
from asr_core.report.sentences import rules
from asr_core.spec import labels
from asr_core.spec.recalibration import REPORTED_STATE, BatchNormState
from asr_core.spec.repairs import BN_ONLY, RepairSpec
from asr_core.store import Store
from asr_core.store.results import Result
from asr_core.store.tables import networks
from asr_core.studies import transition

FROM = 0.9  # sparsity from which on points are drawn; from the present one, if that is lower
COLUMNS = 3  # panels side by side
HALF = 0.15  # points of sparsity that a band reaches beyond its first and last sparsity
SHADE = "rgba(86,180,233,0.22)"
ROLES = {"dense": "dense", "no_repair": "no repair, no recalibration", "repair_alone": "without recalibration"}


def transition_table(
    result: Result, store: Store, groups, repair: RepairSpec, state: BatchNormState = REPORTED_STATE
) -> pd.DataFrame:
    """transition.judged of every stored rule from FROM (or the sparsity of `result`) on, and b, repaired (the repair in
    words).

    groups: transition.groups.
    """
    rows = transition.read(store, tuple(map(tuple, groups)))[0]
    table = transition.accuracy(rows, repair, state) if len(rows) else rows.assign(role=[])
    table = table[table["sparsity"] >= min(FROM, round(result.setting["sparsity_asked"], 6))]
    name = labels.label(repair)
    if not table["role"].isin(["bn_only", "repair"]).any():
        raise NothingToDraw(
            f"Neither BN only nor {name} is stored at this recalibration for any rule. Choose another b or repair."
        )
    table = transition.judged(store, table.reset_index(drop=True))
    return table.assign(**result.budget(state), repaired=name)


def transition_figure(
    table: pd.DataFrame, low: float = 0.0, high: float = 1.0, left: float = 0.9, right: float = 0.97
) -> go.Figure:
    """One panel per rule: the repair, BN only, no repair, dense; the other rules' repair in grey; the band shaded."""
    rules = transition.in_order(table)
    columns = min(COLUMNS, len(rules))
    lines = -(-len(rules) // columns)
    figure = make_subplots(
        lines,
        columns,
        shared_xaxes=True,
        shared_yaxes=True,
        subplot_titles=rules,
        horizontal_spacing=0.025,
        vertical_spacing=0.24 / lines,
    )
    names, shared = style.legend(table)
    for number, rule in enumerate(rules):
        _panel(figure, table, rule, names, {"row": number // columns + 1, "col": number % columns + 1}, number == 0)
    if table["inside"].eq(transition.IN).any():
        mark = {"symbol": "square", "size": 14, "color": SHADE}
        figure.add_scatter(
            x=[None], y=[None], mode="markers", name="BN only fails, the repair is ahead of it", marker=mark
        )
    style.finish(figure, 130 + 260 * lines, "", "", style.joined(shared, style.budget(table)), top=80)
    figure.update_layout(legend={"y": 1 + 40 / (260 * lines)})
    figure.update_xaxes(range=[100 * left, 100 * right], gridcolor=style.GRID, zeroline=False, showticklabels=True)
    figure.update_yaxes(range=[100 * low, 100 * high], gridcolor=style.GRID, zeroline=False)
    figure.update_xaxes(title="sparsity, %", row=lines)
    return figure.update_yaxes(title="top-1, %", col=1)


def _panel(figure: go.Figure, table: pd.DataFrame, rule: str, names: dict, where: dict, legend: bool) -> None:
    rows = table[table["rule"] == rule]
    others = table[(table["rule"] != rule) & (table["role"] == "repair")]
    grey = {"color": "rgba(136,136,136,0.55)", "width": 1}
    for number, (_, other) in enumerate(others.groupby("rule", sort=False)):
        _line(figure, other, "the repair under the other rules", grey, None, where, legend and number == 0)
    twice = set(networks(rows[rows["role"] == "repair"])) == {BN_ONLY}  # drawn once where BN only is the repair
    for role, line in rows.groupby("role", sort=False):
        if not (role == "bn_only" and twice):
            _role(figure, role, line, names, where, legend)
    for low, high in transition.runs(rows, sorted(table["sparsity"].unique())):  # after the lines: an empty panel
        ends = 100 * low - HALF, 100 * high + HALF  # would take no shape
        figure.add_vrect(*ends, fillcolor=SHADE, line_width=0, layer="below", **where)


def _role(figure: go.Figure, role: str, line: pd.DataFrame, names: dict, where: dict, legend: bool) -> None:
    """One of transition.accuracy's roles."""
    network = networks(line).iloc[0]
    colour, symbol = style.look_of(network)
    dash = {"dense": "longdash", "no_repair": "dot", "repair_alone": "dot", "bn_only": "dash"}.get(role, "solid")
    name = ROLES.get(role, names[network])
    name = f"{names[network]}, {name}" if role == "repair_alone" else name
    look = {"color": colour, "width": 2, "dash": dash}
    _line(figure, line, name, look, None if role == "dense" else symbol, where, legend)


def _line(
    figure: go.Figure, rows: pd.DataFrame, name: str, line: dict, symbol: str | None, where: dict, legend: bool
) -> None:
    """One line over sparsity; with `symbol`, marks, intervals and hover."""
    rows = rows.sort_values("sparsity")
    more: dict[str, Any] = {
        "mode": "lines+markers" if len(rows) == 1 else "lines",
        "hoverinfo": "skip",
    }  # one point is no line
    if symbol:
        told = rows[["rule", "achieved", "top1_low", "top1_high", "n_eval"]].to_numpy()
        more = {
            "mode": "lines+markers",
            "marker": {"symbol": symbol, "size": 8},
            "error_y": style.interval(rows["top1"], rows["top1_low"], rows["top1_high"], thickness=1, width=2),
            "customdata": told,
            "hovertemplate": HOVER,
        }
    figure.add_scatter(
        x=100 * rows["sparsity"],
        y=100 * rows["top1"],
        name=name,
        legendgroup=name,
        showlegend=legend,
        line=line,
        **more,
        **where,
    )


HOVER = (
    "<b>%{customdata[0]}</b>, %{fullData.name}<br>%{x:.4g} % asked, %{customdata[1]:.3%} achieved"
    "<br>top-1 %{y:.2f} % [%{customdata[2]:.1%}, %{customdata[3]:.1%}], n = %{customdata[4]:,}<extra></extra>"
)


def transition_limits(tables) -> dict:
    """Equal axes with a little room."""
    rows = pd.concat(tables)
    low, high = rows["top1_low"].min(), rows["top1_high"].max()
    return {
        "low": round(max(0.0, float(low) - 0.03), 3),
        "high": round(min(1.02, float(high) + 0.03), 3),
        "left": round(float(rows["sparsity"].min()) - 0.004, 4),
        "right": round(float(rows["sparsity"].max()) + 0.004, 4),
    }


TRANSITION = Chart(
    "transition.TRANSITION",
    transition_table,
    transition_figure,
    rules.bands,
    transition_limits,
    wide=True,
    counts=TESTED,
)
