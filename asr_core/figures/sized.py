"""A figure for a place of another size: a column of a paper, a stage. One size for all its text, legend and caption
below the plot, margins that hold them."""

import textwrap
from collections.abc import Iterable
from math import ceil, cos, radians
from typing import Any

import plotly.graph_objects as go

from asr_core.figures import room, style
from asr_core.figures.cells import IN_CELLS

USUAL = 11.25  # pixels of the text that `room` reckons with
CM, POINT = 96 / 2.54, 96 / 72  # pixels
STAGE = 20.0  # pixels of the smallest text on a stage of 1920 x 1080
LEAST = 110.0  # pixels of a plot's height


def sized(figure: go.Figure, width: float, font: float, caption: str = "", height: float | None = None) -> go.Figure:
    """A copy, `width` pixels wide, with all text `font` pixels high; `caption` stands below in as many lines as needed.

    height: of the whole, in pixels; else the plot keeps its own, scaled as its text is.
    """
    scale = font / USUAL
    made = go.Figure(style.inert(figure.to_plotly_json()))
    plot = figure.layout.height - (figure.layout.margin.t or 0) - (figure.layout.margin.b or 0)
    shared, made.layout.title = made.layout.title.text or "", {}
    caption = _without_signature(made, caption)
    _one_size(made, font)
    _scaled_marks(made, min(scale, 1.6))
    caption = ". ".join(part for part in (shared[:1].upper() + shared[1:], caption) if part)
    lines = _wrapped(caption, width / (0.58 * font))
    right = scale * room.BAR if room._has_bar(figure) else 2 * font  # half of the last tick's label
    _titles(made, width - _left(made, scale) - right, max(LEAST, 0.85 * scale * plot), font)
    left = _left(made, scale)
    under = max((scale * room._below(axis, room._labels(made, axis, "x")) for axis in made.select_xaxes()), default=0)
    entries = _legend(made, width, font)
    foot = len(lines) * 1.45 * font
    below = under + foot + entries * _row(font) + (1.2 * font if entries or lines else 0)
    whole = height or max(LEAST, 0.85 * scale * plot) + below + 1.2 * font
    made.update_layout(
        width=round(width),
        height=round(whole),
        autosize=False,
        margin={"l": round(left), "r": round(right), "b": round(below), "t": round(1.2 * font), "autoexpand": False},
    )
    _room_in_cells(made, width - left - right, font)
    _below_the_plot(made, entries, foot / whole)
    _under_all(made, lines, font, 0.4 * font - left, foot - below)
    return made


def _under_all(figure: go.Figure, lines: list[str], font: float, across: float, up: float) -> None:
    """The caption under all else, line by line."""
    if lines:
        place = {"xref": "paper", "x": 0, "xanchor": "left", "yref": "paper", "y": 0, "yanchor": "top", "align": "left"}
        shift = {"xshift": across, "yshift": up, "showarrow": False}
        figure.add_annotation(text="<br>".join(lines), font={"size": font}, borderpad=0, **place, **shift)


def foot(traces: Iterable[Any], width: float, font: float, caption: str) -> go.Figure:
    """A figure of nothing but a legend of `traces` and a caption, `width` pixels wide: below several others."""
    made = go.Figure(list(traces))
    _one_size(made, font)
    _scaled_marks(made, min(font / USUAL, 1.6))
    lines, entries = _wrapped(caption, width / (0.58 * font)), _legend(made, width, font)
    under = len(lines) * 1.45 * font
    whole = round(under + entries * _row(font) + 1.2 * font)
    made.update_layout(width=round(width), height=whole, margin={"l": 0, "r": 0, "t": 0, "b": round(under)})
    made.update_xaxes(visible=False).update_yaxes(visible=False)
    _below_the_plot(made, entries, under / whole)
    _under_all(made, lines, font, 0.4 * font, 0)
    return made


def _without_signature(figure: go.Figure, caption: str) -> str:
    """Take the line that `style.signed` wrote off the figure; it is the caption where none is given."""
    notes = figure.layout.annotations
    said = [note.text for note in notes if note.name == "signature"]
    figure.layout.annotations = [note for note in notes if note.name != "signature"]
    return caption or next((text.replace("<br>", " ") for text in said), "")


