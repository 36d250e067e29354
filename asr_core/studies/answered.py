"""The networks that a page compares, and what each says of every test image, as stored. No torch."""

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from asr_core.images import data
from asr_core.measure import confidence
from asr_core.spec import experiment
from asr_core.spec.experiment import Setting
from asr_core.spec.keys import Keys
from asr_core.spec.recalibration import BatchNormState
from asr_core.spec.repairs import COLUMNS, DENSE, NO_REPAIR, RepairSpec
from asr_core.store import Store, answers
from asr_core.store.answers import Answers
from asr_core.store.entries import Entry
from asr_core.store.results import Result
from asr_core.store.tables import networks, rows_of, typed
from asr_core.studies import ablation


def rows(accuracy: pd.DataFrame, repairs: Iterable[RepairSpec], state: BatchNormState) -> pd.DataFrame:
    """Rows of an accuracy table: dense and no repair without recalibration, each of `repairs` in `state`; of a repair
    that is not stored there, a row of COLUMNS alone. Empty where nothing is stored."""
    repairs = list(repairs)
    chosen = ablation.rows_in(rows_of(accuracy, *repairs), state)
    references = rows_of(accuracy[accuracy["calib_batches"].eq(0)], DENSE, NO_REPAIR)
    found = pd.concat([references, chosen]).drop_duplicates(COLUMNS)
    if found.empty:
        return found
    known = set(networks(found).unique())
    absent = [repair.columns for repair in repairs if repair not in known]
    return typed(pd.concat([found, pd.DataFrame(absent, columns=COLUMNS).astype(object)], ignore_index=True))


def said(result: Result, table: pd.DataFrame) -> list[Answers | Any]:
    """What the network of each of these `rows` says, None where its answers are not stored."""
    entries = {entry.manifest["key"]: entry for entry in result.entries}
    if "key" not in table:
        return [None] * len(table)
    return [_one(entries.get(key), row) for key, row in zip(table["key"], table["stored_row"], strict=True)]


def _one(entry: Entry | Any, row: Any) -> Answers | Any:
    found = None if entry is None else _read(str(entry.folder))
    return None if found is None else found.row(int(row))


@lru_cache(maxsize=8)  # entries never change under their keys
def _read(folder: str) -> Answers | Any:
    return answers.read(Entry(Path(folder)))


def by_network(result: Result, table: pd.DataFrame) -> dict[RepairSpec, Answers | Any]:
    """What the network of each of these `rows` says, by network; None where its answers are not stored."""
    return dict(zip(networks(table), said(result, table), strict=True))


def test_images(setting: dict[str, Any], store: Store) -> np.ndarray:
    """Index into the test split of each image that the networks of a result with this `setting` answered.

    Raises DataError for a folder that was never seen here.
    """
    spec = Setting.from_facts(setting)
    return data.evaluated(data.counts(spec.data, store)[1], spec.evaluation.eval_images, spec.evaluation.subset)


def sureness(result: Result, store: Store, network: RepairSpec, state: BatchNormState, places: np.ndarray) -> Any:
    """Confidence of a network in its answers to the images at these `places` of those it answered, (place,), or None:
    logits of single images are stored only where it was evaluated."""
    for entry in result.entries:
        spec = experiment.from_dict(entry.manifest["spec"])
        key = Keys(spec, result.setting["dense_id"]).evaluation(network, state)
        found = store.find("evaluation", key, "logits.npy")
        if found is not None:
            return confidence.confidences(np.asarray(found.array("logits")[places], np.float32))
    return None
