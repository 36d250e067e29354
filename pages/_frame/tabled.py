"""Tables and sentences of charts, made once and shared between sessions.

What is kept is asked for by keywords: of each argument without one Streamlit looks up the name, for 50 microseconds.
"""

from typing import Any

import streamlit as st

from asr_core.figures import Chart, NothingToDraw
from pages._frame import common


def table(chart: Chart, view: common.View, what: dict, more: tuple = ()) -> Any:
    """The table of a chart of one view; shared between sessions, so never change it. Raises NothingToDraw."""
    made_by = f"{chart.table.__module__}.{chart.table.__name__}"
    found = _tabled(_chart=chart, _view=view, _what=what, _more=more, key=(made_by, *known_by(view, what, more)))
    if isinstance(found, NothingToDraw):
        raise found.with_traceback(None)
    return found


def known_by(view: common.View, what: dict, more: tuple) -> tuple:
    """What a table depends on; some hold signal too, where that is stored."""
    signals = what["store"].stamp("signal") if "store" in what else ()
    return view.stamp, repr(what), signals, repr(more)


@st.cache_resource(max_entries=64, show_spinner=False)
def _tabled(_chart: Chart, _view: common.View, _what: dict, _more: tuple, key: tuple):
    """The figure's table, or why there is none; kept, so that a click elsewhere on the page does not make it again."""
    opened = {"more": [common.opened(keys) for keys in _more]} if _more else {}
    try:
        return _chart.table(_view.result, **_what, **opened)
    except NothingToDraw as reason:
        if "store" in _what:  # in which it may be soon
            raise
        return reason.with_traceback(None)


@st.cache_resource(max_entries=256, show_spinner=False)
def told(_chart: Chart, _table, key: tuple) -> str:
    """The sentence of a table that `table` made."""
    return _chart.sentence(_table)
