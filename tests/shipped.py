"""Shipped results read from their files, without the code under test."""

from pathlib import Path

import numpy as np
import pandas as pd

from asr_core.store import Store, catalogue
from asr_core.store.entries import PROJECT

SHIPPED = PROJECT / "cache" / "shipped" / "result"


def store() -> Store:
    """The store of a fresh clone."""
    return Store(PROJECT / "cache")


def settings(where: Store) -> list[tuple[str, ...]]:
    """Keys of the results of every shipped setting, each setting once."""
    stored = [item for item in catalogue.stored(where) if (SHIPPED / item.key).is_dir()]
    return list(
        dict.fromkeys(catalogue.keys_of(catalogue.covering(stored, one.setting, one.dense_id)) for one in stored)
    )


def table(key: str, name: str) -> pd.DataFrame:
    """A table of a result; variances in their own unit."""
    path: Path = SHIPPED / key / f"{name}.parquet"
    if not path.is_file():
        return pd.DataFrame()
    found = pd.read_parquet(path)
    for column in [c for c in found if c.startswith("log2 ")]:
        found[column.removeprefix("log2 ")] = 2.0 ** found[column].astype(float)
    return found


def right(key: str) -> np.ndarray:
    """(rows of accuracy, test images): which images are right."""
    with np.load(SHIPPED / key / "correct.npz") as file:
        return np.unpackbits(file["bits"], axis=1, count=int(file["n"])).astype(bool)