def _left(figure: go.Figure, scale: float) -> float:
    """Pixels beside the plot, also for the first of the names that are turned below it; letters of a printed font are
    wider than those that `room` reckons with."""
    found = [room._beside(axis, room._labels(figure, axis, "y")) for axis in figure.select_yaxes()]
    for axis in figure.select_xaxes():
        if axis.tickangle:
            names = [room._wide([name]) for name in room._labels(figure, axis, "x")[:3]]
            found.append(max(names, default=0) * cos(radians(abs(axis.tickangle))))
    return 1.2 * scale * max(found, default=0)


def _row(font: float) -> float:
    """Pixels of a line of Plotly's legend."""
    return max(16, 1.3 * font) + 5


def _room_in_cells(figure: go.Figure, across: float, font: float) -> None:
    """Cells that are narrower than their numbers show none: their colours say it."""
    for trace in figure.data:
        if trace.meta == IN_CELLS:
            longest = max(map(len, trace.text), default=0)
            if longest * 0.58 * font > across / max(1, len({*trace.x})):
                trace.visible = False


def _one_size(figure: go.Figure, font: float) -> None:
    size = {"size": font}
    figure.update_layout(font=size, legend={"font": size}, hoverlabel={"font": size})
    for axis in (*figure.select_xaxes(), *figure.select_yaxes()):
        axis.update(automargin=False, tickfont=size, title={"font": size, "standoff": 0.7 * font})
    for note in figure.layout.annotations:
        note.font.size = font
    if figure.layout.coloraxis.colorbar.thickness is not None:
        figure.layout.coloraxis.colorbar.update(tickfont=size, title={"font": size})
    for trace in figure.data:
        _trace(trace, size)


def _trace(trace: Any, size: dict) -> None:
    """The texts of one trace: beside its marks, in its cells, on its colour bar."""
    if "textfont" in trace:
        trace.textfont.size = size["size"]
    holders = [trace, getattr(trace, "marker", None)]
    for bar in (bar for holder in holders if (bar := getattr(holder, "colorbar", None)) is not None):
        if getattr(bar, "thickness", None) is not None:
            bar.update(tickfont=size, title={"font": size})


def _scaled_marks(figure: go.Figure, scale: float) -> None:
    for trace in figure.data:
        marker: Any = getattr(trace, "marker", None)
        if marker is not None and isinstance(size := getattr(marker, "size", None), int | float):
            marker.size = size * scale


def _titles(figure: go.Figure, across: float, up: float, font: float) -> None:
    """Axis titles in lines that are no longer than their axis."""
    for axes, length in ((figure.select_xaxes(), across), (figure.select_yaxes(), up)):
        for axis in axes:
            if axis.title.text and "<" not in axis.title.text:
                axis.title.text = "<br>".join(_wrapped(axis.title.text, length / (0.56 * font)))


def _wrapped(text: str, across: float) -> list[str]:
    return textwrap.wrap(text, max(20, int(across))) if text else []


def _legend(figure: go.Figure, width: float, font: float) -> int:
    """Lines of the legend under the plot; entries that would be cut are broken by the legend's own rows."""
    named = [trace for trace in figure.data if trace.name and trace.showlegend is not False]
    if not named or figure.layout.showlegend is False or (len(named) == 1 and figure.layout.showlegend is None):
        return 0
    longest = max(len(trace.name) for trace in named) * 0.56 * font + 3.6 * font
    across = max(1, int((width - 2 * font) // longest))
    rows = {"entrywidth": longest - 3.6 * font, "entrywidthmode": "pixels", "tracegroupgap": 0}
    figure.update_layout(legend=rows)
    return ceil(len(named) / across)


def _below_the_plot(figure: go.Figure, entries: int, foot: float) -> None:
    """The legend above the caption, which takes `foot` of the height."""
    if entries:
        place = {"yref": "container", "y": foot, "yanchor": "bottom", "xref": "container", "x": 0.01, "xanchor": "left"}
        figure.update_layout(legend={"orientation": "h"} | place)


def for_paper(figure: go.Figure, width_cm: float, font_pt: float, caption: str) -> go.Figure:
    """The figure on white, `width_cm` centimetres wide, text of `font_pt` points, with its setting below."""
    return sized(figure, width_cm * CM, font_pt * POINT, caption).update_layout(template=style.PRINT)


def for_stage(figure: go.Figure, width: float) -> go.Figure:
    """The figure for a hall: text of STAGE pixels."""
    return sized(figure, width, STAGE)
