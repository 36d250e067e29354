"""The maps of one test image, every value readable."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from asr_core.figures import Chart, NothingToDraw, maps, style
from asr_core.store.results import Result


def one_image(result: Result, layer: str, channel: int, image: int, **what) -> pd.DataFrame:
    """The table of a single image, chosen by its index into the test split."""
    pixels = maps.table(result, layer, channel, **what)
    attrs, pixels = pixels.attrs, pixels[pixels["image"] == image]
    if pixels.empty:
        raise NothingToDraw(f"No maps of test image {image} are stored here.")
    pixels.attrs = attrs
    return pixels.reset_index(drop=True)


def pixel_figure(pixels: pd.DataFrame, scale: str = "row", low=None, high=None, span=None) -> go.Figure:
    """One image: each network's map, and each one minus dense beneath; hover shows every value."""
    values, names = maps.stacked(pixels), maps.networks(pixels)
    low, high, span = (edge[0, :, 0, 0] for edge in maps.ranges(values, scale, low, high, span))
    titles = [maps.short(name) for name in names]
    made = make_subplots(2, len(names), column_titles=titles, horizontal_spacing=0.012, vertical_spacing=0.04)
    for i, name in enumerate(names):
        _grid(made, 1, i + 1, values[0, i], style.MAGNITUDE, low[i], high[i], style.label(name))
        if i:
            _grid(
                made,
                2,
                i + 1,
                values[0, i] - values[0, 0],
                style.RATIO,
                -span[i - 1],
                span[i - 1],
                f"{style.label(name)} − dense",
            )
    style.finish(made, 110 + 2 * min(190, maps.WIDTH // len(names)), "", "")
    made.update_annotations(font_size=11)
    made.update_xaxes(visible=False, constrain="domain")
    made.update_yaxes(visible=False, autorange="reversed", constrain="domain")
    for i in range(1, 2 * len(names) + 1):
        made.layout[f"yaxis{i if i > 1 else ''}"].scaleanchor = f"x{i if i > 1 else ''}"
    made.update_layout(margin={"t": 64})
    return made


def _grid(
    made: go.Figure, row: int, column: int, values: np.ndarray, colours: str, low: float, high: float, name: str
) -> None:
    low, high = (low, high) if high > low else (low - 1, low + 1)
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


def pixel_sentence(pixels: pd.DataFrame) -> str:
    """What the networks answer to one image."""
    row = pixels.iloc[0]
    found = maps.errors(pixels).dropna(subset="error").sort_values("error")
    text = f"Test image {row['image']} ({row['file']}, class {row['class']})."
    if found.empty:
        return text + " The dense map does not vary, so there is nothing to compare with."
    return (
        text
        + " Difference to dense, in its standard deviations: "
        + ", ".join(f"{style.label(r.slug)} {r.error:.2g}" for r in found.itertuples())
        + "."
    )


PIXELS = Chart("map_pixels.PIXELS", one_image, pixel_figure, pixel_sentence, maps.limits)
