"""Confidence: how sure each network is, how often it is right, and what one temperature would mend of the gap."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from asr_core.figures import TESTED, Chart, NothingToDraw, style
from asr_core.measure import confidence
from asr_core.measure.statistics import wilson
from asr_core.report.sentences import sure
from asr_core.spec.recalibration import REPORTED_STATE, BatchNormState
from asr_core.spec.repairs import COLUMNS
from asr_core.store.results import Result
from asr_core.store.tables import with_network
from asr_core.studies import answered

MEASURED = ["confidence", "top1", "top1_low", "top1_high", "ece", "temperature", "ece_tempered", "n_eval"]
ABSENT = "Not stored: this result was made before confidence was measured; compute it again."
NONE = "Not stored: none of the chosen networks has its confidence stored in this state."


def _rows(result: Result, repairs, state: BatchNormState) -> tuple[pd.DataFrame, list]:
    """The rows that are looked at, in the order of legends, and what each says of every image."""
    found = answered.rows(result.accuracy, repairs, state)
    if found.empty or "ece" not in found:
        raise NothingToDraw(ABSENT)
    found = style.labelled(style.ordered(found))
    if found["ece"].isna().all():
        raise NothingToDraw(NONE)
    return found, answered.said(result, found)


def errors_table(result: Result, repairs=(), state: BatchNormState = REPORTED_STATE) -> pd.DataFrame:
    """Dense, no repair and each of `repairs`: COLUMNS, label, confidence (its mean), top1 with its interval, gap
    (confidence - top1), ece, ece_chance (what chance would show of a network as sure as right; NaN where bins are not
    stored), temperature, ece_tempered (at that temperature), n_eval, b, recalibration. All NaN: not stored."""
    found, said = _rows(result, repairs, state)
    chance = [np.nan if one is None else confidence.ece_by_chance(one.bins) for one in said]
    table = found[[*COLUMNS, "label", *MEASURED]].astype(dict.fromkeys(MEASURED, float))
    table = table.assign(gap=table["confidence"] - table["top1"], ece_chance=chance)
    return table.assign(**result.budget(state))


def errors_figure(table: pd.DataFrame, high: float = 0.2) -> go.Figure:
    """A line per network: its calibration error, what is left of it at the best temperature, what chance would show."""
    figure = go.Figure()
    for network, rows in style.each(table):
        if rows["ece"].isna().all():
            style.not_stored(figure, 0, rows["label"])
            continue
        colour, symbol = style.look_of(network)
        row = rows.iloc[0]
        figure.add_scatter(
            x=[100 * row["ece_tempered"], 100 * row["ece"]],
            y=[row["label"]] * 2,
            mode="lines+markers+text",
            line={"color": colour, "width": 2, "dash": "dot"},
            marker={"color": colour, "symbol": ["line-ns-open", symbol], "size": 12, "line": {"width": 2}},
            text=["", f"{100 * row['ece']:.1f}"],
            textposition="top center",
            showlegend=False,
            customdata=[[100 * row["confidence"], 100 * row["top1"], row["temperature"]]] * 2,
            hovertemplate="%{y}<br>calibration error %{x:.2f} points<br>mean confidence %{customdata[0]:.1f} %, right "
            "%{customdata[1]:.1f} %<br>best temperature %{customdata[2]:.3g}<extra></extra>",
        )
    _key(figure, table)
    figure.update_xaxes(range=[-0.02 * 100 * high, 100 * high])
    figure.update_yaxes(range=[len(table) - 0.4, -0.6], type="category", categoryarray=[*table["label"]])
    return style.finish(figure, 130 + 42 * len(table), "expected calibration error, points", "", _shared(table))


def _key(figure: go.Figure, table: pd.DataFrame) -> None:
    """What marks mean, and the error that chance alone would show."""
    looks = (("as it is", "circle"), ("at the temperature that makes these labels most likely", "line-ns-open"))
    for name, symbol in looks:
        marker = {"color": style.REFERENCE, "symbol": symbol, "size": 11, "line": {"width": 2}}
        figure.add_scatter(x=[None], y=[None], mode="markers", name=name, marker=marker, hoverinfo="skip")
    figure.add_scatter(
        x=100 * table["ece_chance"],
        y=table["label"],
        mode="markers",
        name="by chance, if it were as sure as right",
        marker={
            "color": style.REFERENCE,
            "symbol": "x-thin",
            "size": 8,
            "line": {"width": 2, "color": style.REFERENCE},
        },
        hovertemplate="%{y}<br>by chance %{x:.2f} points<extra></extra>",
    )


def _shared(table: pd.DataFrame) -> str:
    repaired = not table["method"].isin(style.REFERENCES).all()
    return style.joined(style.legend(table)[1], style.budget(table) if repaired else "")


def errors_limits(tables) -> dict:
    """Up to the largest error."""
    top = max(float(table[["ece", "ece_tempered", "ece_chance"]].max().max()) for table in tables)
    return {"high": round(1.1 * top, 4) if np.isfinite(top) and top > 0 else 0.1}


ERRORS = Chart("confidence.ERRORS", errors_table, errors_figure, sure.errors, errors_limits, counts=TESTED)


def bins_table(result: Result, repairs=(), state: BatchNormState = REPORTED_STATE) -> pd.DataFrame:
    """Per network and bin of confidence that holds images: COLUMNS, label, bin, low and high (its edges), n,
    confidence (mean), right (share), right_low, right_high (95 %, Wilson), b."""
    found, said = _rows(result, repairs, state)
    parts = [
        with_network(_bins(one.bins), network).assign(label=label)
        for network, label, one in zip(style.in_table(found), found["label"], said, strict=True)
        if one is not None
    ]
    if not parts:
        raise NothingToDraw(ABSENT)
    return pd.concat(parts, ignore_index=True).assign(**result.budget(state))


def _bins(bins: np.ndarray) -> pd.DataFrame:
    places = np.flatnonzero(bins[:, 0])
    n, sums, right = bins[places].T
    low, high = wilson(right, n)
    values = {"bin": places, "low": places / len(bins), "high": (places + 1) / len(bins), "n": n.astype(int)}
    values |= {"confidence": sums / n, "right": right / n, "right_low": low, "right_high": high}
    return pd.DataFrame(values)


def bins_figure(table: pd.DataFrame) -> go.Figure:
    """Above: share right against confidence, bin by bin; below: how many images each bin holds."""
    figure = make_subplots(2, 1, shared_xaxes=True, row_heights=[0.72, 0.28], vertical_spacing=0.04)
    style.diagonal(figure, 0, 100, "as sure as right")
    for network, rows in style.each(table):
        colour, symbol = style.look_of(network)
        look = {"x": 100 * rows["confidence"], "name": rows["label"].iloc[0], "legendgroup": rows["label"].iloc[0]}
        line, marker = {"color": colour, "width": 1.5}, {"symbol": symbol, "size": 8, "line": {"width": 1.5}}
        figure.add_scatter(
            y=100 * rows["right"],
            error_y=style.interval(rows["right"], rows["right_low"], rows["right_high"], thickness=1, width=3),
            mode="lines+markers",
            line=line,
            marker=marker,
            customdata=rows[["low", "high", "n", "right_low", "right_high"]].to_numpy() * [100, 100, 1, 100, 100],
            hovertemplate="%{fullData.name}<br>confidence %{customdata[0]:.0f} to %{customdata[1]:.0f} %, mean "
            "%{x:.1f} %<br>right %{y:.1f} % [%{customdata[3]:.1f}, %{customdata[4]:.1f}] of %{customdata[2]:,} images"
            "<extra></extra>",
            row=1,
            col=1,
            **look,
        )
        hover = "%{fullData.name}<br>%{y:,} images<extra></extra>"
        low = {"mode": "lines+markers", "line": line, "marker": marker, "showlegend": False, "hovertemplate": hover}
        figure.add_scatter(y=rows["n"], row=2, col=1, **look, **low)
    style.finish(figure, 560, "", "", _shared(table), hoverdistance=12)
    figure.update_xaxes(range=[0, 101])
    figure.update_xaxes(title="confidence: softmax of the answer, %", row=2, col=1)
    figure.update_yaxes(title="right, %", range=[0, 101], row=1, col=1)
    figure.update_yaxes(title="images", rangemode="tozero", row=2, col=1)
    return figure


BINS = Chart("confidence.BINS", bins_table, bins_figure, sure.bins, counts=TESTED)
