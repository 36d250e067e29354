"""The maps of one test image, every value readable."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from asr_core.figures import map_sheets, style

BESIDE, BELOW = 0.012, 0.04  # gaps between maps, of the plot's width and height


def figure(pixels: pd.DataFrame, scale: str = "row", low=None, high=None, span=None) -> go.Figure:
    """One image: each network's map, and each one minus dense beneath; hover shows every value."""
    values, names = map_sheets.stacked(pixels), list(pixels.attrs["networks"])
    low, high, span = (edge[0, :, 0, 0] for edge in map_sheets.ranges(values, scale, low, high, span))
    titles, shared = style.titles(style.headed(pixels).values())
    made = make_subplots(2, len(names), column_titles=titles, horizontal_spacing=BESIDE, vertical_spacing=BELOW)
    for i, name in enumerate(names):
        _grid(made, (1, i + 1), values[0, i], style.MAGNITUDE, (low[i], high[i]), name)
        if i:
            far, reach = values[0, i] - values[0, 0], span[i - 1]
            _grid(made, (2, i + 1), far, style.RATIO, (-reach, reach), f"{name} − dense")
    height = 110 + 2 * min(190, map_sheets.WIDTH // len(names))
    over = map_sheets.LINE * (1 + max(title.count("<br>") for title in titles))
    style.finish(made, height, "", "", shared, top=16 + over)
    made.update_annotations(font_size=11)
    made.update_xaxes(visible=False, constrain="domain")
    made.update_yaxes(visible=False, autorange="reversed", constrain="domain")
    for i in range(1, 2 * len(names) + 1):
        made.layout[f"yaxis{i if i > 1 else ''}"].scaleanchor = f"x{i if i > 1 else ''}"
    return made.update_layout(meta={"aspect": _aspect(len(names), *values.shape[2:])})


def _aspect(columns: int, height: int, width: int) -> float:
    """Height by width of a plot that two rows of such maps fill: no gaps between them where the place is narrow."""
    return 2 * (1 - BESIDE * (columns - 1)) / columns / (1 - BELOW) * height / width


def _grid(made: go.Figure, place: tuple, values: np.ndarray, colours: str, ends: tuple, name: str) -> None:
    low, high = ends if ends[1] > ends[0] else (ends[0] - 1, ends[0] + 1)
    row, column = place
    made.add_heatmap(
        z=values,
        zmin=float(low),
        zmax=float(high),
        colorscale=colours,
        showscale=False,
        row=row,
        col=column,
        hovertemplate=f"{name}<br>row %{{y}}, column %{{x}}: %{{z:.4g}}<extra></extra>",
    )
