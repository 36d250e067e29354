"""Keys that turn pages, heard by the browser: in the lesson and on stage."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import streamlit as st


@cache
def _component():
    script = Path(__file__).with_suffix(".js").read_text()
    return st.components.v2.component("keys", js=script, isolate_styles=False)


def listen(move: Callable[[int], None], leave: Callable[[], None] | None = None, scene: int | None = None) -> None:
    """Call `move(1)` or `move(-1)` when a key asks for the next or the previous one.

    leave: on a stage, for Escape; the Space key then moves too, else it scrolls the page as ever. scene: of a talk,
    which other windows of the browser follow.
    """

    def moved() -> None:
        by = st.session_state["_keys"].get("move")
        if by in (1, -1):
            move(by)

    def left() -> None:
        if leave is not None and st.session_state["_keys"].get("leave"):
            leave()

    with st.container(key="_heard"):
        data = {"stage": leave is not None, "scene": scene}
        _component()(key="_keys", data=data, on_move_change=moved, on_leave_change=left)
