"""Stored spread of channel factors over calibration draws; `factor_stage` measures it. Imports no torch.

An entry of stage `factors` holds spread.parquet: a row per network and channel with the columns of a repair, layer,
channel, draws (how many), mean and std (of a sample) of the factor gamma over them.
"""

from collections.abc import Iterable

import pandas as pd

from asr_core.images import data
from asr_core.pipeline import plan
from asr_core.pipeline.plan import Task
from asr_core.spec.digests import key
from asr_core.spec.draws import each
from asr_core.spec.experiment import ExperimentSpec, Setting
from asr_core.spec.keys import Keys
from asr_core.spec.repairs import COLUMNS
from asr_core.store import Store
from asr_core.store.results import EMPTY
from asr_core.store.tables import typed

ROWS = [*COLUMNS, "layer", "channel"]  # what tells the rows apart


def setting_key(one: Setting, dense_id: str) -> str:
    """What the draws of one setting have in common: dense network, images, pruning, how many statistics images."""
    return key("factors", dense_id, one.model, one.data, one.prune, one.calibration.stat_images)


def key_of(spec: ExperimentSpec, dense_id: str, draws: int) -> str:
    """Store key of the spread of the factors of `spec`'s repairs over calibration draws 0 to draws - 1."""
    return key("factors", setting_key(spec, dense_id), list(spec.repairs), draws)


def tasks(spec: ExperimentSpec, dense_id: str | None, counts: tuple[int, int]) -> list[Task]:
    """The stages that the factors of one draw come from, their own last."""
    keys = Keys(spec, dense_id or "unknown")
    wanted = [Task("repair", keys.network(repair), 0, repair) for repair in spec.repairs if repair.order]
    return plan.preparation(spec, dense_id, counts, wanted)


def missing(spec: ExperimentSpec, store: Store, dense_id: str | None, draws: int) -> list[Task]:
    """What is not stored of the stages that the spread over draws 0 to draws - 1 comes from; none where it is."""
    if dense_id is not None and store.has("factors", key_of(spec, dense_id, draws)):
        return []
    counts = data.counts(spec.data, store)
    every = [task for one in each(spec, draws) for task in tasks(one, dense_id, counts)]
    once = {(task.stage, task.key): task for task in every if dense_id is None or not store.has(task.stage, task.key)}
    return list(once.values())


def spread(tables: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """The spread over repair tables (ROWS, gamma) of one draw each. A channel without a factor (its weights are new)
    has no row.

    >>> one = pd.DataFrame({"method": ["asr_bn"], "order": "simultaneous", "bias": False, "params": "",
    ...                     "layer": "conv1", "channel": 0, "gamma": 1.0})
    >>> spread([one, one.assign(gamma=2.0)])[["draws", "mean"]].to_dict("records")
    [{'draws': 2, 'mean': 1.5}]
    """
    plain = [typed(table[[*ROWS, "gamma"]].astype({"layer": object})) for table in tables]
    found = pd.concat(plain or [EMPTY["repairs"]], ignore_index=True).dropna(subset="gamma")
    by_row = found.groupby(ROWS, sort=False, dropna=False)["gamma"]
    return by_row.agg(draws="size", mean="mean", std="std").reset_index()


def stored(store: Store, one: Setting, dense_id: str) -> list[pd.DataFrame]:
    """The stored spreads of a setting's factors, whatever its own draw."""
    of = setting_key(one, dense_id)
    keys = [known["key"] for known in store.manifests("factors") if known["facts"]["setting"] == of]
    return [typed(entry.table("spread")) for name in keys if (entry := store.find("factors", name))]


def widest(spreads: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Spreads as one; of two with the same row that over more draws has it. Rows over one draw, which has no spread,
    are left out."""
    found = pd.concat(list(spreads), ignore_index=True)
    found = found[found["draws"] > 1].sort_values("draws", ascending=False, kind="stable")
    return found.drop_duplicates(ROWS, ignore_index=True)
