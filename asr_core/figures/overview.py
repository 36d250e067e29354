"""Overview: accuracy of each method at one budget, and the network as a strip of layers coloured by damage."""

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from asr_core.figures import TESTED, Chart, NothingToDraw, sprites, style
from asr_core.report.sentences import accuracies, damage
from asr_core.spec.recalibration import NO_STATE, REPORTED_STATE, BatchNormState
from asr_core.spec.repairs import COLUMNS, DENSE
from asr_core.store import Store, results
from asr_core.store.results import Result
from asr_core.store.tables import networks
from asr_core.studies import answered, noise, paired, signalled, taught

DAMAGES = {
    "severity": ("severity", "mean |√(v_pruned / v_dense) − 1| over channels"),
    "within_spread": ("within-layer spread", "standard deviation of ln γ_raw over live channels"),
    "dead_share": ("dead channels", "share of channels with no variance left"),
    "overshoot": ("overshoot", "max(0, γ_LW − 1)"),
    "achieved": ("sparsity of the layer", "share of its weights removed"),
    "rho": ("signal", "median correlation of the pruned network's channels with the dense output: 1 is all signal"),
    "unmendable": ("noise", "Σ v_dense (1 − ρ²) / Σ v_dense: what no factor and bias mends, of the dense variance"),
}
SIGNAL = ("rho", "unmendable")  # those that are there only where signal is stored
NO_SIGNAL = "Not stored: the signal of the pruned network; the page Signal computes it."
MEASURED, PLACE = ["top1", "top1_low", "top1_high"], ["key", "stored_row"]


def accuracy_table(
    result: Result, repairs=(), state: BatchNormState = REPORTED_STATE, store: Store | Any = None, draws=()
) -> pd.DataFrame:
    """dense, no repair, and each of `repairs` in one BatchNorm state: COLUMNS, label, top1, interval, n_eval (NaN: not
    stored), b, recalibration, dense_alike, what `paired.with_best` adds, and noise.over_draws.

    draws: keys, in `store`, of the results that differ from `result` in their calibration draw alone, its own too.
    """
    found = answered.rows(result.accuracy, repairs, state)
    if found.empty:
        raise NothingToDraw("No accuracy is stored for this setting.")
    kept = [name for name in (*COLUMNS, *MEASURED, "n_eval", *PLACE) if name in found]
    table = style.ordered(found[kept].astype(dict.fromkeys(MEASURED, float)))
    table = paired.with_best(table, results.right_of([result], table)).drop(columns=PLACE, errors="ignore")
    if len(draws) > 1:
        table = table.merge(noise.over_draws(store, draws, repairs, state), on=COLUMNS, how="left")
    else:
        table = table.assign(draws=1, draw_mean=float("nan"), draw_low=float("nan"), draw_high=float("nan"))
    return style.labelled(table).assign(**result.budget(state), dense_alike=_dense_alike(result, state))


def _dense_alike(result: Result, state: BatchNormState) -> float:
    """Top-1 of the dense network under the same recalibration; NaN where there is none, or it is not stored."""
    return taught.top1(result, DENSE, state) if state.calib_batches else float("nan")


def accuracy_figure(table: pd.DataFrame, low: float = 0.0, high: float = 1.0) -> go.Figure:
    """Dots with 95 % intervals, one line per method, dense on top; what is not stored says so on its line."""
    figure = go.Figure()
    for network, rows in style.each(table):
        if rows["top1"].isna().all():
            style.not_stored(figure, 100 * low, rows["label"])
            continue
        if rows["draws"].gt(1).all():
            _draws(figure, rows, style.look_of(network)[0])
        ends = 100 * rows[["top1_low", "top1_high"]].to_numpy(float)
        told = "%{y}<br>%{x:.2f} % [%{customdata[0]:.1f}, %{customdata[1]:.1f}]<extra></extra>"
        top1, least, most = rows["top1"], rows["top1_low"], rows["top1_high"]
        style.marks(figure, network, rows["label"], top1, least, most, customdata=ends, hovertemplate=told)
    figure.update_xaxes(range=[100 * low, 100 * high])
    figure.update_yaxes(range=[len(table) - 0.4, -0.6], type="category")  # the first number stands whole above its mark
    title = "top-1 accuracy, % (95 % interval)"
    return style.finish(figure, 90 + 42 * len(table), title, "", _shared(table))


def _draws(figure: go.Figure, rows: pd.DataFrame, colour: str) -> None:
    """A wide faint bar from the least to the largest accuracy over calibration draws."""
    reach = style.interval(rows["draw_mean"], rows["draw_low"], rows["draw_high"], thickness=11, width=0)
    figure.add_scatter(
        x=100 * rows["draw_mean"],
        y=rows["label"],
        error_x=reach | {"color": style.faint(colour, 0.3)},
        mode="markers",
        marker={"color": colour, "symbol": "line-ns", "size": 11, "line": {"width": 2, "color": colour}},
        hovertemplate=f"%{{y}}<br>mean of {int(rows['draws'].iloc[0])} draws %{{x:.2f}} %<extra></extra>",
        showlegend=False,
    )


def _shared(table: pd.DataFrame) -> str:
    repaired = not table["method"].isin(style.REFERENCES).all()
    return style.joined(style.legend(table)[1], style.budget(table) if repaired else "")


def accuracy_limits(tables) -> dict:
    """From a little under the lowest interval to a little over the highest."""
    low = min(t[["top1_low", "draw_low"]].min().min() for t in tables)
    high = max(t[["top1_high", "draw_high"]].max().max() for t in tables)
    if not low <= high:
        return {"low": 0.0, "high": 1.0}
    pad = 0.08 * max(high - low, 0.05)
    return {"low": round(max(0.0, low - pad), 3), "high": round(min(1.02, high + pad), 3)}


