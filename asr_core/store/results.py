"""A finished experiment as tidy tables: found in the store and read, without torch."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from asr_core.errors import StoreError
from asr_core.spec import labels
from asr_core.spec.experiment import ExperimentSpec
from asr_core.spec.keys import Keys, recipe_key
from asr_core.spec.model import ModelSpec
from asr_core.spec.recalibration import NO_BATCHNORM, BatchNormState
from asr_core.spec.repairs import COLUMNS
from asr_core.store import Store, shipping
from asr_core.store.entries import WEIGHTS, Entry
from asr_core.store.tables import typed

if TYPE_CHECKING:
    import numpy as np

ROW_FIELDS = (
    *COLUMNS,
    "prior",
    "start",
    "averaging",
    "momentum",
    "calib_batches",
    "pseudo_count",
    "draw",
    "stat_images",
    "distinct_images",
    "dense_id",
    "top1",
    "top1_low",
    "top1_high",
    "n_eval",
)
TABLES = ("accuracy", "channels", "repairs", "layers", "alphas", "convs")
# What tells the rows of a table apart, where results of one setting can hold different rows.
UNIQUE = {
    "accuracy": [*COLUMNS, "start", "averaging", "momentum", "calib_batches", "pseudo_count"],
    "repairs": [*COLUMNS, "layer", "channel"],
    "layers": [*COLUMNS, "state", "layer"],
    "alphas": [*COLUMNS, "state"],
}


def _empty(*columns: str) -> pd.DataFrame:
    """An empty table with the columns that name a network, and others."""
    return typed(pd.DataFrame(columns=list(dict.fromkeys([*COLUMNS, *columns]))))


CHANNELS = ["layer", "depth", "channel", "mu_dense", "v_dense", "mu_pruned", "v_pruned", "kept_fraction", "kept_energy"]
EMPTY = {
    "accuracy": _empty(*ROW_FIELDS, "logit_gap").astype({"calib_batches": int, "top1": float}),
    "channels": pd.DataFrame(columns=CHANNELS),
    "repairs": _empty("layer", "channel", "gamma", "shrinkage"),
}


@dataclass(frozen=True)
class Result:
    """Tables of one setting and what made them.

    setting: dict of the spec, labels and network-wide numbers. accuracy: ROW_FIELDS and logit_gap.
    channels: one row per conv channel, dense and pruned. repairs: per network and channel, factors and
    repaired variances. layers: per network, state and layer. alphas: per network and state. A network is
    the columns method, order, bias, params. convs: the conv
    index with asked and achieved sparsity. `entry` holds per-image correctness (arrays 'correct'); the columns key and
    stored_row of accuracy say in which of `entries` and where, see `right_of`.
    In a `partial` result, what cannot be told yet is None, and so is `entry`.
    """

    setting: dict[str, Any]
    accuracy: pd.DataFrame
    channels: pd.DataFrame
    repairs: pd.DataFrame
    layers: pd.DataFrame
    alphas: pd.DataFrame
    convs: pd.DataFrame
    entry: Entry | Any = None
    entries: tuple[Entry, ...] = ()

    @property
    def batchnorm(self) -> bool:
        """Whether its network holds BatchNorm, which can be recalibrated and absorbs; as far as its name tells."""
        return ModelSpec.pick(**self.setting["model"]).batchnorm

    def budget(self, state: BatchNormState) -> dict[str, Any]:
        """b and recalibration (in words), as columns of a table of this result in a BatchNorm state."""
        words = labels.recalibration(state) if self.batchnorm else NO_BATCHNORM
        return {"b": state.calib_batches, "recalibration": words}


def dense_ids(store: Store, spec: ExperimentSpec, with_weights: bool = False) -> list[str]:
    """Known identities of the recipe's dense network: shipped first, then oldest first."""
    found = [m for m in store.manifests("dense") if m["facts"]["recipe"] == recipe_key(spec)]
    return [m["facts"]["dense_id"] for m in found if not with_weights or WEIGHTS in m["files"]]


def dense_here(store: Store, spec: ExperimentSpec) -> str | None:
    """Identity of a dense network of the recipe that has its weights here, None where one must be trained first."""
    return next(iter(dense_ids(store, spec, with_weights=True)), None)


def has_weights(store: Store, dense_id: str) -> bool:
    """Whether the weights of a dense network are on this machine (a shipped result can come without)."""
    return store.has("dense", dense_id, WEIGHTS)


def find(spec: ExperimentSpec, store: Store) -> Result | None:
    """The stored result of `spec`, or None; reads tables only."""
    for dense_id in dense_ids(store, spec):
        if entry := entry_of(store, Keys(spec, dense_id).result):
            return read(entry)
    return None


