"""Results that a running job has not finished, or that were not shipped whole, as what a page can draw."""

from dataclasses import replace

import pandas as pd

from asr_core.spec.repairs import COLUMNS
from asr_core.store import results
from asr_core.store.results import Result
from asr_core.store.tables import typed


def _empty(*columns: str) -> pd.DataFrame:
    """An empty table with the columns that name a network, and others."""
    return typed(pd.DataFrame(columns=list(dict.fromkeys([*COLUMNS, *columns]))))


CHANNELS = ("layer", "depth", "channel", "mu_dense", "v_dense", "mu_pruned", "v_pruned", "kept_fraction", "kept_energy")
EMPTY = {
    "accuracy": _empty(*results.ROW_FIELDS, "logit_gap").astype({"calib_batches": int, "top1": float}),
    "channels": pd.DataFrame(columns=list(CHANNELS)),
    "repairs": _empty("layer", "channel", "gamma", "shrinkage"),
}


def whole(found: Result) -> Result:
    """With empty tables in place of those that a running job has not made yet, or that were not shipped."""
    return replace(found, **{name: EMPTY[name] for name in EMPTY if getattr(found, name) is None})
