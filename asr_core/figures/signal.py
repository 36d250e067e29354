"""What BatchNorm still lets through of each method's factors, by layer: predicted from the identity."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from asr_core.figures import Chart, NothingToDraw, style
from asr_core.spec.grid import BatchNormState
from asr_core.store.results import Result
from asr_core.studies import leftover


def signal_table(
    result: Result, slugs=(), start="reset", averaging="ema", momentum: float = 0.1, b: int = 20
) -> pd.DataFrame:
    """Per slug and absorbed conv: median over channels of the predicted signal (leftover.recalibrated), its quartiles, |offset|."""
    if b == 0:
        raise NothingToDraw("Without recalibration (b = 0) BatchNorm absorbs nothing; choose a budget.")
    rows = leftover.recalibrated(leftover.factors(result, slugs), BatchNormState.of(start, averaging, momentum, b))
    if rows.empty:
        raise NothingToDraw(
            "No conv of this network is absorbed by BatchNorm, or none of the chosen methods is stored."
        )
    grouped = rows.assign(offset=rows["offset"].abs()).groupby(["slug", "layer"], sort=False)
    quartiles = {f"q{round(100 * q)}": grouped["signal"].quantile(q) for q in (0.25, 0.75)}
    table = grouped[["signal", "offset"]].median().assign(**quartiles).reset_index()
    return (
        table.merge(result.convs[["layer", "depth"]], on="layer")
        .assign(label=table["slug"].map(style.label))
        .sort_values("depth", kind="stable", ignore_index=True)
    )


def signal_figure(table: pd.DataFrame, high: float = 1.5) -> go.Figure:
    """Predicted signal by layer, one line per method; 1 where nothing of the start is left."""
    figure = go.Figure()
    for slug, rows in table.groupby("slug", sort=False):
        colour, symbol = style.look_of(slug)
        figure.add_scatter(
            x=rows["depth"],
            y=rows["signal"],
            mode="lines+markers",
            name=rows["label"].iloc[0],
            line={"color": colour, "width": 1.5},
            marker={"symbol": symbol, "size": 8, "line": {"width": 1.5}},
            customdata=rows[["layer", "q25", "q75", "offset"]].to_numpy(),
            hovertemplate="%{fullData.name}<br><b>%{customdata[0]}</b><br>signal %{y:.3f} [quartiles %{customdata[1]:.3f}, %{customdata[2]:.3f}]<br>|offset| %{customdata[3]:.3f}<extra></extra>",
        )
    figure.add_hline(1, line={"color": style.REFERENCE, "dash": "dot", "width": 1.5})
    layers = table.drop_duplicates("layer")
    ticks = layers.iloc[:: -(-len(layers) // 30)]
    style.finish(
        figure, 460, "conv layers in execution order", "predicted signal after BatchNorm<br>(1: fully re-estimated)"
    )
    figure.update_xaxes(tickvals=ticks["depth"], ticktext=ticks["layer"], tickangle=-50, showgrid=False)
    figure.update_yaxes(range=[0, high])
    return figure


def signal_limits(tables) -> dict:
    """Equal axes from 0 that hold all medians and 1."""
    values = pd.concat(tables)["signal"]
    return {"high": round(1.08 * float(max([1.0, *values[np.isfinite(values)]])), 3)}


def signal_sentence(table: pd.DataFrame) -> str:
    """How far from full strength the methods' channels are, in their worst layers."""
    distance = table["signal"].sub(1).abs()
    worst = table.loc[distance.groupby(table["slug"]).idxmax().dropna()].assign(distance=distance)
    if (worst["distance"] < 0.02).all():
        return "Predicted: nothing of the starting statistics is left. Every method's channels come out of BatchNorm at full strength, so repairs cannot matter here."
    far = worst.sort_values("distance", ascending=False)
    words = [f"{row.label} {row.signal:.2g} in {row.layer}" for row in far.head(3).itertuples()]
    left = len(far) - 3
    rest = (
        f"; the other {'one stays' if left == 1 else f'{left} stay'} within {far['distance'].iloc[3]:.2g} of 1"
        if left > 0
        else ""
    )
    return f"Predicted: the starting statistics still change how strong channels come out of BatchNorm. Furthest from 1, median over a layer's channels: {'; '.join(words)}{rest}."


SIGNAL = Chart("signal.SIGNAL", signal_table, signal_figure, signal_sentence, signal_limits)
