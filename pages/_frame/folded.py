"""Parts of the dashboard that are drawn only while they are open: closed ones cost server and browser nothing."""

from collections.abc import Callable

import streamlit as st


def expander(label: str, key: str, draw: Callable[[], None], **look) -> None:
    """An expander with what `draw` draws."""
    _fill(st.expander(label, key=key, on_change="rerun", **look), draw)


def popover(label: str, key: str, draw: Callable[[], None], **look) -> None:
    """A popover with what `draw` draws."""
    _fill(st.popover(label, key=key, on_change="rerun", **look), draw)


def _fill(box, draw: Callable[[], None]) -> None:
    if box.open:
        with box:
            draw()
