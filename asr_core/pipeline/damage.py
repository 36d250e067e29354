"""The damage of stored results by its present definition, from their stored tables: no images, no torch."""

from typing import Any

import numpy as np
import pandas as pd

from asr_core.measure import diagnostics
from asr_core.spec.repairs import NO_REPAIR
from asr_core.store import Store, shipping
from asr_core.store.entries import MANIFEST, Entry, write_json
from asr_core.store.tables import rows_of

EARLIER = ("between_share", "between_var")  # facts of the share around the network's mean, which is not damage


def migrate(store: Store) -> int:
    """Give the results of `store` that have the EARLIER share the present one; returns how many. Keys stay."""
    changed = 0
    for manifest in store.manifests("result"):
        setting = manifest["facts"]["setting"]
        if any(name in setting for name in EARLIER):
            entry = Entry(store.root / "result" / manifest["key"])
            kept = {name: value for name, value in setting.items() if name not in EARLIER}
            facts = manifest["facts"] | {"setting": kept | mismatch(entry)}
            write_json(entry.folder / MANIFEST, manifest | {"facts": facts})
            changed += 1
    return changed


def mismatch(entry: Entry) -> dict[str, Any]:
    """`diagnostics.mismatch` of a result, from its channels; where those were not kept, from its layers."""
    if entry.has("channels.parquet"):
        return diagnostics.mismatch(shipping.expanded(entry.table("channels")))
    return of_layers(entry.table("layers"))


def of_layers(layers: pd.DataFrame) -> dict[str, Any]:
    """The same from a table of layers: alpha_ratio without repair is exp(-2 mean d), within_spread the standard
    deviation of d, of `used` channels (eps apart, which counts where a variance is near 1e-8)."""
    rows = rows_of(layers[layers["state"] == "repaired"], NO_REPAIR)
    rows = rows[rows["depth"] > rows["depth"].min()]
    live = rows["used"].where(rows["within_spread"].notna(), 0)
    means = -0.5 * np.log(rows["alpha_ratio"].where(rows["alpha_ratio"] > 0))
    share = float(live.sum() / rows["channels"].sum()) if len(rows) else float("nan")
    return {**diagnostics.shares(means, rows["within_spread"], live), "live_share": share}
