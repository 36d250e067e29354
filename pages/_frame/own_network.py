"""What a network of somebody else's code says of itself: whether it has BatchNorm, and of one's own what it does."""

from typing import Any

import streamlit as st

from asr_core import registry
from asr_core.errors import AsrError
from asr_core.fields import declarations
from asr_core.networks import named
from asr_core.spec.model import ModelSpec, source_of
from asr_core.store import catalogue
from pages._frame import common, state, visitor

NOTHING_SAID = {"network_digest": None, "without_batchnorm": False}  # by a network
SAID = "_own_said"  # what came of the last own network, images or weights: (error | done, in words)


def identify() -> None:
    """What the chosen network says, asked by a process that may import it; of one that nobody may import here, or of
    timm's, what is stored of it said. One that cannot be built is not chosen."""
    name, found = state.get("architecture"), NOTHING_SAID
    try:
        if source_of(name).foreign:
            found = _said(name)
    except AsrError as error:
        state.complain(str(error))
        st.session_state[SAID] = "error", str(error)  # a complaint is gone once something else has changed
        before = {field: state.before(field) for field in ("architecture", *NOTHING_SAID)}
        usual = {"architecture": declarations(ModelSpec)["architecture"].default} | NOTHING_SAID
        found = before if before["architecture"] != name else usual
    state.put(**found)


def _said(name: str) -> dict[str, Any]:
    """What it says; of a network of timm's that is not stored, nothing where this visitor may not compute."""
    known = catalogue.network(common.stored(), name)
    if known and name not in named.listed():
        return {field: getattr(known, field) for field in NOTHING_SAID}
    if not named.is_own(name) and not visitor.may_compute():
        return NOTHING_SAID
    classes = state.get("outputs") or state.get("classes") or _fixed_classes()
    return named.identity(name, classes, state.get("image_size"))


def _fixed_classes() -> int:
    return registry.get("image source", state.get("dataset")).classes
