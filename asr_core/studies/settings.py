"""All stored settings in one table: what they are, how badly pruning hurt, what ASR gains, how much is stored. No
torch."""

import pandas as pd

from asr_core.spec.experiment import ExperimentSpec
from asr_core.spec.recalibration import NO_STATE, REPORTED_STATE, BatchNormState
from asr_core.spec.repairs import DENSE, NO_REPAIR
from asr_core.store import Store, catalogue, results
from asr_core.store.catalogue import Stored
from asr_core.store.tables import networks
from asr_core.studies import severity

GAIN = ("asr_lw", "simultaneous", False, "median", REPORTED_STATE)  # of which methods, and how
COLUMNS = [
    *("key", "network", "images", "pruning", "sparsity", "seed", "draw", "stat_images", "tested", "weights"),
    *("severity", "within_share", "gain", "gain_low", "gain_high", "complete"),
]
MEASURED = ["severity", "within_share", "gain", "gain_low", "gain_high", "complete"]


def table(store: Store, stored: list[Stored]) -> pd.DataFrame:
    """COLUMNS, a row per stored setting and dense network, in the order of `stored`: key of its largest result;
    severity and within_share of the pruned network; gain of ASR over LW (GAIN) with its 95 % interval, as
    fractions, NaN where one of the two is not stored; weights: where they come from and the dense network's identity;
    tested: test images, None for all; complete: the part of the default grid that is stored, in [0, 1].

    >>> table(Store("/nowhere"), []).empty
    True
    """
    groups = _groups(stored)
    facts = pd.DataFrame([_said(items[0]) for items in groups], columns=COLUMNS[: -len(MEASURED)])
    grouped = tuple(catalogue.keys_of(items) for items in groups)
    rows = severity.accuracies(store, grouped)
    if rows.empty:
        return facts.reindex(columns=COLUMNS)
    gains = severity.gains(store, grouped, *GAIN).set_index("point")[["gain", "gain_low", "gain_high"]]
    first = rows.drop_duplicates("point").set_index("point")[["severity", "within_share"]]
    return facts.join(first).join(gains).join(_complete(rows, groups)).reindex(columns=COLUMNS)


def _groups(stored: list[Stored]) -> list[list[Stored]]:
    """The results of each setting and dense network, most rows first."""
    found: dict[tuple, list[Stored]] = {}
    for item in stored:
        found.setdefault((item.setting, item.dense_id), []).append(item)
    return [sorted(items, key=lambda item: item.rows, reverse=True) for items in found.values()]


def _said(item: Stored) -> tuple:
    """The first of COLUMNS."""
    setting = item.setting
    pruned, sparsity = setting.prune, setting.prune.chosen.asked(setting.prune.parameters)
    measured = setting.calibration.draw, setting.calibration.stat_images, setting.evaluation.eval_images
    names = setting.model.words, item.facts["dataset_label"], "".join(pruned.how)
    return item.key, *names, sparsity, setting.dense.seed, *measured, f"{setting.dense.source} {item.dense_id[:8]}"


def _complete(rows: pd.DataFrame, groups: list[list[Stored]]) -> pd.Series:
    """Part of the rows of its network's default grid that each point, the place of its group, has."""
    kinds = pd.Series([items[0].setting.model.batchnorm for items in groups])
    parts = [_of_grid(rows[rows["point"].map(kinds).eq(kind)], _grid(kind)) for kind in (True, False)]
    return pd.concat(parts).reindex(rows["point"].unique(), fill_value=0.0).rename("complete")


def _grid(batchnorm: bool) -> set[tuple]:
    """The networks and states of the default grid, with and without BatchNorm to recalibrate."""
    usual = ExperimentSpec()
    states = usual.states if batchnorm else (NO_STATE,)
    wanted = {(one, *_values(state)) for one in usual.repairs if batchnorm or one.order for state in states}
    return wanted | {(network, *_values(NO_STATE)) for network in (DENSE, NO_REPAIR)}


def _of_grid(rows: pd.DataFrame, wanted: set[tuple]) -> pd.Series:
    """By point, which part of `wanted` its rows are."""
    state = rows[["start", "averaging", "momentum", "calib_batches"]].astype(object)
    state = state.where(state.notna(), None)
    names = zip(networks(rows), *(state[name] for name in state), strict=True)
    usual_rows = pd.Series([name in wanted for name in names], index=rows.index, dtype=bool)
    once = rows[usual_rows].drop_duplicates(["point", *results.UNIQUE["accuracy"]])
    return once.groupby("point").size() / len(wanted)


def _values(state: BatchNormState) -> tuple:
    return state.start, state.averaging, state.momentum, state.calib_batches
