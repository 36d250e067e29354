"""The chosen channel, marked in a figure of many."""

import numpy as np
import plotly.graph_objects as go

RING = 17  # pixels across
# A dark ring within a light one: one of them is seen on any ground and over any colour.
RINGS = (("#FFFFFF", 5.0), ("#000000", 2.0))


def chosen(figure: go.Figure, *key: int) -> go.Figure:
    """Rings, added to the figure, around the marks whose customdata begin with `key`; returns it.

    >>> figure = go.Figure(go.Scatter(x=[1, 2], y=[3, 4], customdata=[[7], [8]]))
    >>> chosen(figure, 8).data[-1].x
    (2,)
    """
    for trace in [trace for trace in figure.data if trace.type == "scatter" and trace.customdata is not None]:
        known = np.asarray(trace.customdata)
        if known.ndim != 2 or known.shape[1] < len(key) or known.dtype.kind not in "if":
            continue
        found = np.flatnonzero((known[:, : len(key)] == key).all(axis=1))
        x, y = ([values[place] for place in found] for values in (trace.x, trace.y))
        for colour, width in RINGS if len(found) else ():
            figure.add_scatter(
                x=x,
                y=y,
                mode="markers",
                name=f"channel {key[-1]}",
                marker={"symbol": "circle-open", "size": RING, "color": colour, "line": {"width": width}},
                hoverinfo="skip",
                showlegend=False,
                xaxis=trace.xaxis,
                yaxis=trace.yaxis,
            )
    return figure
