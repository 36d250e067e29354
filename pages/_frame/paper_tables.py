"""The paper's tables beside ours: made once, and as they are printed on the page."""

import pandas as pd
import streamlit as st

from asr_core.jobs import estimate
from asr_core.report import papertext
from asr_core.report.words import number
from asr_core.spec.labels import method_label
from asr_core.studies.cells import ARCHITECTURES, PRUNING_LABELS
from pages._frame import common

SIDES = ("paper", "here", "Δ")
MARKS = {True: " ▲", False: ""}


@st.cache_resource(max_entries=32, show_spinner=False)
def _made(name: str, root: str, stamp: tuple, known_by: str, _make, _store, _stored, _arguments: tuple):
    return _make(_store, _stored, *_arguments)


def made(make, *arguments):
    """A table of `reproduction` or `fidelity`, made again only when something was stored."""
    store = common.store()
    speeds = store.root / estimate.FILE
    stamp = (store.stamp("result"), store.stamp("dense"), speeds.stat().st_mtime_ns if speeds.exists() else 0)
    return _made(
        f"{make.__module__}.{make.__name__}",
        str(store.root),
        stamp,
        repr(arguments),
        make,
        store,
        common.stored(),
        arguments,
    )


def beside(row) -> tuple[str, str, str]:
    """The paper's number, ours, and the difference with its mark."""
    beyond = False if pd.isna(row.beyond) else bool(row.beyond)
    return (
        number(row.paper, 2),
        number(row.top1) or "–",
        number(row.difference, sign=True) + MARKS[beyond],
    )


def grid(table: pd.DataFrame) -> pd.DataFrame:
    """One dataset of table 1 as it is printed: columns (pruning, paper | here | Δ)."""
    rows: dict = {}
    for row in table.itertuples():
        line = rows.setdefault((ARCHITECTURES[row.architecture], method_label(row.method)), {})
        for name, text in zip(SIDES, beside(row), strict=True):
            line[PRUNING_LABELS[row.pruning] or "dense", name] = text
    wide = pd.DataFrame.from_dict(rows, "index").fillna("")
    place = list(ARCHITECTURES.values()).index
    wide = wide.sort_index(level=0, key=lambda names: names.map(place), kind="stable", sort_remaining=False)
    order = [(label or "dense", name) for label in PRUNING_LABELS.values() for name in SIDES]
    named = {("", name): wide.index.get_level_values(level) for level, name in enumerate(("architecture", "method"))}
    names = pd.DataFrame(named)
    return pd.concat([names, wide[[column for column in order if column in wide]].reset_index(drop=True)], axis=1)


def counted(table: pd.DataFrame) -> pd.DataFrame:
    """ahead.counts with a column per pair of methods."""
    cells = [
        papertext.wins(row) + (f" [{said}]" if (said := papertext.tested(row)) else "") for row in table.itertuples()
    ]
    pair = [f"{method_label(row.better)} over {method_label(row.worse)}" for row in table.itertuples()]
    wide = table.assign(pair=pair, cell=cells).pivot(index="where", columns="pair", values="cell")
    return (
        wide.loc[table["where"].unique(), list(dict.fromkeys(pair))]
        .reset_index()
        .rename(columns={"where": "recalibration"})
    )


def costs(missing: pd.DataFrame) -> pd.DataFrame:
    """reproduction.missing in words."""
    times = ["not measured" if pd.isna(seconds) else estimate.duration(seconds) for seconds in missing["seconds"]]
    return pd.DataFrame(
        {"cell": missing["label"], "image passes": [f"{images:,}" for images in missing["images"]], "time here": times}
    )


def steps(table: pd.DataFrame) -> pd.DataFrame:
    """reproduction.table3 in words."""
    rows = [
        (
            row.dataset,
            row.step,
            papertext.band(row.paper_median, row.paper_low, row.paper_high, 2),
            papertext.band(row.median, row.low, row.high) or "–",
            row.settings,
        )
        for row in table.itertuples()
    ]
    return pd.DataFrame(rows, columns=["dataset", "step", "paper: median [2.5 %, 97.5 %]", "here", "settings here"])
