"""Accuracy against sparsity for each pruning rule: where recalibration begins to fail and a repair beats it."""

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from asr_core.figures import Chart, NothingToDraw, style
from asr_core.spec.grid import BatchNormState
from asr_core.store import default_root
from asr_core.store.results import Result
from asr_core.studies import transition

FROM = 0.9  # sparsity from which on points are drawn; from the present one, if that is lower
COLUMNS = 3  # panels side by side
HALF = 0.15  # points of sparsity that a band reaches beyond its first and last sparsity
SHADE = "rgba(86,180,233,0.22)"
ROLES = {"dense": "dense", "no_repair": "no repair, no recalibration", "repair_alone": "without recalibration"}


def transition_table(
    result: Result, groups, slug: str, start="reset", averaging="ema", momentum: float = 0.1, b: int = 20
) -> pd.DataFrame:
    """transition.accuracy of every stored rule from FROM (or the sparsity of `result`) on, and label, band_low, band_high (sparsities, NaN: no band).

    groups: transition.groups; slug: the repair.
    """
    root = str(default_root())
    rows = transition.read(root, tuple(map(tuple, groups)))[0]
    state = BatchNormState.of(start, averaging, momentum, b)
    table = transition.accuracy(rows, slug, state) if len(rows) else rows.assign(role=[])
    table = table[table["sparsity"] >= min(FROM, round(result.setting["sparsity_asked"], 6))]
    if not table["role"].isin(["bn_only", "repair"]).any():
        raise NothingToDraw(
            f"Neither BN only nor {style.label(slug)} is stored at this recalibration for any rule. Compute one, or choose another b."
        )
    bands = {rule: transition.band(root, table, rule) or (float("nan"),) * 2 for rule in table["rule"].unique()}
    ends = pd.DataFrame.from_dict(bands, orient="index", columns=["band_low", "band_high"])
    return (
        table.join(ends, on="rule")
        .assign(label=table["rule"].map(transition.label_of), repair=slug)
        .reset_index(drop=True)
    )


def transition_figure(
    table: pd.DataFrame, low: float = 0.0, high: float = 1.0, left: float = 0.9, right: float = 0.97
) -> go.Figure:
    """One panel per rule: the repair, BN only, no repair and dense; the other rules' repair in grey; the band shaded."""
    rules = transition.in_order(table["rule"])
    columns = min(COLUMNS, len(rules))
    lines = -(-len(rules) // columns)
    figure = make_subplots(
        lines,
        columns,
        shared_xaxes=True,
        shared_yaxes=True,
        subplot_titles=[transition.label_of(rule) for rule in rules],
        horizontal_spacing=0.025,
        vertical_spacing=0.24 / lines,
    )
    for number, rule in enumerate(rules):
        _panel(figure, table, rule, {"row": number // columns + 1, "col": number % columns + 1}, number == 0)
    if table["band_low"].notna().any():
        figure.add_scatter(
            x=[None],
            y=[None],
            mode="markers",
            name="BN only fails, the repair beats it",
            marker={"symbol": "square", "size": 14, "color": SHADE},
        )
    style.finish(figure, 130 + 260 * lines, "", "")
    figure.update_layout(margin={"t": 80}, legend={"y": 1 + 40 / (260 * lines)})
    figure.update_xaxes(range=[100 * left, 100 * right], gridcolor=style.GRID, zeroline=False, showticklabels=True)
    figure.update_yaxes(range=[100 * low, 100 * high], gridcolor=style.GRID, zeroline=False)
    figure.update_xaxes(title="sparsity, %", row=lines)
    return figure.update_yaxes(title="top-1, %", col=1)


def _panel(figure: go.Figure, table: pd.DataFrame, rule: str, where: dict, legend: bool) -> None:
    rows = table[table["rule"] == rule]
    first = rows.iloc[0]
    others = table[(table["rule"] != rule) & (table["role"] == "repair")]
    for number, (_, other) in enumerate(others.groupby("rule", sort=False)):
        _line(
            figure,
            other,
            "the repair under the other rules",
            {"color": "rgba(136,136,136,0.55)", "width": 1},
            None,
            where,
            legend and number == 0,
        )
    for role, line in rows.groupby("role", sort=False):
        slug = line["slug"].iloc[0]
        colour, symbol = style.look_of(slug)
        dash = {"dense": "longdash", "no_repair": "dot", "repair_alone": "dot", "bn_only": "dash"}.get(role, "solid")
        name = f"{style.label(slug)}, {ROLES[role]}" if role == "repair_alone" else ROLES.get(role, style.label(slug))
        if not (role == "bn_only" and first["repair"] == slug):  # drawn once where BN only is the repair
            _line(
                figure,
                line,
                name,
                {"color": colour, "width": 2, "dash": dash},
                None if role == "dense" else symbol,
                where,
                legend,
            )
    if first["band_low"] == first["band_low"]:  # after the lines: an empty panel would take no shape
        figure.add_vrect(
            100 * first["band_low"] - HALF,
            100 * first["band_high"] + HALF,
            fillcolor=SHADE,
            line_width=0,
            layer="below",
            **where,
        )


def _line(
    figure: go.Figure, rows: pd.DataFrame, name: str, line: dict, symbol: str | None, where: dict, legend: bool
) -> None:
    """One line over sparsity; with `symbol`, marks, intervals and hover."""
    rows = rows.sort_values("sparsity")
    more = {
        "mode": "lines+markers" if symbol is None and len(rows) == 1 else "lines",
        "hoverinfo": "skip",
    }  # one point is no line
    if symbol:
        errors = {
            "type": "data",
            "symmetric": False,
            "array": 100 * (rows["top1_high"] - rows["top1"]),
            "arrayminus": 100 * (rows["top1"] - rows["top1_low"]),
            "thickness": 1,
            "width": 2,
        }
        told = rows[["label", "achieved", "top1_low", "top1_high", "n_eval"]].to_numpy()
        more = {
            "mode": "lines+markers",
            "marker": {"symbol": symbol, "size": 8},
            "error_y": errors,
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


def transition_sentence(table: pd.DataFrame) -> str:
    """The band of each rule."""
    slug, parts = table["repair"].iloc[0], []
    for rule in transition.in_order(table["rule"]):
        first = table[table["rule"] == rule].iloc[0]
        parts.append(f"{first['label']} {band_text(first['band_low'], first['band_high'])}")
    return f"Where BatchNorm recalibration alone fails and {style.label(slug)} beats it: {', '.join(parts)}."


def band_text(low: float, high: float) -> str:
    """'94 to 95.5 %', '95 %' or 'nowhere'."""
    if low != low:
        return "nowhere"
    return f"{100 * low:.4g} %" if low == high else f"{100 * low:.4g} to {100 * high:.4g} %"


TRANSITION = Chart(
    "transition.TRANSITION", transition_table, transition_figure, transition_sentence, transition_limits, wide=True
)
