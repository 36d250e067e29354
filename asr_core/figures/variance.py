"""One layer's channels: repaired against dense variance, sorted as in the paper's figure 4, and kept energy."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from asr_core.figures import Chart, NothingToDraw, cloud, style
from asr_core.measure import diagnostics
from asr_core.report.sentences import damage
from asr_core.spec.repairs import NO_REPAIR, RepairSpec
from asr_core.store.results import Result
from asr_core.store.tables import rows_of, typed, with_network

STAGES = {
    "repaired": "measured, before BatchNorm recalibration",
    "recalibrated": "measured, after recalibration at the reporting point",
    "predicted": "predicted: γ² · v_pruned",
}
DIVERGED = 1e6  # times the largest dense variance of a layer, from which on a variance is drawn on the edge
CROWDED = 5000  # marks in a figure: more are drawn smaller, which hides fewer


def points_table(result: Result, layer: str, repairs=(), stage: str = "repaired") -> pd.DataFrame:
    """One row per network (no_repair, then `repairs`) and channel of `layer`.

    COLUMNS, label, channel, v_dense, v (variance of that network at `stage`), v_pruned, gamma, shrinkage,
    kept_energy, kept_fraction, dead (dense or shown variance at or under the floor), diverged, fallback (the method
    left the whole layer as it was).
    """
    base = result.channels[result.channels["layer"] == layer]
    if base.empty:
        raise NothingToDraw(f"No channel statistics of {layer} are stored for this setting.")
    base = base[["channel", "v_dense", "v_pruned", "kept_energy", "kept_fraction"]]
    unrepaired = base.assign(v=base["v_pruned"], gamma=1.0, shrinkage=np.nan, fallback=False)
    table = pd.concat(
        [with_network(unrepaired, NO_REPAIR), *repaired_rows(result, base, repairs, stage, layer)], ignore_index=True
    )
    dead = (table["v_dense"] <= diagnostics.FLOOR) | (table["v"] <= diagnostics.FLOOR)
    return style.labelled(table).assign(dead=dead, layer=layer, diverged=diverged(table))


def diverged(table: pd.DataFrame) -> pd.Series:
    """Whether a variance v lies beyond the range of numbers, or DIVERGED times over every dense one of the table."""
    most = table["v_dense"][np.isfinite(table["v_dense"])].max()
    return ~np.isfinite(table["v"]) | (table["v"] > DIVERGED * max(most, diagnostics.FLOOR))


def placed(table: pd.DataFrame, low: float, high: float) -> pd.Series:
    """v on an axis over [low, high]: dead channels on its lower edge, diverged ones on its upper."""
    inside = table["v"].where(~table["dead"], style.floor_of(low, high))
    return inside.where(~table["diverged"], style.floor_of(high, low))


def repaired_rows(
    result: Result, base: pd.DataFrame, repairs, stage: str, layer: str | None = None
) -> list[pd.DataFrame]:
    """`base` (rows of channels, of one `layer` or all) once per repair, with COLUMNS, v at `stage`, gamma, shrinkage,
    fallback.

    Repairs that are not measured at that stage, or cannot differ from no repair there, are left out.
    """
    measured = "v_repaired" if stage == "predicted" else f"v_{stage}"
    if measured not in result.repairs:
        return []
    by = ["layer", "channel"] if layer is None else ["channel"]
    measurements = result.repairs if layer is None else result.repairs[result.repairs["layer"] == layer]
    parts = []
    for repair in style.in_order(repair for repair in repairs if not repair.unchanged(stage)):
        rows = rows_of(measurements, repair)
        if rows[measured].isna().all() and rows_of(result.repairs, repair)[measured].isna().all():
            continue  # of no layer: in this one alone the signal may have exploded
        own = base.merge(rows[[*by, measured, "gamma", "shrinkage", "fallback"]], on=by)
        gamma = own["gamma"].fillna(1.0) if repair.scales else own["gamma"]
        v = gamma**2 * own["v_pruned"] if stage == "predicted" else own[measured]
        made = own[[*base, "shrinkage"]].assign(v=v, gamma=gamma, fallback=own["fallback"].eq(True))
        parts.append(with_network(made, repair))
    return parts


def size_of(table: pd.DataFrame, size: float) -> float:
    """Diameter of a mark in pixels."""
    return size if len(table) <= CROWDED else 0.6 * size


def scatter_figure(
    table: pd.DataFrame, low: float = 1e-6, high: float = 1e2, left: float = 1e-6, right: float = 1e2
) -> go.Figure:
    """v over [low, high] against v_dense over [left, right], log-log; dead channels lie on the lower edge, diverged
    ones on the upper."""
    figure = go.Figure()
    style.diagonal(figure, left, right, "y = x: variance as before")
    for network, rows in style.each(table):
        x = rows["v_dense"].where(rows["v_dense"] > diagnostics.FLOOR, style.floor_of(left, right))
        _marks(figure, network, rows, x, placed(rows, low, high), size_of(table, 7))
    edges = {"dead": ("dead channels", style.floor_of(low, high), "top left")}
    edges["diverged"] = ("diverged channels", style.floor_of(high, low), "bottom left")
    for name, (text, level, place) in edges.items():
        if table[name].any():
            _edge(figure, left, right, level, text, place)
    figure.update_xaxes(style.log_axis(left, right))
    figure.update_yaxes(style.log_axis(low, high))
    x, y = "dense variance of the channel", "variance after pruning and repair"
    units = " (activation units²)"
    return cloud.condensed(style.finish(figure, 520, x + units, y + units, style.legend(table)[1]))


def _edge(figure: go.Figure, left: float, right: float, level: float, text: str, place: str) -> None:
    """A dotted line for channels that have no place on the axis."""
    figure.add_scatter(
        x=[left, right],
        y=[level, level],
        mode="lines+text",
        text=["", text],
        textposition=place,
        textfont={"size": 11},
        line={"color": style.REFERENCE, "dash": "dot", "width": 1},
        hoverinfo="skip",
        showlegend=False,
    )


def _marks(figure: go.Figure, network: RepairSpec, rows: pd.DataFrame, x, y, size: float) -> None:
    """The channels of one network."""
    colour, symbol = style.look_of(network)
    name = rows["label"].iloc[0]
    figure.add_scatter(
        x=style.numbers(x),
        y=style.numbers(y),
        mode="markers",
        name=name,
        customdata=style.numbers(rows[["channel", "v_dense", "v", "gamma"]]),
        marker={"color": colour, "symbol": symbol, "size": size, "opacity": 0.75},
        unselected={"marker": {"opacity": 0.75}},
        hovertemplate=f"channel %{{customdata[0]}}<br>dense %{{customdata[1]:.3g}}<br>{name} %{{customdata[2]:.3g}}<br>"
        "factor %{customdata[3]:.3f}<extra></extra>",
    )


def scatter_limits(tables) -> dict:
    """One range per axis for all figures, with room for the dead channels' line; y holds x's range too."""
    x = _live(tables, "v_dense")
    y = np.concatenate([x, _live(tables, "v")])
    if not len(y):
        return {}
    if not len(x):
        x = y
    ends = {"low": y.min() / 4, "high": y.max() * 2, "left": x.min() / 2, "right": x.max() * 2}
    return {name: float(f"{value:.2g}") for name, value in ends.items()}


def _live(tables, name: str) -> np.ndarray:
    values = np.concatenate([t.loc[~diverged(t) if name == "v" else slice(None), name].to_numpy(float) for t in tables])
    return values[np.isfinite(values) & (values > diagnostics.FLOOR)]


def alphas(table: pd.DataFrame) -> pd.DataFrame:
    """Both alphas of each network in a points_table: COLUMNS, label, slope with interval and R², ratio, channels used
    and dropped."""
    fits = [
        network.columns | {"label": rows["label"].iloc[0]} | diagnostics.alpha(rows["v_dense"], rows["v"])
        for network, rows in style.each(table)
    ]
    return typed(pd.DataFrame(fits))


def scatter_sentence(table: pd.DataFrame) -> str:
    """How far each network's variances are from the dense ones."""
    return damage.variances(table, alphas(table))


SCATTER = Chart("variance.SCATTER", points_table, scatter_figure, scatter_sentence, scatter_limits)
