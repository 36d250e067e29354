"""Why two methods differ at a setting: layer by layer, other factors on the same inputs against other inputs."""

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from asr_core.figures import TESTED, Chart, NothingToDraw, style
from asr_core.measure.statistics import compare
from asr_core.report.sentences import reasons
from asr_core.spec import labels
from asr_core.spec.recalibration import REPORTED_STATE, BatchNormState
from asr_core.spec.repairs import BN_ONLY, RepairSpec
from asr_core.store import Store, results
from asr_core.store.results import Result
from asr_core.store.tables import rows_of
from asr_core.studies import answered, signalled, why

LOOKS = {
    "measured": ("measured", "#616161"),
    "predicted": ("other factors on the same inputs", "#56B4E9"),
    "rest": ("other inputs", "#D55E00"),
}
MOST = 3  # layers that are named


def table(
    result: Result,
    first: RepairSpec,
    second: RepairSpec,
    store: Store,
    state: BatchNormState = REPORTED_STATE,
) -> pd.DataFrame:
    """why.layers, with rho_first and rho_second (median correlation with the dense output before recalibration, on the
    calibration images; NaN: not stored), and of the whole network: first, second (labels), shared (what is common to
    both), all_* (why.parts), signal_first and signal_second (share of the error that factors and biases could mend),
    and the accuracies in `state` (b, recalibration): top1_first, top1_second, p, word (of the first; one pair, so not
    corrected)."""
    if first == second:
        raise NothingToDraw("Choose two different methods: one does not differ from itself.")
    if result.channels is None or result.channels.empty or result.repairs is None:
        raise NothingToDraw("Not stored: the channels of this setting, without which no reason can be told.")
    found = why.channels(result, first, second)
    if found.empty:
        raise NothingToDraw("Not stored: the variances of both methods, or no channel is live in both.")
    names, shared = labels.labels([first, second])
    whole: dict[str, Any] = {f"all_{name}": value for name, value in why.parts(found).items()}
    whole |= {"first": names[first], "second": names[second], "shared": shared} | result.budget(state)
    rows, signal = why.layers(found), _signal(result, store, (first, second), state)
    for side, network in (("first", first), ("second", second)):
        rho, mendable = signal.get(network, ({}, np.nan))
        whole[f"signal_{side}"] = mendable
        rows[f"rho_{side}"] = rows["layer"].map(rho).astype(float)
    return rows.assign(**whole, **_accuracy(result, first, second, state))


def _signal(result: Result, store: Store, networks: tuple, state: BatchNormState) -> dict:
    """network -> (layer -> median correlation, mendable share), of those whose signal is stored."""
    found = signalled.layers(result, store, [n for n in networks if n.order or n == BN_ONLY], state)
    if found is None:
        return {}
    own = {network: rows_of(found, network) for network in networks}
    return {n: (rows.set_index("layer")["rho"], rows["mendable"].iloc[0]) for n, rows in own.items() if len(rows)}


def _accuracy(result: Result, first: RepairSpec, second: RepairSpec, state: BatchNormState) -> dict[str, Any]:
    rows = answered.rows(result.accuracy, [first, second], state)
    bits = dict(zip(("first", "second"), (_right(result, rows_of(rows, n)) for n in (first, second)), strict=True))
    tested = compare(bits).iloc[0]
    top1 = {f"top1_{side}": _top1(rows_of(rows, n)) for side, n in (("first", first), ("second", second))}
    return top1 | {"p": tested["p"], "word": tested["word"]}


def _right(result: Result, row: pd.DataFrame) -> Any:
    return results.right_of([result], row)[0] if len(row) and row["top1"].notna().all() else None


def _top1(row: pd.DataFrame) -> float:
    return float(row["top1"].iloc[0]) if len(row) and row["top1"].notna().all() else float("nan")


def figure(found: pd.DataFrame) -> go.Figure:
    """Per layer three bars: how far both lie apart as measured, by their factors alone, and by their inputs alone."""
    made = go.Figure()
    for name, (words, colour) in LOOKS.items():
        made.add_bar(
            x=found["layer"],
            y=found[name],
            name=words,
            marker_color=colour,
            customdata=found[["layer", "worst", "channels"]].to_numpy(object),
            hovertemplate=f"<b>%{{customdata[0]}}</b>, %{{customdata[2]}} live channels<br>{words}: %{{y:.3f}}<br>"
            "most apart: channel %{customdata[1]}<extra></extra>",
            unselected={"marker": {"opacity": 1}},
        )
    shared = style.joined(f"{found['first'].iloc[0]} against {found['second'].iloc[0]}", found["shared"].iloc[0])
    made.update_xaxes(type="category", tickangle=-60)
    y = "difference of channels,<br>root mean square of ln ratio"
    return style.finish(made, 420, style.LAYERS, y, shared, barmode="group")


WHY = Chart("why.WHY", table, figure, reasons.why, wide=True, counts=TESTED)


def worst(found: pd.DataFrame) -> pd.DataFrame:
    """The MOST layers that differ most, largest first."""
    return found.sort_values("measured", ascending=False, kind="stable").head(MOST)
