"""Very many marks as one picture: dots in an SVG image, over marks that are not drawn but answer hover and click.

A browser spends about 0.1 ms on every mark that Plotly draws by itself, and without a GPU half a second on every WebGL
chart, each time the chart changes. One path of dots costs next to nothing, stays sharp when zoomed (strokes do not
scale, so that dots keep their size), and is a vector in exported pictures.
"""

import base64

import numpy as np
import plotly.graph_objects as go
from plotly.colors import sample_colorscale

MANY = 800  # marks in a figure: up to this many are drawn one by one, with the shape of their method
SIDE = 10_000  # of the picture, in its own units
SHADES = 32  # of a colour scale, that marks with colours of their own are drawn in
CELLS = 12  # along each side, of dots that are one path
MARGIN = 0.01  # of the axes' lengths, on each side, so that dots on the edge are whole


def condensed(figure: go.Figure) -> go.Figure:
    """`figure`, with the marks of its scatter traces as one picture if there are MANY; both axes need a range.

    The legend cannot hide parts of a picture, so it takes no clicks then.
    """
    clouds = [trace for trace in figure.data if trace.type == "scatter" and trace.mode == "markers"]
    if sum(len(trace.x) for trace in clouds) <= MANY:
        return figure
    window = [_window(axis) for axis in (figure.layout.xaxis, figure.layout.yaxis)]
    groups = [group for trace in clouds for group in _groups(trace, figure.layout, window)]
    (left, right), (low, high) = window
    figure.add_layout_image(
        source=_picture(groups),
        xref="x",
        yref="y",
        x=left,
        y=high,
        sizex=right - left,
        sizey=high - low,
        sizing="stretch",
        layer="above",
    )
    for trace in clouds:
        _hide(trace, figure)
    return figure.update_layout(legend={"itemclick": False, "itemdoubleclick": False})


def _window(axis) -> tuple[float, float]:
    """What of the axis the picture covers, in the axis' own units (log10 on a logarithmic one)."""
    low, high = axis.range
    return low - MARGIN * (high - low), high + MARGIN * (high - low)


def _along(values, axis, window: tuple[float, float]) -> np.ndarray:
    """Where along the picture values lie, as a share of its side."""
    values = np.asarray(values, float)
    with np.errstate(all="ignore"):
        values = np.log10(values) if axis.type == "log" else values
    return (values - window[0]) / (window[1] - window[0])


def _groups(trace, layout, window) -> list[str]:
    """Groups of SVG paths, of one colour each, with a dot at each place within the picture."""
    places = np.stack([_along(trace.x, layout.xaxis, window[0]), 1 - _along(trace.y, layout.yaxis, window[1])], 1)
    seen = ((places >= 0) & (places <= 1)).all(1)  # NaN is nowhere
    marker, found = trace.marker, []
    for colour, own in _colours(marker, len(places)):
        cells = _cells((SIDE * places[seen & own]).round().astype(int))
        look = f'stroke="{colour}" stroke-width="{marker.size}" stroke-opacity="{marker.opacity or 1}"'
        paths = "".join(f'<path d="{_dots(cell)}"/>' for cell in cells)
        found.append(f"<g {look}>{paths}</g>")
    return found


def _cells(dots: np.ndarray) -> list[np.ndarray]:
    """Dots that lie near each other: a browser draws a page in tiles, and of each tile the paths that reach into it."""
    cell = (dots // (SIDE // CELLS)).clip(0, CELLS - 1) @ (CELLS, 1)
    return [dots[cell == number] for number in np.unique(cell)]


def _dots(places: np.ndarray) -> str:
    """An SVG path with a dot at each place, each told by its way from the one before at its left: that is shortest."""
    steps = np.diff(places[places[:, 0].argsort()], axis=0, prepend=0)
    return "".join(f"m{x} {y}h0" for x, y in steps.tolist())


def _colours(marker, count: int) -> list[tuple[str, np.ndarray]]:
    """Each colour of the marks, and which of them have it: the trace's one, or shades of its scale."""
    if isinstance(marker.color, str):
        return [(marker.color, np.ones(count, bool))]
    values = np.asarray(marker.color, float)
    known = values[np.isfinite(values)] if np.isfinite(values).any() else np.zeros(1)
    low, reach = known.min(), np.ptp(known) or 1.0
    shade = np.nan_to_num((values - low) / reach * (SHADES - 1)).round().astype(int)
    scale = sample_colorscale([list(stop) for stop in marker.colorscale], np.linspace(0, 1, SHADES))
    return [(scale[number], shade == number) for number in np.unique(shade)]


def _picture(groups: list[str]) -> str:
    style = "path{fill:none;stroke-linecap:round;vector-effect:non-scaling-stroke}"
    box = f'viewBox="0 0 {SIDE} {SIDE}" preserveAspectRatio="none"'
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" {box}><style>{style}</style>{"".join(groups)}</svg>'
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()


def _hide(trace, figure: go.Figure) -> None:
    """Leave the trace's marks undrawn; a mark beside its name in the legend stays."""
    marker = trace.marker
    if isinstance(marker.color, str):
        look = {"color": marker.color, "size": max(7, marker.size), "opacity": marker.opacity}
        figure.add_scatter(
            x=[None],
            y=[None],
            mode="markers",
            name=trace.name,
            showlegend=trace.showlegend,
            hoverinfo="skip",
            marker=look,
        )
    unseen = {"marker": {"opacity": 0}}
    trace.update(
        showlegend=False,
        marker={"maxdisplayed": 1, "opacity": 0, "symbol": "circle"},
        selected=unseen,
        unselected=unseen,
    )
