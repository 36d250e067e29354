"""The row that was picked in a table of a page."""

import streamlit as st


def picked_row(key: str, count: int) -> int | None:
    """Place of the picked row of the table `key`, which has `count` rows; None where none is picked, or one that is
    not there: the table may have become shorter between a click and its answer."""
    rows = st.session_state[key]["selection"]["rows"]
    return rows[0] if rows and 0 <= rows[0] < count else None
