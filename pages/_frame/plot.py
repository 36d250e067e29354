"""One figure on a page: Plotly in an own component.

st.plotly_chart takes its chart down and builds another whenever the figure changes, and copies the figure through JSON
four times to put in the page's colours. This one hands each figure once to Plotly.react (_plot.js), which draws it
into the plot that is there.
"""

import json
import time
from pathlib import Path

import streamlit as st

from pages._frame.document import HISTORY, LOADER

_figure = st.components.v2.component(
    "figure", js=HISTORY + LOADER + Path(__file__).with_suffix(".js").read_text(), isolate_styles=False
)

HEAD_START = 0.1  # seconds
FAILED = "_plotly_failed"  # whether a browser has said that it got no Plotly


def draw(figure: str, key: str, alt: str, config: dict, select=None, least: int = 0) -> None:
    """Draw a figure, given as JSON, across its container; `alt` is what it says to who cannot see it.

    config: Plotly's. select(point): called when a point is clicked, with a dict whose `customdata` is the point's,
    where it has any. least: pixels of width under which the figure scrolls in its place.
    """
    rest = json.dumps({"config": config, "alt": alt, "clicks": select is not None, "least": least})
    if st.session_state.get(FAILED):
        _streamlits_own(figure, key, alt, config, select)
        return
    clicked = {"on_point_change": lambda: select(as_given(st.session_state[key]["point"]))} if select else {}
    data = f'{{"figure": {figure}, {rest[1:]}'.encode()
    _figure(key=key, data=data, on_failed_change=_remember_failure, **clicked)


def as_given(point: dict) -> dict:
    """What is known of a point, its texts as they were before `style.inert`."""
    if not isinstance(point.get("customdata"), list):
        return point
    known = [value.replace("&lt;", "<") if isinstance(value, str) else value for value in point["customdata"]]
    return {**point, "customdata": known}


def _remember_failure() -> None:
    st.session_state[FAILED] = True


def _streamlits_own(figure: str, key: str, alt: str, config: dict, select) -> None:
    """The figure by st.plotly_chart, whose Plotly is another file."""

    def clicked() -> None:
        for point in st.session_state[f"{key}_own"]["selection"]["points"][:1]:
            select(as_given(point))

    st.plotly_chart(
        json.loads(figure),
        key=f"{key}_own",
        config=config,
        on_select=clicked if select else "ignore",
        selection_mode="points",
        alt=alt,
    )


def prepare() -> None:
    """A figure of nothing, first on every page: on meeting it, browsers fetch what draws figures.

    In a new session the rest of the page comes HEAD_START later. What a browser meets while one part is still being
    fetched, it shows 0.3 s after the rest; with the head start, the first figure is there 0.1 to 0.2 s sooner.
    """
    _figure(key="_prepare", data=b"")
    if st.session_state.get(FAILED):
        st.info(
            "What draws the figures did not come from the server, so plainer ones stand in. Reload the page to "
            "try again."
        )
    if "_prepared" not in st.session_state:
        st.session_state["_prepared"] = True
        time.sleep(HEAD_START)
