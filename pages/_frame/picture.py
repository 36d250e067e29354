"""A figure fit for a paper: width in centimetres, text in points, as SVG, PDF or PNG, made by the browser."""

import json
from functools import cache
from pathlib import Path

import streamlit as st

from asr_core.figures.sized import for_paper
from asr_core.report import textreport
from pages._frame.document import LOADER
from pages._frame.export import Drawn

FORMATS = ("svg", "pdf", "png")
DPI = 600  # of a PNG


@cache
def _component():
    script = LOADER + Path(__file__).with_suffix(".js").read_text()
    return st.components.v2.component("picture", js=script, isolate_styles=False)


def draw(drawn: Drawn, widget: str) -> None:
    """Width, size of text, format, and the button that makes the picture."""
    with st.container(horizontal=True):
        width = st.number_input("Width, cm", 4.0, 60.0, 8.5, 0.5, key=f"_cm_{widget}", width=110)
        points = st.number_input("Text, points", 5.0, 24.0, 8.0, 0.5, key=f"_pt_{widget}", width=110)
        form = st.segmented_control(
            "Format", FORMATS, default="svg", required=True, key=f"_form_{widget}", format_func=str.upper
        )
    caption = st.toggle("The setting below it", value=True, key=f"_said_{widget}")
    told = textreport.describe(drawn.view.result.setting) if caption else ""
    figure = for_paper(drawn.figure, width, points, told)
    rest = {"name": drawn.name, "format": form, "width": width, "dpi": DPI}
    _component()(key=f"_picture_{widget}", data=f'{{"figure": {figure.to_json()}, {json.dumps(rest)[1:]}'.encode())
    if form == "pdf":
        st.caption("Opens the browser's print dialog; choose to save as PDF.")
