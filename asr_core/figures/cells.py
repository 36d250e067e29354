"""Numbers in the cells of a map, black or white: Plotly's own are too faint on middling colours."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.colors import sample_colorscale

LIGHT, DARK = "#ffffff", "#000000"  # one of the two is at 4.5:1 or more on any colour
IN_CELLS = "numbers in cells"  # what such a trace says of itself
Ends = tuple[str, float, float]  # a colour scale, the values of its first and of its last colour


def written(x: Sequence, y: Sequence, z, text, ends: Ends, none: str, size: int) -> go.Scatter:
    """`text` in the middle of each cell of a heatmap, rows y by columns x, of the colours `ends`.

    z, text: shape (row, column); a cell without a number has no colour: its text has the colour `none`.

    >>> written(["a", "b"], ["c"], [[0.0, 1.0]], [["0", "1"]], ("Cividis", 0, 1), "#888", size=10).textfont.color
    ('#ffffff', '#000000')
    """
    values = np.asarray(z, float).ravel()
    across, down = np.broadcast_arrays(np.asarray(x, object)[None, :], np.asarray(y, object)[:, None])
    return go.Scatter(
        x=across.ravel(),
        y=down.ravel(),
        text=np.asarray(text, object).ravel(),
        textfont={"color": inks(values, ends, none), "size": size},
        mode="text",
        meta=IN_CELLS,
        hoverinfo="skip",
        showlegend=False,
    )


def inks(values: np.ndarray, ends: Ends, none: str) -> list[str]:
    """Of each value, shape (cell,), the colour of text that stands out most from the cell's own; `none`: of NaN."""
    scale, low, high = ends
    known = np.isfinite(values)
    shares = np.clip((np.where(known, values, low) - low) / (high - low), 0, 1)
    grounds = sample_colorscale(scale, shares, colortype="tuple")
    inked = [LIGHT if _luminance(ground) < 0.179 else DARK for ground in grounds]  # there both are at 4.6:1
    return [ink if there else none for ink, there in zip(inked, known, strict=True)]


def _luminance(colour: tuple[float, float, float]) -> float:
    """Relative luminance, as in WCAG 2.2; parts from 0 to 1."""
    part = np.asarray(colour)
    linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))
