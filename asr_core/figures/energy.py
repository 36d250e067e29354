"""Whether the weights that a channel keeps explain the variance that it keeps."""

import pandas as pd
import plotly.graph_objects as go

from asr_core.figures import Chart, NothingToDraw, cloud, style
from asr_core.measure import diagnostics
from asr_core.report.sentences import damage
from asr_core.store.results import Result


def energy_table(result: Result, layer: str) -> pd.DataFrame:
    """Per channel of `layer`: kept_energy (share of squared weights kept), variance_kept = v_pruned / v_dense."""
    table = result.channels[result.channels["layer"] == layer]
    if table.empty:
        raise NothingToDraw(f"No channel statistics of {layer} are stored for this setting.")
    table = table[table["v_dense"] > diagnostics.FLOOR].reset_index(drop=True)
    if table.empty or table["kept_energy"].isna().all():
        raise NothingToDraw(f"{layer} has no channel with dense variance and known kept weights.")
    table = table.assign(variance_kept=table["v_pruned"] / table["v_dense"])
    return table[["layer", "channel", "kept_energy", "kept_fraction", "variance_kept"]]


def energy_figure(table: pd.DataFrame, high: float = 1.2) -> go.Figure:
    """Share of variance kept against share of weight energy kept."""
    figure = go.Figure()
    style.diagonal(figure, 0, 1)
    bar = {"title": {"text": "weights kept", "side": "right"}, "thickness": 12, "tickformat": ".1%"}
    colours = {"color": table["kept_fraction"].to_numpy("float32"), "colorscale": style.MAGNITUDE, "colorbar": bar}
    figure.add_scatter(
        x=table["kept_energy"].to_numpy("float32"),
        y=table["variance_kept"].to_numpy("float32"),
        mode="markers",
        name="channels",
        customdata=table[["channel", "kept_fraction"]].to_numpy("float32"),
        unselected={"marker": {"opacity": 0.8}},
        marker={"size": 7, "opacity": 0.8} | colours,
        hovertemplate="channel %{customdata[0]}<br>%{customdata[1]:.1%} of weights kept<br>"
        "%{x:.1%} of weight energy<br>%{y:.1%} of variance<extra></extra>",
    )
    figure.update_xaxes(range=[-0.03, 1.03], tickformat=".0%")
    figure.update_yaxes(range=[-0.03 * high, high], tickformat=".0%")
    x = "share of the channel's weight energy (Σ w²) kept"
    return cloud.condensed(style.finish(figure, 420, x, "v_pruned / v_dense"))


def energy_limits(tables) -> dict:
    """Up to the largest ratio, at least 1.05."""
    return {"high": round(max(1.05, *(1.05 * t["variance_kept"].max() for t in tables)), 3)}


ENERGY = Chart("energy.ENERGY", energy_table, energy_figure, damage.energy, energy_limits)