def accuracy_difference(pinned: pd.DataFrame, current: pd.DataFrame) -> pd.DataFrame:
    """Current minus pinned top-1, of the methods in both (fractions)."""
    both = current.merge(pinned[[*COLUMNS, "top1"]], on=COLUMNS, suffixes=("", "_pinned"))
    return both.assign(difference=both["top1"] - both["top1_pinned"]).dropna(subset="difference")


def accuracy_difference_figure(table: pd.DataFrame, low: float = 0.0, high: float = 1.0) -> go.Figure:
    """Bars of current minus pinned accuracy."""
    colours = [style.look_of(network)[0] for network in networks(table)]
    text = [f"{100 * d:+.1f}" for d in table["difference"]]
    bars = go.Bar(
        x=100 * table["difference"],
        y=table["label"],
        orientation="h",
        marker_color=colours,
        text=text,
        textposition="outside",
        cliponaxis=False,
    )
    figure = go.Figure(bars)
    figure.update_yaxes(autorange="reversed", type="category")
    title = "current minus pinned top-1 accuracy, percentage points"
    return style.finish(figure, 90 + 42 * len(table), title, "", _shared(table))


ACCURACY = Chart(
    "overview.ACCURACY",
    accuracy_table,
    accuracy_figure,
    accuracies.overview,
    accuracy_limits,
    accuracy_difference,
    accuracy_difference_figure,
    counts=TESTED,
)


def damage_table(result: Result, signal: pd.DataFrame | Any = None) -> pd.DataFrame:
    """One row per layer: depth, channels, dead, dead_share, severity, within_spread, overshoot, achieved, absorbed; and
    SIGNAL, where the table of `signal_of` is given."""
    layers = result.layers.drop_duplicates("layer").sort_values("depth")
    if layers.empty:
        raise NothingToDraw("No channel statistics are stored for this setting.")
    columns = ["layer", "depth", "channels", "dead", "severity", "within_spread", "overshoot", "live_share"]
    convs = result.convs[["layer", "achieved", "absorbed"]]
    table = layers[columns].merge(convs, on="layer", how="left")
    table = table.assign(dead_share=table["dead"] / table["channels"]).reset_index(drop=True)
    return table if signal is None else table.merge(signal, on="layer", how="left")


def signal_of(result: Result, store: Store) -> pd.DataFrame | None:
    """layer and SIGNAL of the pruned network on the calibration images (see `errorparts.by_layer`), or None where they
    are not stored."""
    found = signalled.layers(result, store, (), NO_STATE)
    return None if found is None else found[["layer", *SIGNAL]]


def strip_table(result: Result, colour: str = "severity", store: Store | Any = None) -> pd.DataFrame:
    """damage_table with the column `damage`: the one that colours the strip; raises NothingToDraw where that is of
    signal, which is not stored in `store`."""
    signal = signal_of(result, store) if colour in SIGNAL else None
    if colour in SIGNAL and signal is None:
        raise NothingToDraw(NO_SIGNAL)
    table = damage_table(result, signal)
    return table.assign(damage=table[colour], shown=DAMAGES[colour][0])


def strip_figure(table: pd.DataFrame, high: float | None = None) -> go.Figure:
    """A bar of equal height per layer in execution order, coloured by damage."""
    name, high = table["shown"].iloc[0], high or float(table["damage"].max()) or 1.0
    told = table[["layer", "channels", "dead", "severity", "achieved", "damage"]].to_numpy()
    figure = go.Figure()
    figure.add_bar(
        x=table["depth"],
        y=[1] * len(table),
        width=0.94,
        customdata=told,
        marker={"color": _painted(table["damage"], high), "line": {"width": 0}},
        showlegend=False,
        unselected={"marker": {"opacity": 1}},
        hovertemplate=f"<b>%{{customdata[0]}}</b><br>{name} %{{customdata[5]:.3f}}<br>"
        "%{customdata[1]} channels, %{customdata[2]} dead<br>"
        "severity %{customdata[3]:.3f}<br>sparsity %{customdata[4]:.1%}<extra></extra>",
    )
    bar = {"thickness": 12, "lenmode": "pixels", "len": 120, "y": 1, "yanchor": "top", "nticks": 4}
    scale = {"colorscale": style.MAGNITUDE, "cmin": 0, "cmax": high, "color": [0], "showscale": True}
    scale["colorbar"] = {"title": {"text": name, "side": "right"}} | bar
    figure.add_scatter(x=[None], y=[None], mode="markers", marker=scale, showlegend=False, hoverinfo="skip")
    ticks = table.iloc[:: -(-len(table) // 30)]
    reach = {"range": [-0.6, len(table) - 0.4], "showgrid": False}
    figure.update_xaxes(tickvals=ticks["depth"], ticktext=ticks["layer"], tickangle=-50, **reach)
    figure.update_yaxes(visible=False, range=[0, 1])
    return style.finish(figure, 240, style.LAYERS, "")


def _painted(values: pd.Series, high: float) -> list[str]:
    """The colour of each value: of a bar that is coloured by a number, Plotly complains in the browser's console."""
    shades = sprites.colour(values.to_numpy(float), 0.0, high, style.MAGNITUDE)
    return [f"rgb({red},{green},{blue})" for red, green, blue in shades.tolist()]


def strip_limits(tables) -> dict:
    """One colour scale for all strips."""
    return {"high": float(max(t["damage"].max() for t in tables)) or 1.0}


STRIP = Chart("overview.STRIP", strip_table, strip_figure, damage.strip, strip_limits, wide=True)
