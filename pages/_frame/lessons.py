"""The setting that is shown to who learns, as a view of its own: what the user has chosen stays as it is."""

import streamlit as st

from asr_core.spec.recalibration import BatchNormState
from asr_core.spec.repairs import RepairSpec
from asr_core.store import default_root
from asr_core.store.catalogue import Stored
from asr_core.studies import taught
from pages._frame import common
from pages._frame.views import Look, View


@st.cache_resource(max_entries=2, show_spinner=False)
def _chosen(root: str, stamp: tuple) -> list[Stored]:
    return taught.chosen(common.store(), common.stored())


def found() -> list[Stored]:
    """The stored results of the setting that `taught.RULE` names; chosen anew only when results came or went."""
    return _chosen(str(default_root()), common.store().stamp("result"))


def view(repairs: tuple[RepairSpec, ...], state: BatchNormState) -> View | None:
    """That setting with a look of its own, or None where nothing is stored that can be shown."""
    items = found()
    if not items:
        return None
    keys = tuple(item.key for item in items)
    look = Look(repairs, state, state.momentum or 0.1)
    return View(common.opened(keys), keys, items[0].setting, items[0].dense_id, look)
