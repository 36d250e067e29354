"""Which test images each stored accuracy has right: rows of accuracy tables to bool arrays. Imports no torch."""

from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import pandas as pd

from asr_core.store import Store, results
from asr_core.store.entries import Entry
from asr_core.store.results import Result

if TYPE_CHECKING:
    import numpy as np


def of_results(found: Iterable[Result], rows: pd.DataFrame) -> list[Any]:
    """Per row of the accuracy tables of `found`: bool array (image,), True where right; None where it is not kept per
    image."""
    entries = {entry.manifest["key"]: entry for result in found for entry in result.entries}
    return [_one(entries.get(key), row) for key, row in _places(rows)]


def of_store(store: Store, rows: pd.DataFrame) -> list[Any]:
    """The same for rows of results of several settings, which name their result by `key`, their place by
    `stored_row`."""
    return [_one(results.entry_of(store, key) if isinstance(key, str) else None, row) for key, row in _places(rows)]


def _places(rows: pd.DataFrame) -> Iterable[tuple[Any, Any]]:
    if "key" not in rows:
        return [(None, None)] * len(rows)
    return zip(rows["key"], rows["stored_row"], strict=True)


def _one(entry: Entry | Any, row: Any) -> Any:
    found = None if entry is None else _unpacked(str(entry.folder))
    return None if found is None else found[int(row)]


@lru_cache(maxsize=256)  # entries never change under their keys
def _unpacked(folder: str) -> "np.ndarray | Any":
    """Correctness per accuracy row and test image of a stored result, None where it is not kept."""
    from pathlib import Path

    import numpy as np

    entry = Entry(Path(folder))
    if not entry.has("correct.npz"):
        return None
    arrays = entry.arrays("correct")
    return np.unpackbits(arrays["bits"], axis=1, count=int(arrays["n"])).astype(bool)
