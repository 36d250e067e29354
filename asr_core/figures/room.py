"""Margins wide enough for labels, titles and legend: too narrow ones Plotly widens by drawing the figure twice."""

from itertools import chain
from math import cos, radians, sin

import plotly.graph_objects as go

from asr_core.figures import style

# Pixels, as the dashboard's theme draws: a character, a line of text, between a plot and its tick labels, a title with
# the gap before it, a legend's symbol, a colour bar with its labels and title.
CHARACTER, LINE, PAD, TITLE, SYMBOL, BAR = 5.9, 19, 13, 40, 40, 110
PERCENT = 1.2  # characters by which a % is wider than another
SHORT = 4  # characters up to which a label can be all capitals, and gets room for one more
ABOVE, UNDER = 34, 112  # between a legend's lines and the plot
LONGEST = 170  # under a plot: figures are high enough for this much


def make_room(figure: go.Figure, width: int) -> go.Figure:
    """`figure` for a place `width` pixels wide: margins at least as wide as they are; higher by what exceeds LONGEST.

    Plotly still widens margins that are not enough.
    """
    needed = {
        "l": max((_beside(axis, _labels(figure, axis, "y")) for axis in figure.select_yaxes()), default=0),
        "b": max((_below(axis, _labels(figure, axis, "x")) for axis in figure.select_xaxes()), default=0),
        "r": BAR if _has_bar(figure) else 0,
    }
    if lines := _legend_lines(figure, width - needed["l"] - needed["r"]):
        below = figure.layout.legend.yanchor == "top"
        needed["b" if below else "t"] = LINE * lines + (UNDER if below else ABOVE + _line_over(figure))
    present = figure.layout.margin.to_plotly_json()
    if (
        needed["b"] > LONGEST and figure.layout.height is not None
    ):  # else the names of densenet121's layers take the plot's place
        figure.layout.height += round(needed["b"] - LONGEST)
    return figure.update_layout(
        margin={side: round(max(present.get(side) or 0, size)) for side, size in needed.items()}
    )


def _line_over(figure: go.Figure) -> int:
    """Pixels of the line over a figure that `style.finish` puts there."""
    return style.SUBTITLE if figure.layout.title.text else 0


def _labels(figure: go.Figure, axis, direction: str) -> list[str]:
    """Texts of the axis' ticks: given, categories, or about what Plotly will write for numbers."""
    if axis.visible is False or axis.showticklabels is False:
        return []
    if axis.ticktext is not None:
        return [str(text) for text in axis.ticktext]
    if axis.type == "category":
        given = [getattr(trace, direction, None) for trace in figure.data]
        return [str(value) for value in chain.from_iterable(values for values in given if values is not None)]
    if axis.type == "log":
        return ["0.0001"]  # within a decade or two; else 10 to a power
    return [f"{end:.3g}" for end in axis.range or (0.25,)]


def _wide(labels: list[str]) -> float:
    return CHARACTER * max(map(_characters, labels), default=0)


def _characters(label: str) -> float:
    """As many of a usual width as the label is wide."""
    return len(label) + (len(label) < SHORT) + PERCENT * label.count("%")


def _title(axis) -> float:
    """Pixels that an axis' title takes away from the plot."""
    text = "" if axis.visible is False else axis.title.text
    return TITLE + LINE * text.count("<br>") if text else 0


def _beside(axis, labels: list[str]) -> float:
    """Left of the plot."""
    return (PAD + _wide(labels) if labels else 0) + _title(axis)


def _below(axis, labels: list[str]) -> float:
    """Under the plot, where labels may be turned."""
    angle = radians(abs(axis.tickangle or 0))
    return (PAD + _wide(labels) * sin(angle) + LINE * cos(angle) if labels else 0) + _title(axis)


def _has_bar(figure: go.Figure) -> bool:
    """Whether a trace, or the layout for all of them, draws a colour bar; ours have a thickness."""
    holders = [figure.layout.coloraxis, *figure.data, *(getattr(trace, "marker", None) for trace in figure.data)]
    return any(
        getattr(holder, "showscale", None) is not False and getattr(bar, "thickness", None) is not None
        for holder in holders
        if (bar := getattr(holder, "colorbar", None)) is not None
    )


def _legend_lines(figure: go.Figure, width: float) -> int:
    """Lines of the horizontal legend; 0 without one. In several lines, all entries are as wide as the widest."""
    # Images have no place in a legend, heatmaps and other traces with a colour scale only where it is asked for.
    named = [trace for trace in figure.data if "showlegend" in trace and ("showscale" not in trace or trace.showlegend)]
    entries = [trace for trace in named if trace.showlegend is not False]
    shown = len(named) > 1 if figure.layout.showlegend is None else figure.layout.showlegend
    if not entries or not shown:
        return 0
    sizes = [SYMBOL + 0.87 * CHARACTER * len(trace.name or "") for trace in entries]
    return 1 if sum(sizes) <= width else -(-len(sizes) // max(1, int(width // max(sizes))))
