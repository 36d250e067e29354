"""Whether an address or a choice led to what is shown: an address starts no computation by itself."""

import streamlit as st

ARRIVED = "_arrived"


def arrived() -> bool:
    """Whether an address led to what is chosen now, and no choice since."""
    return st.session_state.get(ARRIVED, True)


def led() -> None:
    """An address led to what is chosen now."""
    st.session_state[ARRIVED] = True


def chosen() -> None:
    """A choice of the user's led to what is chosen now."""
    st.session_state[ARRIVED] = False
