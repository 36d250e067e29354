"""The networks that a page compares, and what each says of every test image, as stored. No torch."""

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from asr_core.spec.recalibration import BatchNormState
from asr_core.spec.repairs import COLUMNS, DENSE, NO_REPAIR, RepairSpec
from asr_core.store import answers
from asr_core.store.entries import Entry
from asr_core.store.results import Result
from asr_core.store.tables import networks, rows_of, typed
from asr_core.studies import ablation


class Said(NamedTuple):
    """labels, predictions: (image,), classes; bins: (bin, 3), those of `asr_core.measure.confidence`."""

    labels: np.ndarray
    predictions: np.ndarray
    bins: np.ndarray

    @property
    def correct(self) -> np.ndarray:
        """Whether each image is right, (image,)."""
        return self.predictions == self.labels


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


def said(result: Result, table: pd.DataFrame) -> list[Said | Any]:
    """What the network of each of these `rows` says, None where its answers are not stored."""
    entries = {entry.manifest["key"]: entry for entry in result.entries}
    if "key" not in table:
        return [None] * len(table)
    return [_one(entries.get(key), row) for key, row in zip(table["key"], table["stored_row"], strict=True)]


def _one(entry: Entry | Any, row: Any) -> Said | Any:
    found = None if entry is None else _read(str(entry.folder))
    return None if found is None else Said(found.labels, found.predictions[int(row)], found.bins[int(row)])


@lru_cache(maxsize=8)  # entries never change under their keys
def _read(folder: str) -> answers.Answers | Any:
    return answers.read(Entry(Path(folder)))
