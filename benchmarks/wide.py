"""Stored results with a very wide layer, made from shipped ones: for measuring how fast many points are drawn."""

import copy

import pandas as pd

from asr_core.spec.experiment import Setting
from asr_core.store import Store, results
from asr_core.store.catalogue import stored

CHANNELS = 2048
SEED = 99  # of the made-up settings, so that they are told from real ones
SPARSITIES = (0.8, 0.9, 0.95)


def store_wide(store: Store) -> dict[str, str]:
    """Store results of seed 99 whose widest layer is repeated to 2,048 channels; returns the address of one of them."""
    for sparsity in SPARSITIES:
        item = next(
            i for i in stored(store) if i.setting == Setting.of(sparsity=sparsity) and _has_channels(store, i.key)
        )
        layer = _store_one(store, item.key)
    return {"dataset": "digits", "seed": str(SEED), "sparsity": str(SPARSITIES[1]), "layer": layer}


def _has_channels(store: Store, key: str) -> bool:
    return store.find("result", key).has("channels.parquet")


def _store_one(store: Store, key: str) -> str:
    entry = store.find("result", key)
    found = results.read(entry)
    layer = found.channels.groupby("layer", sort=False).size().idxmax()
    tables = {name: getattr(found, name) for name in results.TABLES}
    tables |= {name: _widened(tables[name], layer) for name in ("channels", "repairs")}
    facts, spec = (copy.deepcopy(entry.manifest[name]) for name in ("facts", "spec"))
    facts["setting"] |= {"dense_id": f"{SEED:016x}"}
    facts["setting"]["dense"]["seed"] = spec["dense"]["seed"] = SEED
    files = {f"{name}.parquet": table for name, table in tables.items()}
    store.put("result", f"{SEED:04x}{key[4:]}", files, facts, spec)
    return layer


def _widened(table: pd.DataFrame, layer: str) -> pd.DataFrame:
    """`layer` repeated until it has CHANNELS channels; other layers as they are."""
    rows = table[table["layer"] == layer]
    count = rows["channel"].nunique()
    copies = [rows.assign(channel=rows["channel"] + number * count) for number in range(-(-CHANNELS // count))]
    wide = pd.concat(copies)
    return pd.concat([table[table["layer"] != layer], wide[wide["channel"] < CHANNELS]], ignore_index=True)
