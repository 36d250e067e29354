"""What a step of the lesson shows: its chart on the lesson's own setting, with the answer's numbers."""

from typing import Any

import pandas as pd
import streamlit as st

from asr_core.figures import Chart, curves, idea, overview, runaway, variance
from asr_core.report.lesson import Shot
from asr_core.spec.recalibration import NO_STATE, BatchNormState
from asr_core.spec.repairs import BN_ONLY
from asr_core.store import default_root, results
from asr_core.store.results import Result
from asr_core.studies import lessonnumbers, taught
from pages._frame import charts, common, lessons
from pages._frame.views import View

CHARTS: dict[str, Chart] = {
    chart.name: chart
    for chart in (
        overview.STRIP,
        overview.ACCURACY,
        variance.SCATTER,
        idea.DEPTH,
        idea.BATCHNORM,
        curves.CURVES,
        runaway.RUNAWAY,
    )
}
REPAIRS = {"": (), "one": (taught.ONE,), "each": (taught.EACH,), "both": (taught.EACH, taught.SHRUNK)}
GIVEN = {"all": (BN_ONLY, *taught.REPAIRS), "turn": (BN_ONLY, *lessonnumbers.IN_TURN), "none": NO_STATE}


def view() -> View | None:
    """The lesson's setting, or None where nothing is stored that can be shown."""
    return lessons.view(taught.REPAIRS, BatchNormState())


@st.cache_resource(max_entries=2, show_spinner=False)
def _numbers(root: str, stamp: tuple, keys: tuple[str, ...]) -> tuple[dict[str, Any], tuple]:
    siblings = taught.siblings(common.stored(), lessons.found()[0]).values()
    others = [light for found in siblings if (light := _light(found))]
    result = common.opened(keys)
    others = [one for one in others if one.setting["sparsity_asked"] != result.setting["sparsity_asked"]]
    table = lessonnumbers.runaway([*others, result])
    return lessonnumbers.numbers(result, others), tuple(tuple(map(float, row)) for row in table.to_numpy())


def _light(keys: tuple[str, ...]) -> Result | None:
    """A stored setting's accuracies and layers; its channels, by far the largest part, are left unread. None where it
    turns out to be damaged."""
    entries = results.entries(common.store(), keys)
    if not entries:
        return None
    accuracy = pd.concat([entry.table("accuracy") for entry in entries], ignore_index=True)
    none = pd.DataFrame()
    return Result(entries[0]["setting"], accuracy, none, none, entries[0].table("layers"), none, none)


def numbers(found: View) -> dict[str, Any]:
    """Everything that the lesson's texts name, and its answers; read again only when results came or went."""
    return _numbers(str(default_root()), common.store().stamp("result"), found.keys)[0]


def draw(shot: Shot, key: str, found: View) -> None:
    """A step's chart."""
    known, rows = _numbers(str(default_root()), common.store().stamp("result"), found.keys)
    what = {name: _filled(value, known) for name, value in shot.what.items()}
    chart = CHARTS[shot.chart]
    if chart is variance.SCATTER:
        what["repairs"] = REPAIRS[shot.repairs]
    if chart is runaway.RUNAWAY:
        what["rows"] = rows
    charts.show(chart, key, views=[found], how=dict(shot.how), **what)


def _filled(value, known: dict[str, Any]):
    """'{layer}' is the lesson's layer, '{all}' a choice of repairs; anything else is itself."""
    if not isinstance(value, str) or not value.startswith("{"):
        return value
    name = value.strip("{}")
    return GIVEN[name] if name in GIVEN else known[name]
