"""Keys that turn pages, heard by the browser: in the lesson and on stage."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import streamlit as st

TURNED = "_turned"  # how many moves this session has made
MOST = 99  # pages at once


@cache
def _component():
    script = Path(__file__).with_suffix(".js").read_text()
    return st.components.v2.component("keys", js=script, isolate_styles=False)


def _said(name: str):
    """What the browser says; nothing where a run that drew no keys has come between."""
    return (st.session_state.get("_keys") or {}).get(name)


def listen(move: Callable[[int], None], leave: Callable[[], None] | None = None, scene: dict | None = None) -> None:
    """Call `move(1)` or `move(-1)` when a key asks for the next or the previous one; `move(3)` for three at once.

    leave: on a stage, for Escape; the Space key then moves too, else it scrolls the page as ever. scene: of a talk,
    its number, count, title, notes, next and minutes, which other windows of the browser show.
    """

    def moved() -> None:
        by = _said("move")
        if isinstance(by, int | float) and abs(by) <= MOST:
            st.session_state[TURNED] = st.session_state.get(TURNED, 0) + 1
            move(int(by))

    def left() -> None:
        if leave is not None and _said("leave"):
            leave()

    with st.container(key="_heard"):
        data = {"stage": leave is not None, "scene": scene, "turned": st.session_state.get(TURNED, 0)}
        _component()(key="_keys", data=data, on_move_change=moved, on_leave_change=left)
