"""One repair, picked from the chosen ones that are stored: the address names it by a text that is only looked up."""

import streamlit as st

from asr_core.fields import OFF, ON
from asr_core.spec import labels
from asr_core.spec.repairs import RepairSpec
from pages._frame import state


def text_of(repair: RepairSpec) -> str:
    """A repair in the address: 'asr_bn~sequential~on~'."""
    variant = [repair.order, ON if repair.bias else OFF, repair.columns["params"]] if repair.order else []
    return "~".join([repair.method, *variant])


def choose(offered: list[RepairSpec], key: str, label: str, help: str, first: int = -1) -> RepairSpec:
    """A select box of `offered` repairs, whose parameter of the address is `key`; `first`: the place of the one that is
    shown where none was chosen."""
    by_text = {text_of(repair): repair for repair in offered}
    if state.get(key) not in by_text:
        state.put(**{key: list(by_text)[first]})
    picked = st.selectbox(
        label,
        list(by_text),
        key=state.key(key),
        format_func=lambda text: labels.label(by_text[text]),
        width=420,
        help=help,
    )
    return by_text[picked]
