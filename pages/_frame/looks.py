"""The first look at a setting: rows that are stored of it. Knows nothing of Streamlit."""

from itertools import product
from typing import Any

import pandas as pd

from asr_core.fields import OFF, ON
from asr_core.spec.recalibration import REPORTED_STATE
from asr_core.spec.repairs import BIASES, BN_ONLY, METHODS, ORDERS, RepairSpec
from asr_core.store.tables import networks
from asr_core.studies import ablation

STATE = ["start", "averaging", "momentum", "calib_batches"]


def first(accuracy: pd.DataFrame) -> dict[str, Any]:
    """Methods, one order, one mean correction and a recalibration of which every row is stored: most methods first,
    then the defaults. Empty where no repair is stored."""
    repaired = accuracy[~accuracy["method"].isin(("dense", "no_repair"))]
    if repaired.empty:
        return {}
    state = _state(repaired)
    have = set(networks(state))
    ways = [(order, bias, _methods(have, order, bias)) for order, bias in product(ORDERS, (OFF, ON))]
    order, bias, methods = max(ways, key=lambda way: len(way[2]))
    row = state.iloc[0]
    given = {name: row[name] for name in STATE if not pd.isna(row[name])}
    if given.get("calib_batches") == 0:
        given = {"calib_batches": 0}
    kept = {name: value.item() if hasattr(value, "item") else value for name, value in given.items()}
    return {"methods": methods, "orders": [order], "biases": [bias]} | kept if methods else {}


def _methods(have: set[RepairSpec], order: str, bias: str) -> list[str]:
    """The paper's methods that are stored in one order with one mean correction."""
    made = {name: RepairSpec.of(name, order, BIASES[bias]) for name in METHODS if name != BN_ONLY.method}
    return [name for name in METHODS if (BN_ONLY if name == BN_ONLY.method else made[name]) in have]


def _state(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows in the reported state; where none are, of the state with most of them, the longest."""
    reported = ablation.rows_in(rows, REPORTED_STATE)
    if len(reported):
        return reported
    groups = rows.groupby(STATE, dropna=False, sort=False)
    return max((group for _, group in groups), key=lambda group: (len(group), group["calib_batches"].iloc[0]))
