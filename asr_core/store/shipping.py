"""Results in small, for cache/shipped: tables in float16, variances and factors as log2, maps compressed. Imports no
torch.

A variance or factor is within 0.6 % of the measured one (log2 magnitudes below 32), other values within 0.1 %;
accuracies, layer tables and alphas stay as they were computed.
"""

import shutil

import numpy as np
import pandas as pd

from asr_core.store import Store
from asr_core.store.entries import Entry, write_manifest

LOG = "log2 "  # begins the name of a column that holds log2 of the values
POSITIVE = ("v_dense", "v_pruned", "v_repaired", "v_recalibrated", "gamma", "gamma_raw", "prior_var")
COMPACT = ("channels", "repairs")
LARGEST = float(np.finfo(np.float16).max)


def compact(table: pd.DataFrame) -> pd.DataFrame:
    """Float columns as float16, POSITIVE ones as their log2 (zero: -inf). Larger values than float16 holds stay."""
    small = {}
    for name, values in table.items():
        if values.dtype.kind != "f" or isinstance(values.dtype, pd.Float64Dtype):
            small[name] = values
        elif name in POSITIVE:
            with np.errstate(divide="ignore"):
                small[LOG + name] = np.log2(values).astype(np.float16)
        else:
            small[name] = values.astype(np.float16) if not (values.abs() > LARGEST).any() else values
    return pd.DataFrame(small)


def expanded(table: pd.DataFrame) -> pd.DataFrame:
    """The inverse of `compact`, in float32 (variances of an exploding signal in float64); other tables are returned as
    they are."""
    if not any(dtype == np.float16 for dtype in table.dtypes):
        return table
    large = {}
    for name, values in table.items():
        if name.startswith(LOG):
            large[name.removeprefix(LOG)] = _power(values)
        else:
            large[name] = values.astype(np.float32) if values.dtype == np.float16 else values
    return pd.DataFrame(large)


def _power(logs: pd.Series) -> pd.Series:
    """2 to the power of `logs`, in float32 where it can hold all of them."""
    powers = np.exp2(logs.astype(np.float64))
    return powers if (powers[~np.isinf(powers)] > np.finfo(np.float32).max).any() else powers.astype(np.float32)


def ship_result(entry: Entry, where: Store, channels: bool = True) -> None:
    """Put a result into `where`.shipped; without `channels` only its accuracies, layers and alphas."""
    manifest, files = entry.manifest, {}
    for name in manifest["files"]:
        stem, _, kind = name.rpartition(".")
        if stem in COMPACT and not channels:
            continue
        files[name] = (
            compact(entry.table(stem))
            if stem in COMPACT
            else entry.arrays(stem)
            if kind == "npz"
            else entry.table(stem)
        )
    facts = manifest["facts"] | {"shipped": "float16" if channels else "layers and accuracy"}
    Store(where.shipped).put("result", entry.folder.name, files, facts, manifest["spec"], manifest["seconds"])


def ship_recipe(entry: Entry, where: Store) -> None:
    """Put a dense network's manifest into `where`.shipped, without its weights."""
    folder = where.shipped / "dense" / entry.folder.name
    if not folder.exists():
        folder.mkdir(parents=True)
        write_manifest(folder, entry.manifest | {"files": {}})


def apart(halves: np.ndarray) -> dict[str, np.ndarray]:
    """The low and the high bytes of float16 values, each an array of their shape: apart they shrink by 18 %, together
    by 10 %."""
    found = np.ascontiguousarray(halves).view(np.uint8).reshape(*halves.shape, 2)
    return {"low": found[..., 0], "high": found[..., 1]}


def together(found: dict[str, np.ndarray]) -> np.ndarray:
    """The inverse of `apart`."""
    return np.stack([found["low"], found["high"]], axis=-1).view(np.float16)[..., 0]


def ship_extra(stage: str, entry: Entry, where: Store) -> None:
    """Put what is not a result (masks, signal, maps) into `where`.shipped, unless it lies there: maps compressed, every
    value as it is, the rest as it lies."""
    if (where.shipped / stage / entry.folder.name).exists():
        return
    if stage == "maps":
        _ship_maps(entry, where)
    else:
        _ship_whole(stage, entry, where)


def _ship_maps(entry: Entry, where: Store) -> None:
    manifest, files = entry.manifest, {"maps.npz": apart(maps_of(entry))}
    facts, spec, seconds = (manifest[name] for name in ("facts", "spec", "seconds"))
    Store(where.shipped).put("maps", entry.folder.name, files, facts, spec, seconds)


def maps_of(entry: Entry) -> np.ndarray:
    """The maps (image, channel, H, W) of an entry: memory-mapped where they were computed, else of `ship_extra`."""
    return entry.array("maps") if entry.has("maps.npy") else together(entry.arrays("maps"))


def _ship_whole(stage: str, entry: Entry, where: Store) -> None:
    target = where.shipped / stage / entry.folder.name
    part = target.with_name(f".{target.name}")
    shutil.rmtree(part, ignore_errors=True)
    shutil.copytree(entry.folder, part)
    part.rename(target)
