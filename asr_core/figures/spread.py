"""What a scalar per layer cannot see: the damage that a layer's channels share, and the spread between them."""

import pandas as pd
import plotly.graph_objects as go

from asr_core.figures import Chart, NothingToDraw, style
from asr_core.measure import diagnostics
from asr_core.report.sentences import damage
from asr_core.store.results import Result


def spread_table(result: Result) -> pd.DataFrame:
    """Per repaired layer: `shared` = mean of ln γ_raw (one scalar can mend it), `spread` = its standard deviation (it
    cannot), live and all channels, within_share (of the network)."""
    channels = result.channels
    if channels is None or channels.empty:
        raise NothingToDraw("No channel statistics are stored for this setting.")
    rows = channels[channels["depth"] > channels["depth"].min()]
    logs = rows.assign(log=diagnostics.log_gamma_raw(rows))
    table = logs.groupby(["depth", "layer"], as_index=False)["log"].agg(
        shared="mean", spread=lambda x: x.std(ddof=0), live="count", channels="size"
    )
    if table.empty:
        raise NothingToDraw(
            "This network has no repaired layer: its only layer is the first one, which every method leaves as it is."
        )
    return table.assign(within_share=diagnostics.mismatch(channels)["within_share"])


def spread_figure(table: pd.DataFrame, high: float = 3.0) -> go.Figure:
    """Two bars per layer: the part that all channels share, and the spread between them."""
    figure = go.Figure()
    for name, text, colour in (
        ("shared", "shared by all channels (|mean|): one scalar mends it", "#0072B2"),
        ("spread", "spread between channels (standard deviation): it cannot", "#D55E00"),
    ):
        figure.add_bar(
            x=table["depth"],
            y=table[name].abs(),
            name=text,
            marker_color=colour,
            customdata=table[["layer", "live", "channels"]].to_numpy(),
            hovertemplate=f"<b>%{{customdata[0]}}</b><br>{name} %{{y:.3f}}<br>"
            "%{customdata[1]} of %{customdata[2]} channels live<extra></extra>",
            unselected={"marker": {"opacity": 1}},
        )
    step = -(-len(table) // 30)
    figure.update_xaxes(tickvals=table["depth"][::step], ticktext=table["layer"][::step], tickangle=-60)
    figure.update_yaxes(range=[0, high], gridcolor=style.GRID)
    return style.finish(figure, 360, style.LAYERS, "ln of the channel's factor γ_raw")


def spread_limits(tables) -> dict:
    """Up to the tallest bar."""
    return {"high": round(1.05 * max(float(t[["shared", "spread"]].abs().max().max()) for t in tables), 3) or 1.0}


SPREAD = Chart("spread.SPREAD", spread_table, spread_figure, damage.spread, spread_limits)
