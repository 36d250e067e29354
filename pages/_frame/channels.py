"""The chosen layer and its chosen channel, shared by all pages: their controls, and steps by button or key."""

import streamlit as st

from pages._frame import common, state


def key(found: common.View) -> tuple[int, ...]:
    """What marks the chosen channel in a figure of one layer; nothing where none is chosen, or of another layer."""
    channel = state.get("channel")
    return () if channel is None or common.layer_in(found) != state.get("layer") else (channel,)


def step(order: list[int], by: int) -> None:
    """To the next channel of an order, or to its first; or to the one before, or to its last: from a callback."""
    channel = state.get("channel")
    if channel in order:
        state.put(channel=order[(order.index(channel) + by) % len(order)])
    else:
        state.put(channel=order[0 if by > 0 else -1])


def layer(found: common.View, width: int) -> None:
    """The layer's control, `width` pixels wide; another layer has no chosen channel yet."""
    st.selectbox(
        "Layer",
        found.layers,
        key=state.key("layer"),
        on_change=state.put,
        kwargs={"channel": None},
        width=width,
        help="Layers in execution order.",
    )


def choose(order: list[int], help: str, **how) -> None:
    """The channel's control between both ways to step; the keys P and N do as well. how: of st.selectbox."""
    with st.container(key="_channels", horizontal=True, vertical_alignment="bottom", width="content"):
        _step("Previous", "left", "P", order, -1)
        st.selectbox("Channel", order, key=state.key("channel"), width=170, help=help, **how)
        _step("Next", "right", "N", order, 1)


def _step(label: str, side: str, shortcut: str, order: list[int], by: int) -> None:
    st.button(
        label,
        icon=f":material/chevron_{side}:",
        key=f"_{label.lower()}",
        on_click=step,
        args=(order, by),
        shortcut=shortcut,
        disabled=not order,
        help=f"The {label.lower()} channel in the order of the list.",
    )
