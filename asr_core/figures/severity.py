"""Gain of one method over another against the damage: figures 6 and 9, one point per stored setting."""

from functools import lru_cache

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from asr_core.figures import TESTED, Chart, NothingToDraw, style
from asr_core.measure.statistics import correlation
from asr_core.report.sentences import settings as sentences
from asr_core.spec import labels
from asr_core.spec.recalibration import REPORTED_STATE, BatchNormState
from asr_core.store import Store
from asr_core.store.results import Result
from asr_core.studies import ablation
from asr_core.studies import severity as settings

GAINS = {name: f"{labels.method_label(a)} over {labels.method_label(b)}" for name, (a, b) in settings.GAINS.items()}
AGAINST = {
    "severity": "severity: mean |√(v_pruned / v_dense) − 1|",
    "overshoot": "overshoot: mean max(0, γ_LW − 1) over layers",
}
HERE = "#D55E00"
COLOURS = ("#00AA4F", "#005AFF", "#E57500", "#A347B2")
SYMBOLS = ("circle", "square", "diamond", "triangle-up")


def gain_table(
    result: Result,
    store: Store,
    groups,
    gain="asr_lw",
    against="severity",
    orders=("simultaneous",),
    biases=(False,),
    prior="median",
    state: BatchNormState = REPORTED_STATE,
) -> pd.DataFrame:
    """One row per setting, order and bias: severity.gains, x (the damage), order, bias, b, `here` (that of `result`).

    groups: keys of all stored results, those of one setting together (severity.groups).
    """
    grouped = tuple(map(tuple, groups))
    parts = [
        points.assign(order=order, bias=bias)
        for order in orders
        for bias in biases
        if len(points := settings.gains(store, grouped, gain, order, bias, prior, state))
    ]
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
    if table.empty:
        raise NothingToDraw(
            f"No stored setting holds both methods of {GAINS[gain]} at this recalibration. "
            "Choose another b, order or mean correction."
        )
    here = result.entry and result.entry.manifest["key"]
    mine = [here in groups[point] for point in table["point"]]
    told = {
        "gained": GAINS[gain],
        "against": against,
        "b": state.calib_batches,
        "recalibration": labels.recalibration(state),
        "absorbed": state.averaging == "cumulative" and state.calib_batches > 0,
    }
    return table.assign(x=table[against].astype(float), here=mine, **told)


def gain_figure(
    table: pd.DataFrame, low: float = 0.0, high: float = 1.0, bottom: float = -0.1, top: float = 0.5
) -> go.Figure:
    """Gain in points against the damage; a ring marks the present setting."""
    figure = go.Figure()
    for number, ((order, bias), rows) in enumerate(table.groupby(["order", "bias"], sort=False)):
        _points(figure, rows, f"{order} · bias {'on' if bias else 'off'}", number % len(COLOURS))
    mine = table[table["here"]]
    figure.add_scatter(
        x=mine["x"],
        y=100 * mine["gain"],
        mode="markers",
        name="present setting",
        hoverinfo="skip",
        customdata=mine[["key"]].to_numpy(),
        marker={"symbol": "circle-open", "size": 20, "color": HERE, "line": {"width": 2.5}},
        unselected={"marker": {"opacity": 1}},
    )
    figure.add_hline(0, line={"color": style.REFERENCE, "dash": "dot", "width": 1.5})
    y = f"gain of {table['gained'].iloc[0]}, points"
    style.finish(figure, 460, AGAINST[table["against"].iloc[0]], y, showlegend=True)
    wide = _logarithmic(table, low, high)
    figure.update_xaxes(**(style.log_axis(low, high) if wide else {"range": [low, high]}))
    figure.update_yaxes(range=[100 * bottom, 100 * top])
    return figure


def _points(figure: go.Figure, rows: pd.DataFrame, name: str, look: int) -> None:
    """One mark per setting, with its interval."""
    figure.add_scatter(
        x=rows["x"],
        y=100 * rows["gain"],
        error_y=style.interval(rows["gain"], rows["gain_low"], rows["gain_high"], thickness=1, width=3),
        mode="markers",
        name=name,
        marker={"color": COLOURS[look], "size": 10, "symbol": SYMBOLS[look]},
        unselected={"marker": {"opacity": 1}},
        customdata=rows[["key", "label", "severity", "overshoot"]].to_numpy(),
        hovertemplate="<b>%{customdata[1]}</b><br>gain %{y:+.1f} points<br>"
        "severity %{customdata[2]:.3f}, overshoot %{customdata[3]:.3g}<extra>%{fullData.name}</extra>",
    )


def _logarithmic(table: pd.DataFrame, low: float, high: float) -> bool:
    return table["against"].iloc[0] == "overshoot" and low > 0 and high / low > 30


def gain_limits(tables) -> dict:
    """Axes that hold all points and intervals; logarithmic overshoot where it spans more than a factor of 30."""
    rows = pd.concat(tables)
    x = rows["x"][np.isfinite(rows["x"])]
    least, most = (float(x.min()), float(x.max())) if len(x) else (0.0, 1.0)
    wide = rows["against"].iloc[0] == "overshoot" and least > 0 and most / least > 20
    pad = 0.08 * max(most - least, 0.1)
    ends = (least / 1.6, most * 1.6) if wide else (max(0.0, least - pad), most + pad)
    low, high = rows[["gain_low", "gain"]].min().min(), rows[["gain_high", "gain"]].max().max()
    return {
        "low": round(ends[0], 4),
        "high": round(ends[1], 4),
        "bottom": round(float(low) - 0.02, 3),
        "top": round(float(high) + 0.02, 3),
    }


def correlations(store: Store, groups, gain: str, order: str, bias: bool, prior: str, states) -> pd.DataFrame:
    """Ours and the paper's by damage and BatchNorm state: against, b, statistics.correlation, paper_pearson and
    paper_spearman (NaN: none)."""
    return _correlations(store, tuple(map(tuple, groups)), gain, order, bias, prior, tuple(states)).copy()


@lru_cache(maxsize=64)  # resampling is what takes long, and sessions ask for the same
def _correlations(store: Store, grouped, gain: str, order: str, bias: bool, prior: str, states) -> pd.DataFrame:
    paper = ablation.published("severity").set_index(["gain", "against", "calib_batches"]).add_prefix("paper_")
    found = []
    for against in AGAINST:
        for state in states:
            points = settings.gains(store, grouped, gain, order, bias, prior, state)
            where = {"gain": gain, "against": against, "calib_batches": state.calib_batches}
            found.append(where | correlation(points[against], points["gain"], points["network"]))
    table = pd.DataFrame(found).join(paper, on=["gain", "against", "calib_batches"])
    return table.rename(columns={"calib_batches": "b"})


GAIN = Chart("severity.GAIN", gain_table, gain_figure, sentences.gains, gain_limits, counts=TESTED)
