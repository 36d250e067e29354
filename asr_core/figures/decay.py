"""How much of its starting statistics an exponential average still holds."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from asr_core.figures import Chart, NothingToDraw, style
from asr_core.report.sentences import accuracies
from asr_core.spec.recalibration import NOTHING
from asr_core.store.results import Result


def decay_table(result: Result, momentum: float = 0.1) -> pd.DataFrame:
    """a = (1 - momentum)^b over 0 to the largest stored budget: share of the starting statistics that is left."""
    if not result.batchnorm:
        raise NothingToDraw(f"{NOTHING} So nothing of a start is left or forgotten.")
    most = max(int(result.accuracy["calib_batches"].max()) if len(result.accuracy) else 0, 1)
    b = np.arange(most + 1)
    return pd.DataFrame({"b": b, "a": (1 - momentum) ** b, "momentum": momentum})


def decay_figure(table: pd.DataFrame, left: float = 0, right: float = 50) -> go.Figure:
    """The share of the start that an ema still holds."""
    figure = go.Figure(
        go.Scatter(
            x=table["b"],
            y=table["a"],
            mode="lines",
            line={"color": "#D55E00"},
            fill="tozeroy",
            fillcolor=style.faint("#D55E00"),
            hovertemplate="b = %{x}: a = %{y:.3f}<extra></extra>",
        )
    )
    figure.update_xaxes(range=[left, right], gridcolor=style.GRID)
    figure.update_yaxes(range=[0, 1.02], gridcolor=style.GRID)
    return style.finish(figure, 220, "recalibration batches b", "a = (1 − momentum)<sup>b</sup>")


DECAY = Chart("decay.DECAY", decay_table, decay_figure, accuracies.decay, counts="")
