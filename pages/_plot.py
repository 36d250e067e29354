"""One figure on a page: Plotly in an own component.

st.plotly_chart takes its chart down and builds another whenever the figure changes, and copies the figure through JSON
four times to put in the page's colours. This one hands each figure once to Plotly.react (_plot.js), which draws it
into the plot that is there.
"""

import json
from pathlib import Path

import streamlit as st

_figure = st.components.v2.component("figure", js=Path(__file__).with_suffix(".js").read_text(), isolate_styles=False)


def draw(figure: str, key: str, alt: str, config: dict, select=None) -> None:
    """Draw a figure, given as JSON, across its container; `alt` is what it says to who cannot see it.

    config: Plotly's. select(point): called when a point is clicked, with a dict whose `customdata` is the point's, where it has any.
    """
    rest = json.dumps({"config": config, "alt": alt, "clicks": select is not None})
    clicked = {"on_point_change": lambda: select(st.session_state[key]["point"])} if select else {}
    _figure(key=key, data=f'{{"figure": {figure}, {rest[1:]}'.encode(), **clicked)


def prepare() -> None:
    """A figure of nothing, first on every page: browsers fetch what draws figures when they meet the first one."""
    _figure(key="_prepare", data=b"")
