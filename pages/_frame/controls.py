"""Controls of the sidebar, made from declared fields. A widget's key is the field's name.

A widget hands back the label of what is chosen, so labels never change: what is stored stands beside them.
"""

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

import streamlit as st

from asr_core.errors import AsrError
from asr_core.fields import Field
from asr_core.report import glossary
from pages._frame import classroom, state
from pages._frame.text import plain

MOST_TOLD = 12  # stored choices that are named under a control


def told(stored: list[str]) -> None:
    """Which choices are stored, under their control."""
    more = f" and {len(stored) - MOST_TOLD} more" if len(stored) > MOST_TOLD else ""
    st.caption(f"stored: {plain(', '.join(stored[:MOST_TOLD]))}{more}" if stored else "stored: none")


def said(field: Field, value: Any) -> str:
    """A value as an option reads; two values never have one label. A text in place of a number is no option: it reads
    as it was sent, and is not taken."""
    if field.kind in ("number", "whole") and isinstance(value, str):
        return value
    if field.unit == "%" and value is not None:
        return f"{(100 * Decimal(repr(float(value)))).normalize():f} %"
    return field.said(value) if value is None or field.named else field.text(value)


def control(
    name: str,
    field: Field,
    on_change: Callable,
    stored: Iterable[Any] | None = None,
    bounds: tuple[float | None, float | None] | None = None,
) -> None:
    """The widget of a field; `stored`: values at which something is stored, which are offered and told."""
    if classroom.hidden(name):
        return
    have = list(stored or [])
    rest: dict[str, Any] = {
        "key": state.key(name),
        "help": glossary.with_term(field.label, field.help),
        "on_change": on_change,
        "args": (name,),
        "disabled": classroom.locked(),
    }
    if field.kind == "text":
        rest |= {"on_change": _typed, "args": (name, field, on_change)}
    label = f"{field.label} ({field.unit})" if field.unit not in ("", "%") else field.label
    if field.many:
        st.pills(label, field.options, selection_mode="multi", **rest)
    elif field.kind == "flag":
        st.toggle(label, **rest)
    elif field.unit == "%":
        _fraction(name, field, have, rest)
    elif field.kind == "text" and not field.options:
        st.text_input(label, placeholder=said(field, None), **rest)
    elif field.kind == "choice" or field.options or field.offered or field.optional:
        _select(label, field, have, state.get(name), rest)
    else:
        _number(label, field, bounds or (field.low, field.high), rest)
    if stored is not None:
        told([said(field, value) for value in have])


def _typed(name: str, field: Field, on_change: Callable) -> None:
    """A callback: what was typed is checked; what cannot be is said, and the value stays as it was."""
    value = st.session_state[name] or None
    try:
        st.session_state[name] = field.checked(name, value)
    except AsrError as error:
        state.put(**{name: state.before(name)})
        state.complain(str(error))
    else:
        on_change(name)


def _select(label: str, field: Field, have: list, value: Any, rest: dict) -> None:
    known = dict.fromkeys([*([None] if field.optional else []), *(field.options or field.offered), *have, value])
    options = list(known)
    if field.kind in ("whole", "number"):
        options.sort(key=lambda one: (one is not None, one or 0))
    # None is no choice to Streamlit, so that it would show nothing
    rest |= {"placeholder": said(field, None), "accept_new_options": field.kind == "text"}
    st.selectbox(label, options, format_func=lambda one: said(field, one), **rest)


def _number(label: str, field: Field, bounds: tuple, rest: dict) -> None:
    low, high = bounds
    if field.kind == "whole":
        st.number_input(label, low, high, step=1, **rest)
    else:
        ends = [None if end is None else float(end) for end in (low, high)]
        st.number_input(label, *ends, step=None, format="%g", **rest)


def _fraction(name: str, field: Field, have: list, rest: dict) -> None:
    """A slider over the usual and the stored values, and a box for any other, in percent."""
    options = sorted({*field.offered, *have, state.get(name)} - {None})
    st.select_slider(field.label, options, format_func=lambda one: said(field, one), **rest)

    if classroom.locked():
        return

    def other() -> None:
        percent = st.session_state[f"_other_{name}"]
        if percent is not None:
            state.put(**{name: round(percent / 100, 6)})
            st.session_state[f"_other_{name}"] = None

    st.number_input(
        f"Another {field.label.lower()}, %",
        0.0,
        99.99,
        value=None,
        step=1.0,
        key=f"_other_{name}",
        placeholder="e.g. 97",
        on_change=other,
        help="Any value; what is not stored can then be computed.",
    )
