"""Tables and sentences of charts, made once and shared between sessions."""

from typing import Any

import streamlit as st

from asr_core.figures import Chart
from pages._frame import common


def table(chart: Chart, view: common.View, what: dict, more: tuple = ()) -> Any:
    """The table of a chart of one view; shared between sessions, so never change it. Raises NothingToDraw."""
    made_by = f"{chart.table.__module__}.{chart.table.__name__}"
    return _tabled(chart, view, what, more, made_by, view.stamp, repr(what), repr(more))


@st.cache_resource(max_entries=64, show_spinner=False)
def _tabled(_chart: Chart, _view: common.View, _what: dict, _more: tuple, *key):
    """The figure's table; kept, so that a click elsewhere on the page does not make it again."""
    opened = {"more": [common.opened(keys) for keys in _more]} if _more else {}
    return _chart.table(_view.result, **_what, **opened)


@st.cache_resource(max_entries=256, show_spinner=False)
def told(_chart: Chart, _table, *key) -> str:
    """The sentence of a table that `table` made."""
    return _chart.sentence(_table)
