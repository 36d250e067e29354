"""Keys that turn pages, heard by the browser: in the lesson and on stage."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import streamlit as st


@cache
def _component():
    script = Path(__file__).with_suffix(".js").read_text()
    return st.components.v2.component("keys", js=script, isolate_styles=False)


def listen(move: Callable[[int], None], space: bool = False) -> None:
    """Call `move(1)` or `move(-1)` when a key asks for the next or the previous one.

    space: also the Space key; else it scrolls the page as ever.
    """

    def moved() -> None:
        by = st.session_state["_keys"].get("move")
        if by in (1, -1):
            move(by)

    with st.container(key="_heard"):
        _component()(key="_keys", data={"space": space}, on_move_change=moved)
