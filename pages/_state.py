"""The whole state of the dashboard as named parameters: widget <-> session <-> address.

A widget whose `key` is a name in PARAMS needs nothing more: its value is in the address, survives a
change of page, and comes back from a pasted link. Give such a widget no default; `begin` provides it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches

import streamlit as st
from streamlit.errors import StreamlitAPIException

from asr_core import architectures, catalogue, registry, spec
from asr_core.errors import AsrError, SpecError
from asr_core.figures import style

STATE, ADDRESS, COMPLAINTS, PAGE, DRAWN = "_state", "_address", "_complaints", "_page", "_widgets"


@dataclass(frozen=True)
class Param:
    """One parameter: its default, and `read(text) -> value`, which raises SpecError."""

    default: object
    read: Callable


def choice(default, choices) -> Param:
    """One of `choices` (texts)."""

    def read(text):
        if text not in choices:
            near = get_close_matches(text, list(choices), n=1, cutoff=0.4)
            raise SpecError(f"{text!r} is none of {_some(choices)}" + (f"; did you mean {near[0]}?" if near else "."))
        return text

    return Param(default, read)


def _some(choices, most: int = 8) -> str:
    names = [str(name) for name in choices]
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def many(default, choices) -> Param:
    """Several of `choices`, at least one, separated by commas."""
    one = choice(None, choices)
    return Param(list(default), lambda text: [one.read(part) for part in dict.fromkeys(text.split(","))])


def number(default, low, high, whole: bool = True) -> Param:
    """A number in [low, high]."""

    def read(text):
        try:
            value = int(text) if whole else float(text)
        except ValueError:
            raise SpecError(f"{text!r} is no {'whole ' if whole else ''}number.") from None
        if not low <= value <= high:
            raise SpecError(f"{text} is outside [{low:g}, {high:g}].")
        return value

    return Param(default, read)


def matching(default, pattern: str, what: str) -> Param:
    """A text of a fixed form."""

    def read(text):
        if not re.fullmatch(pattern, text):
            raise SpecError(f"{text[:60]!r} is no {what}.")
        return text

    return Param(default, read)


def _dataset(text):
    if re.fullmatch(r"folder:[0-9a-f]{8,64}", text):
        return text
    return choice(None, [name for name in spec.DATASETS if name != "folder"]).read(text)


METHODS = style.methods()
MOST = 10**7

SETTING = {
    "data": Param("digits", _dataset),
    "size": number(32, 8, 1024),
    "norm": choice("dataset", spec.NORMALIZATIONS),
    "classes": number(None, 2, MOST),
    "net": choice("resnet18", architectures.ARCHITECTURES),
    "stem": choice("imagenet", architectures.STEMS),
    "head": choice("torchvision", architectures.HEADS),
    "source": choice("scratch", spec.SOURCES),
    "epochs": number(catalogue.RECIPE.epochs, 1, 10_000),
    "batch": number(catalogue.RECIPE.batch_size, 2, 10**6),
    "lr": number(None, 1e-9, 1e3, whole=False),
    "precision": choice(catalogue.RECIPE.precision, spec.PRECISIONS),
    "weights": matching(None, "[0-9a-f]{8,64}", "digest of a weights file"),
    "seed": number(0, 0, MOST),
    "dense": matching(None, "[0-9a-f]{8,64}", "identity of a dense network"),
    "rule": choice("global_l1", registry.names("pruning rule")),
    "sparsity": Param(0.95, spec.checked_sparsity),
    "nm": matching(None, "[0-9]{1,3}:[0-9]{1,3}", "N:M pattern such as 2:4"),
    "linear": Param(False, lambda text: choice(None, ("on", "off")).read(text) == "on"),
    "stats": number(64, 2, MOST),
    "calib": number(128, 2, MOST),
    "draw": number(None, 0, MOST),
    "eval": number(None, 1, MOST),
}
LOOK = {
    "methods": many(("bn_only", "lw_bn", "raw_bn", "asr_bn"), METHODS),
    "orders": many(("simultaneous",), spec.ORDERS),
    "biases": many(("off",), ("off", "on")),
    "prior": choice("median", ("median", "mean", "fixed")),
    "start": choice("reset", spec.STARTS),
    "averaging": choice("ema", spec.AVERAGINGS),
    "momentum": number(0.1, 1e-6, 1, whole=False),
    "b": number(20, 0, 10_000),
}
SELECTION = {
    "layer": matching(None, r"[A-Za-z0-9_.]{1,150}", "layer name"),
    "channel": number(None, 0, MOST),
    "image": number(0, 0, MOST),
}
# One line per control of a page; a page's widget uses the name as its key.
PAGES = {
    "pin": matching(None, r"[0-9a-f]{24}~[a-z,]+~[a-z,]+~[a-z]+~[a-z]+~[0-9.e-]+~[0-9]+", "pinned setting"),
    "picture": choice("png", ("png", "svg")),
    "compare": choice("both", ("both", "difference")),
    "scale": choice("row", ("row", "map", "global")),
    "stage": choice("repaired", ("repaired", "recalibrated", "predicted")),
    "cells": choice("log2", ("log2", "ratio")),
    "stage_cells": choice("repaired", ("repaired", "recalibrated")),
    "rows": choice("depth", ("depth", "damage")),
    "colour": choice("severity", ("severity", "within_spread", "dead_share", "overshoot", "achieved")),
    "x": choice("batches", ("batches", "images")),
    "recal": many(("reset",), ("reset", "keep", "cumulative")),
    "gap": choice("logit_gap", ("logit_gap", "top1_gap")),
    "gain": choice("asr_lw", ("asr_lw", "asr_bn", "bn_lw")),
    "against": choice("severity", ("severity", "overshoot")),
    "order2": choice("simultaneous", spec.ORDERS),
    "mapped": choice("before", ("before", "after")),
    "ranked": choice("damage", ("channel", "damage", "gain", "disagreement")),
    "overlay": Param(False, lambda text: choice(None, ("on", "off")).read(text) == "on"),
    "seeds": Param(False, lambda text: choice(None, ("on", "off")).read(text) == "on"),
}
PARAMS = SETTING | LOOK | SELECTION | PAGES
ON_EVERY_PAGE = {*SETTING, *LOOK}


def begin(page: str) -> bool:
    """Take the state from the widgets, or from an address that is new, and provide every widget's value.

    STATE is the truth. The session is believed only for widgets that the last run drew on this same
    page: for others it may hold an older value. True if a new address names no setting, so that the
    caller may choose one.
    """
    session = st.session_state
    state = session.setdefault(STATE, {})
    if session.get(PAGE) != page:
        session[PAGE], session[DRAWN] = page, session.get(DRAWN, set()) & ON_EVERY_PAGE
    changed = {name for name in session[DRAWN] if name in session and session[name] != state[name] and not _lost(name)}
    state |= {name: session[name] for name in changed}
    address = st.query_params.to_dict()
    fresh = not state or bool(address and address != session.get(ADDRESS) and not changed)
    if fresh:
        state |= _from_address(address)
        session[ADDRESS] = address
    for name in PARAMS:
        # A widget that appears in this run takes the value only if it is set in this run; one that stays
        # is left alone, so that a quick second click is not overwritten.
        if name not in session[DRAWN] or name not in session or session[name] != state[name]:
            session[name] = _copy(state[name])
    if changed:
        session[COMPLAINTS] = []
    return fresh and "data" not in address


def _lost(name: str) -> bool:
    """Whether a widget says nothing though something must be chosen: Streamlit's buttons in a row do, back on their page."""
    default = PARAMS[name].default
    return default not in (None, []) and st.session_state[name] in (None, [])


