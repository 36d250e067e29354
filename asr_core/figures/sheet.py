"""Several figures as one: panels (a), (b), ... in rows of equal height, one legend and one caption below all."""

from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_lowercase
from typing import Any

import plotly.graph_objects as go

from asr_core.errors import AsrError
from asr_core.figures import style
from asr_core.figures.sized import CM, POINT, foot, sized

MOST = len(ascii_lowercase)
KEPT = ("name", "type", "mode", "marker", "line", "fill", "fillcolor")  # of a trace, what its legend's entry shows
LETTER = 1.5  # lines above a panel, for its letter


@dataclass(frozen=True)
class Panel:
    """name: what a caption calls it; figure: as a page has it; setting: what its numbers belong to, or nothing."""

    name: str
    figure: go.Figure
    setting: str = ""


@dataclass(frozen=True)
class Placed:
    """A sized figure, its left upper corner in pixels of the sheet, and the letter above it."""

    figure: go.Figure
    x: float
    y: float
    letter: str = ""


@dataclass(frozen=True)
class Sheet:
    """width, height and size of text in pixels, and what stands where."""

    width: float
    height: float
    font: float
    parts: list[Placed]


def sheet(panels: Sequence[Panel], width_cm: float, font_pt: float, across: int = 2) -> Sheet:
    """`panels` beside and below each other, `across` in a row, on a sheet of this width in centimetres with text of
    `font_pt` points. Raises AsrError for none or for more than there are letters.

    >>> sheet([Panel("one", go.Figure(layout={"height": 300}))], 8.5, 8).parts[0].letter
    ''
    """
    if not 0 < len(panels) <= MOST:
        raise AsrError(f"a picture of {len(panels)} panels cannot be drawn; choose 1 to {MOST} figures.")
    width, font = width_cm * CM, font_pt * POINT
    across = min(across, len(panels))
    gap, lettered = 1.5 * font, len(panels) > 1
    wide = (width - gap * (across - 1)) / across
    parts, y = [], 0.0
    for start in range(0, len(panels), across):
        row = [_bare(panel.figure) for panel in panels[start : start + across]]
        high = max(sized(figure, wide, font).layout.height for figure in row)
        y += LETTER * font if lettered else 0
        for place, figure in enumerate(row):
            letter = f"({ascii_lowercase[start + place]})" if lettered else ""
            parts.append(Placed(sized(figure, wide, font, height=high), place * (wide + gap), y, letter))
        y += high
    below = foot(_entries(panels), width, font, caption(panels))
    parts.append(Placed(below, 0.0, y))
    for part in parts:
        part.figure.update_layout(template=style.PRINT)
    return Sheet(round(width), round(y + below.layout.height), font, parts)


def _bare(figure: go.Figure) -> go.Figure:
    """A figure without its legend, and without what the caption says of it."""
    made = go.Figure(figure).update_layout(showlegend=False, title=None)
    made.layout.annotations = [note for note in made.layout.annotations if note.name != "signature"]
    return made


def caption(panels: Sequence[Panel]) -> str:
    """'(a) accuracy: simultaneous. (b) curves. SETTING': the setting once where all panels have the same."""
    settings = {panel.setting for panel in panels}
    own = len(settings) > 1
    parts = []
    for letter, panel in zip(ascii_lowercase, panels, strict=False):
        shared = panel.figure.layout.title.text or ""
        told = "; ".join(text for text in (shared, panel.setting if own else "") if text)
        head = f"({letter}) {panel.name}" if len(panels) > 1 else panel.name
        parts.append(f"{head}: {told}" if told else head)
    return ". ".join([*parts, *(settings if not own else ())]).rstrip(". ") + "."


def _entries(panels: Sequence[Panel]) -> list[Any]:
    """One trace without points for each look in the legends of the panels: of equal name and look, one."""
    found: dict[str, Any] = {}
    for panel in panels:
        whole = panel.figure.to_plotly_json()
        if whole["layout"].get("showlegend") is False:
            continue
        named = [trace for trace in whole["data"] if trace.get("name") and trace.get("showlegend") is not False]
        for trace in named if len(named) > 1 or whole["layout"].get("showlegend") else ():
            made = _entry(trace)
            found.setdefault(repr(made), made)
    return list(found.values())


def _entry(trace: dict[str, Any]) -> dict[str, Any]:
    """The look of a trace, as a trace of no points."""
    made = {name: _one(trace[name]) for name in KEPT if name in trace}
    made["mode"] = made.get("mode", "").replace("+text", "").replace("text", "")
    usual = {"x": [None], "y": [None], "showlegend": True}
    if trace.get("type", "scatter") not in ("scatter", "scattergl"):
        made.pop("mode")
        return made | usual
    return made | usual | {"type": "scatter", "mode": made["mode"] or "lines"}


def _one(look: Any) -> Any:
    """A look with the first of what it has for each mark."""
    if isinstance(look, dict):
        return {name: _one(value) for name, value in look.items() if name != "colorbar"}
    return look[0] if hasattr(look, "__len__") and not isinstance(look, str) and len(look) else look
