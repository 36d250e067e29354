"""Which network an own one is: the digest of what it does."""

import streamlit as st

from asr_core import registry
from asr_core.errors import AsrError
from asr_core.fields import declarations
from asr_core.networks import named
from asr_core.spec.model import ModelSpec
from pages._frame import common, state

SAID = "_own_said"  # what came of the last own network, images or weights: (error | done, in words)


def identify() -> None:
    """What the chosen own network does, as a process says that may import it; of one that nobody may import here, what
    is stored of it did. One that cannot be built is not chosen."""
    name, digest = state.get("architecture"), None
    try:
        if named.is_own(name):
            there = [item.setting.model for item in common.stored() if item.setting.model.architecture == name]
            if name in named.listed() or not there:
                classes = state.get("outputs") or state.get("classes") or _fixed_classes()
                digest = named.digest(name, classes, state.get("image_size"))
            else:
                digest = there[-1].network_digest
    except AsrError as error:
        state.complain(str(error))
        st.session_state[SAID] = "error", str(error)  # a complaint is gone once something else has changed
        before = state.before("architecture")
        state.put(architecture=before if before != name else declarations(ModelSpec)["architecture"].default)
    state.put(network_digest=digest)


def _fixed_classes() -> int:
    return registry.get("image source", state.get("dataset")).classes