def _from_address(address: dict[str, str]) -> dict:
    """Values of an address, defaults where it is silent; what cannot be read becomes a complaint."""
    values = {name: _copy(param.default) for name, param in PARAMS.items()}
    st.session_state[COMPLAINTS] = []
    for name, text in address.items():
        if name not in PARAMS:
            near = get_close_matches(name, list(PARAMS), n=1)
            complain(f"The address has an unknown part {name[:40]!r}" + (f"; did you mean {near[0]}?" if near else "; it is ignored."))
            continue
        try:
            values[name] = PARAMS[name].read(text)
        except AsrError as error:
            complain(f"{name} in the address: {error} Using {show(values[name]) or 'none'}.")
    return values


def _copy(value):
    return list(value) if isinstance(value, list) else value


def show(value) -> str:
    """A value as it stands in the address."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list):
        return ",".join(value)
    return "" if value is None else str(value)


def address() -> dict[str, str]:
    """The state as address parameters: `data` always, the rest where it is not the default."""
    state = st.session_state[STATE]
    changed = {name: value for name, value in state.items() if value != PARAMS[name].default or name == "data"}
    return {name: text for name, value in changed.items() if (text := show(value))}


def finish(whole: bool) -> None:
    """Remember the widgets that this run drew (all of them if it was `whole`), and write the state into the address."""
    session = st.session_state
    drawn = {name for name in PARAMS if _is_drawn(name)}
    session[DRAWN] = drawn if whole else session[DRAWN] | drawn
    session[STATE] |= {name: session[name] for name in drawn}
    text = address()
    if st.query_params.to_dict() != text:
        st.query_params.from_dict(text)
    session[ADDRESS] = text


def _is_drawn(name: str) -> bool:
    """Whether this run drew a widget with this key: only then its value can no longer be set."""
    try:
        st.session_state[name] = _copy(st.session_state[STATE][name])
    except StreamlitAPIException:
        return True
    return False


def get(name: str):
    """Present value of a parameter."""
    return st.session_state[name] if name in st.session_state else st.session_state[STATE][name]


def put(**values) -> None:
    """Set parameters: from a callback, or before their widgets are drawn."""
    for name, value in values.items():
        st.session_state[STATE][name] = _copy(value)
        st.session_state[name] = _copy(value)


def complain(text: str) -> None:
    """Tell the user, above the page, until the next choice, what was wrong and what is shown instead."""
    found = st.session_state.setdefault(COMPLAINTS, [])
    if text not in found:
        found.append(text)


def complaints() -> list[str]:
    """What is wrong with the address, as told by `complain`."""
    return st.session_state.get(COMPLAINTS, [])


def keep_within(name: str, options, what: str):
    """The parameter's value if it is among `options`; else the nearest one, with a complaint unless it was unset."""
    value, options = get(name), list(options)
    if value in options or not options:
        return value
    numeric = isinstance(value, (int, float)) and not isinstance(value, bool)
    near = min(options, key=lambda o: abs(o - value)) if numeric else next(iter(get_close_matches(str(value), options, n=1, cutoff=0)), options[0])
    if value is not None:
        complain(f"{what} has no {name} {value!r}; showing {near!r}.")
    put(**{name: near})
    return near


def go(page: str, **values) -> None:
    """Set parameters and open a page (`variance` for pages/variance.py): from a callback."""
    put(**values)
    st.session_state["_goto"] = page