def entry_of(store: Store, key: str) -> Entry | Any:
    """The stored result under `key`, or None; one with its channels before one without (shipped ones can come so)."""
    return store.find("result", key, "channels.parquet") or store.find("result", key)


def entries(store: Store, keys: Iterable[str]) -> list[Entry]:
    """Those of the stored results under `keys` that are still there."""
    return [entry for key in keys if (entry := entry_of(store, key))]


def read(entry: Entry) -> Result:
    """A stored result entry as tables; a shipped one may come without `channels` and `repairs`, which are then None."""
    tables: dict[str, Any] = {
        name: shipping.expanded(entry.table(name)) if entry.has(f"{name}.parquet") else None for name in TABLES
    }
    tables["accuracy"] = placed(tables["accuracy"], entry)
    return Result(entry["setting"], **tables, entry=entry, entries=(entry,))


def placed(accuracy: pd.DataFrame, entry: Entry) -> pd.DataFrame:
    """An accuracy table with key and stored_row: where `right_of` finds which images each row has right; and with
    pseudo_count, which tables of before there was one lack."""
    if "pseudo_count" not in accuracy:
        accuracy = accuracy.assign(pseudo_count=pd.Series(pd.NA, accuracy.index, dtype="Int64"))
    return accuracy.assign(key=entry.manifest["key"], stored_row=range(len(accuracy)))


def open_results(store: Store, keys: tuple[str, ...]) -> Result:
    """The stored results under `keys`, all of one setting, as one: rows of the first win.

    A table that none of them has is empty. Names of layers and repairs are categories in `repairs`, so that picking one
    layer of a large network is fast. Raises StoreError if one is gone.
    """
    found = []
    for key in keys:
        entry = entry_of(store, key)
        if entry is None:
            raise StoreError(f"the stored result {key} is gone; choose another setting or compute it again.")
        found.append(read(entry))
    merged = whole(merge(found))
    return replace(
        merged, repairs=merged.repairs.astype(dict.fromkeys(("method", "order", "params", "layer"), "category"))
    )


def whole(found: Result) -> Result:
    """With empty tables in place of those that a running job has not made yet, or that were not shipped."""
    return replace(found, **{name: EMPTY[name] for name in EMPTY if getattr(found, name) is None})


def merge(found: list[Result]) -> Result:
    """Results of one setting as one; where two have the same row, the first has it. What none has is None."""
    if len(found) == 1:
        return found[0]
    tables: dict[str, Any] = {}
    for name in TABLES:
        there = [table for result in found if (table := getattr(result, name)) is not None]
        whole = _rows_once(there, UNIQUE[name]) if name in UNIQUE and there else None
        tables[name] = whole if name in UNIQUE else next(iter(there), None)
    return replace(found[0], **tables, entries=tuple(entry for result in found for entry in result.entries))


def _rows_once(tables: list[pd.DataFrame], names: list[str]) -> pd.DataFrame:
    whole = pd.concat(tables, ignore_index=True)
    return whole.drop_duplicates([name for name in names if name in whole], ignore_index=True)


def as_json(result: Result, *draws: Result) -> dict:
    """The result as one object: setting, accuracy (ROW_FIELDS, null where not applicable), networks.

    draws: the same setting with further calibration draws: their accuracies are rows too, told apart by `draw`.
    """
    rows = [one.accuracy[list(ROW_FIELDS)].astype(object) for one in (result, *draws)]
    accuracy = pd.concat(rows, ignore_index=True)
    alphas = result.alphas.astype(object)
    return {
        "setting": result.setting,
        "accuracy": accuracy.where(accuracy.notna(), None).to_dict("records"),
        "networks": alphas.where(alphas.notna(), None).to_dict("records"),
    }


def right_of(found: Iterable[Result], rows: pd.DataFrame) -> list[Any]:
    """Per row of the accuracy tables of `found`: bool array (image,), True where right; None where it is not kept per
    image."""
    entries = {entry.manifest["key"]: entry for result in found for entry in result.entries}
    return [_one(entries.get(key), row) for key, row in _places(rows)]


def right_in(store: Store, rows: pd.DataFrame) -> list[Any]:
    """The same for rows of results of several settings, which name their result by `key`, their place by
    `stored_row`."""
    return [_one(entry_of(store, key) if isinstance(key, str) else None, row) for key, row in _places(rows)]


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
    import numpy as np

    entry = Entry(Path(folder))
    if not entry.has("correct.npz"):
        return None
    arrays = entry.arrays("correct")
    return np.unpackbits(arrays["bits"], axis=1, count=int(arrays["n"])).astype(bool)
