"""A finished experiment as tidy tables: found in the store and read, without torch."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from asr_core.errors import StoreError
from asr_core.spec.experiment import ExperimentSpec
from asr_core.spec.keys import Keys, recipe_key
from asr_core.spec.repairs import COLUMNS
from asr_core.store import Store, shipping
from asr_core.store.entries import WEIGHTS, Entry

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


@dataclass(frozen=True)
class Result:
    """Tables of one setting and what made them.

    setting: dict of the spec, labels and network-wide numbers. accuracy: ROW_FIELDS and logit_gap.
    channels: one row per conv channel, dense and pruned. repairs: per network and channel, factors and
    repaired variances. layers: per network, state and layer. alphas: per network and state. A network is
    the columns method, order, bias, params. convs: the conv
    index with asked and achieved sparsity. `entry` holds per-image correctness (arrays 'correct').
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


def dense_ids(store: Store, spec: ExperimentSpec, with_weights: bool = False) -> list[str]:
    """Known identities of the recipe's dense network: shipped first, then oldest first."""
    found = [m for m in store.manifests("dense") if m["facts"]["recipe"] == recipe_key(spec)]
    return [m["facts"]["dense_id"] for m in found if not with_weights or WEIGHTS in m["files"]]


def dense_here(store: Store, spec: ExperimentSpec) -> str | None:
    """Identity of a dense network of the recipe that has its weights here, None where one must be trained first."""
    return next(iter(dense_ids(store, spec, with_weights=True)), None)


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
    if "pseudo_count" not in tables["accuracy"]:  # of before there was one
        rows = tables["accuracy"]
        tables["accuracy"] = rows.assign(pseudo_count=pd.Series(pd.NA, rows.index, dtype="Int64"))
    return Result(entry["setting"], **tables, entry=entry)


def open_results(store: Store, keys: tuple[str, ...]) -> Result:
    """The stored results under `keys`, all of one setting, as one: rows of the first win.

    Names of layers and repairs are categories in `repairs`, so that picking one layer of a large
    network is fast. Raises StoreError if one is gone.
    """
    found = []
    for key in keys:
        entry = entry_of(store, key)
        if entry is None:
            raise StoreError(f"the stored result {key} is gone; choose another setting or compute it again.")
        found.append(read(entry))
    merged = merge(found)
    if merged.repairs is None:
        return merged
    return replace(
        merged, repairs=merged.repairs.astype(dict.fromkeys(("method", "order", "params", "layer"), "category"))
    )


def merge(found: list[Result]) -> Result:
    """Results of one setting as one; where two have the same row, the first has it. What none has is None."""
    if len(found) == 1:
        return found[0]
    tables: dict[str, Any] = {}
    for name in TABLES:
        there = [table for result in found if (table := getattr(result, name)) is not None]
        whole = _rows_once(there, UNIQUE[name]) if name in UNIQUE and there else None
        tables[name] = whole if name in UNIQUE else next(iter(there), None)
    return replace(found[0], **tables)


def _rows_once(tables: list[pd.DataFrame], names: list[str]) -> pd.DataFrame:
    whole = pd.concat(tables, ignore_index=True)
    return whole.drop_duplicates([name for name in names if name in whole], ignore_index=True)


def as_json(result: Result) -> dict:
    """The result as one object: setting, accuracy (ROW_FIELDS, null where not applicable), networks."""
    accuracy = result.accuracy[list(ROW_FIELDS)].astype(object)
    alphas = result.alphas.astype(object)
    return {
        "setting": result.setting,
        "accuracy": accuracy.where(accuracy.notna(), None).to_dict("records"),
        "networks": alphas.where(alphas.notna(), None).to_dict("records"),
    }
