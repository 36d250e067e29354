"""Figures fit for a paper: width in centimetres, text in points, as SVG, PDF or PNG, made by the browser."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

from asr_core.figures.sheet import Panel, Placed, Sheet, sheet
from asr_core.figures.sized import POINT, for_paper
from asr_core.report import textreport
from pages._frame.document import LOADER
from pages._frame.export import Drawn

FORMATS = ("svg", "pdf", "png")
DPI = 600  # of a PNG
ONE, SEVERAL = 8.5, 17.0  # centimetres: one column of a paper, and both
ACROSS = (1, 2, 3)


@cache
def _component():
    script = LOADER + Path(__file__).with_suffix(".js").read_text()
    return st.components.v2.component("picture", js=script, isolate_styles=False)


def draw(drawn: Drawn, widget: str) -> None:
    """Width, size of text, format, and the button that makes the picture."""
    width, points, form = _asked(widget, ONE)
    figure = for_paper(drawn.figure, width, points, _setting(drawn, widget))
    whole = Sheet(figure.layout.width, figure.layout.height, points * POINT, [Placed(figure, 0, 0)])
    _button(whole, drawn.name, form, width, widget)


def several(title: str, drawn: list[Drawn]) -> None:
    """Figures of a page as one: which, how many beside each other, and the same as for one."""
    names = _names(drawn)
    picked = st.multiselect(
        "Figures, in this order", range(len(drawn)), default=range(min(2, len(drawn))), key="_panels",
        format_func=names.__getitem__,
    )  # fmt: skip
    across = st.segmented_control("Beside each other", ACROSS, default=2, required=True, key="_across")
    width, points, form = _asked("several", SEVERAL)
    told = st.toggle("The setting below it", value=True, key="_said_several")
    if not picked:
        st.caption("Choose the figures that it is made of.")
        return
    panels = [Panel(names[i], drawn[i].figure, _described(drawn[i]) if told else "") for i in picked]
    name = f"{title.lower().replace(' ', '-')}-{len(panels)}-figures"
    _button(sheet(panels, width, points, across or 1), name, form, width, "several")


def _names(drawn: list[Drawn]) -> list[str]:
    """What each figure is called, those of a pinned setting and of the current one apart."""
    keys = [item.key.replace("_", " ") for item in drawn]
    return [
        f"{name} {keys[: place + 1].count(name)}" if keys.count(name) > 1 else name for place, name in enumerate(keys)
    ]


def _asked(widget: str, usual: float) -> tuple[float, float, str]:
    """Width in centimetres, size of text in points, format."""
    with st.container(horizontal=True):
        width = st.number_input("Width, cm", 4.0, 60.0, usual, 0.5, key=f"_cm_{widget}", width=110)
        points = st.number_input("Text, points", 5.0, 24.0, 8.0, 0.5, key=f"_pt_{widget}", width=110)
        form = st.segmented_control(
            "Format", FORMATS, default="svg", required=True, key=f"_form_{widget}", format_func=str.upper
        )
    return width, points, form or "svg"


def _setting(drawn: Drawn, widget: str) -> str:
    return _described(drawn) if st.toggle("The setting below it", value=True, key=f"_said_{widget}") else ""


def _described(drawn: Drawn) -> str:
    return textreport.describe(drawn.view.result.setting)


def _button(whole: Sheet, name: str, form: str, width: float, widget: str) -> None:
    """The button that makes a sheet, `width` centimetres wide, in the browser."""
    size = {"across": whole.width, "down": whole.height, "font": whole.font}
    rest: dict[str, Any] = {"name": name, "format": form, "width": width, "dpi": DPI} | size
    parts = [
        f'{{"figure": {part.figure.to_json()}, {json.dumps({"x": part.x, "y": part.y, "letter": part.letter})[1:]}'
        for part in whole.parts
    ]
    _component()(key=f"_picture_{widget}", data=f'{{"parts": [{", ".join(parts)}], {json.dumps(rest)[1:]}'.encode())
    if form == "pdf":
        st.caption("Opens the browser's print dialog; choose to save as PDF.")
