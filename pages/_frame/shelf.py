"""The store of this process, and what of it is open: shared between sessions."""

from functools import lru_cache

import pandas as pd
import streamlit as st

from asr_core.errors import StoreError
from asr_core.store import Store, catalogue, default_root, results
from asr_core.store.catalogue import Stored
from asr_core.store.results import Result
from asr_core.studies import settings as studied


@lru_cache(maxsize=2)  # asked a dozen times a click, each a tenth of a millisecond with Streamlit's own
def _store(root: str) -> Store:
    return Store(root)


def store() -> Store:
    """The store of this process."""
    return _store(str(default_root()))


@lru_cache(maxsize=2)
def _stored(root: str, stamp: tuple) -> list[Stored]:
    return catalogue.stored(_store(root))


def stored() -> list[Stored]:
    """Everything stored, read again only when results came or went."""
    return _stored(str(default_root()), store().stamp("result"))


@st.cache_resource(max_entries=1, show_spinner="Reading what is stored …")
def _settings(root: str, stamp: tuple) -> pd.DataFrame:
    return studied.table(_store(root), _stored(root, stamp))


def settings() -> pd.DataFrame:
    """The table of all stored settings, made once when results came or went; shared, so never change it."""
    return _settings(str(default_root()), store().stamp("result"))


@st.cache_resource(max_entries=24, show_spinner=False)
def _opened(root: str, keys: tuple[str, ...]) -> Result:
    return results.open_results(_store(root), keys)


def opened(keys: tuple[str, ...]) -> Result:
    """The stored results under `keys` (of one setting) as one; shared between sessions, so never change its tables.

    One that turns out to be damaged is listed no more: the page is drawn again, without it.
    """
    known = len(store().left_out)
    try:
        return _opened(str(default_root()), keys)
    except StoreError:
        if len(store().left_out) > known:
            st.rerun()
        raise
