"""Parts of the dashboard that are drawn only while they are open: closed ones cost server and browser nothing."""

import streamlit as st


def expander(label: str, key: str, **look):
    """The container of an expander, or None while it is closed."""
    box = st.expander(label, key=key, on_change="rerun", **look)
    return box if box.open else None


def popover(label: str, key: str, **look):
    """The container of a popover, or None while it is closed."""
    box = st.popover(label, key=key, on_change="rerun", **look)
    return box if box.open else None
