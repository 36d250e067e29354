"""Does BatchNorm undo the repair? Logits against BN only by budget, what the identity predicts, and where."""

import numpy as np
import pandas as pd

from asr_core.figures import TESTED, Chart, NothingToDraw, style
from asr_core.figures.absorption_drawn import agreement_figure, agreement_limits, gap_figure, gap_limits
from asr_core.report.sentences import absorbed
from asr_core.spec.recalibration import BatchNormState
from asr_core.spec.repairs import BN_ONLY, COLUMNS
from asr_core.store.results import Result
from asr_core.store.tables import networks, rows_of
from asr_core.studies import leftover


def _state(way: str, b: int, momentum: float) -> BatchNormState:
    return BatchNormState.of(way, "cumulative" if way == "cumulative" else "ema", momentum, b)


def _comparable(result: Result, repairs) -> pd.DataFrame:
    """Accuracy rows of repairs that change weights, with their distance to BN only; or why there are none."""
    if not result.batchnorm:
        raise NothingToDraw(absorbed.NEVER_UNDONE)
    rows = result.accuracy
    if "logit_gap" not in rows:
        raise NothingToDraw(
            "This result was stored before logits were kept. "
            "Remove it (python -m asr_core cache clear evaluation result) and compute it again."
        )
    chosen = rows_of(rows, *(repair for repair in repairs if repair.order))
    if chosen.empty:
        raise NothingToDraw(
            "None of the chosen methods that change weights is stored. Choose LW, raw or ASR in the sidebar."
        )
    if chosen["logit_gap"].notna().sum() == 0:
        raise NothingToDraw(
            "Logits are compared with BN only, which is not stored for this setting. "
            "It is there once BN only is among the computed methods."
        )
    return chosen


def gap_table(result: Result, repairs=(), momentum: float = 0.1) -> pd.DataFrame:
    """Per repair, way of recalibration and budget: COLUMNS, label, way (None at b = 0), b, a (share of the start left),
    logit_gap, top1_gap (top-1 minus that of BN only, fraction), predicted (leftover.predicted_error, NaN at b = 0)."""
    rows = _by_way(_comparable(result, repairs), momentum)
    if rows.empty:
        raise NothingToDraw("Nothing is stored for this momentum; choose a stored one.")
    plain = _by_way(rows_of(result.accuracy, BN_ONLY), momentum).set_index(["way", "b"])["top1"]
    table = rows.join(plain.rename("plain"), on=["way", "b"])
    table = table.assign(
        a=[leftover.share_left(_state(*where, momentum)) for where in zip(table["way"], table["b"], strict=True)],
        predicted=_predicted(result, table, momentum),
        logit_gap=table["logit_gap"].astype(float),
        top1_gap=(table["top1"] - table["plain"]).astype(float),
        way=table["way"].where(table["b"] > 0, None),
    )
    found = table[[*COLUMNS, "way", "b", "a", "logit_gap", "top1_gap", "predicted"]]
    return style.labelled(found.reset_index(drop=True))


def _predicted(result: Result, table: pd.DataFrame, momentum: float) -> np.ndarray:
    """leftover.predicted_error of each row of (network, way, b); NaN without recalibration."""
    found = networks(table)
    factors = leftover.factors(result, found.unique())
    states = {where: _state(*where, momentum) for where in zip(table["way"], table["b"], strict=True) if where[1]}
    errors = {where: leftover.predicted_error(factors, state) for where, state in states.items()}
    rows = zip(found, table["way"], table["b"], strict=True)
    return np.array([errors[way, b].get(network, np.nan) if b else np.nan for network, way, b in rows], float)


def _by_way(rows: pd.DataFrame, momentum: float) -> pd.DataFrame:
    """Accuracy rows with `way` ('none' at b = 0) and `b`, of this momentum only, each repair and state once."""
    averaged = {name: rows["averaging"].eq(name).to_numpy(bool, na_value=False) for name in ("ema", "cumulative")}
    ema = averaged["ema"] & rows["momentum"].eq(momentum).to_numpy(bool, na_value=False)
    cases = [rows["calib_batches"].eq(0).to_numpy(bool), averaged["cumulative"], ema]
    ways = np.select(cases, ["none", "cumulative", rows["start"].fillna("").to_numpy(object)], "")
    found = rows.assign(way=ways, b=rows["calib_batches"].astype(int))
    return found[found["way"] != ""].drop_duplicates([*COLUMNS, "way", "b"]).sort_values(["b"], kind="stable")


GAP = Chart("absorption.GAP", gap_table, gap_figure, absorbed.gaps, gap_limits, counts=TESTED)


def agreement_table(result: Result, repairs=(), momentum: float = 0.1) -> pd.DataFrame:
    """gap_table's recalibrated rows with both a prediction and a measurement above 0."""
    table = gap_table(result, repairs, momentum)
    use = table["way"].notna() & (table["predicted"] > 0) & (table["logit_gap"] > 0) & np.isfinite(table["logit_gap"])
    if not use.any():
        raise NothingToDraw("No recalibrated network has both a prediction and a measurement.")
    return table[use].reset_index(drop=True)


AGREEMENT = Chart(
    "absorption.AGREEMENT", agreement_table, agreement_figure, absorbed.agreement, agreement_limits, counts=TESTED
)


def methods_table(table: pd.DataFrame) -> pd.DataFrame:
    """Of a `gap_table`, method by method after full re-estimation (cumulative, the largest budget): label, changes
    (what the method changes), predicted and measured (whether BatchNorm absorbs it, in words), logit_gap, top1_gap."""
    full = table[table["way"] == "cumulative"]
    rows = []
    for network, group in style.each(full) if len(full) else ():
        last = group.loc[group["b"].idxmax()]
        gap = last["logit_gap"]
        measured = "not measured" if not np.isfinite(gap) else "absorbed" if gap <= absorbed.SAME else "not absorbed"
        predicted = "absorbed, where every conv is" if network.scales else "not absorbed"
        changes = "a factor and a shift per channel" if network.scales else "the kept weights themselves"
        values = changes, predicted, measured, gap, last["top1_gap"]
        rows.append((last["label"], *values))
    return pd.DataFrame(rows, columns=["label", "changes", "predicted", "measured", "logit_gap", "top1_gap"])
