"""Stored signal tables: which there are, what they cost, how they are read. Imports no torch.

Each network of a setting in a BatchNorm state has its own entry of stage `signal`: calibration.parquet and
test.parquet, the tables of `asr_core.signal` on the statistics images and on as many test images, the first of the
evaluation subset.
"""

from dataclasses import replace

import pandas as pd

from asr_core.images import data
from asr_core.pipeline import plan
from asr_core.pipeline.plan import Task
from asr_core.spec.digests import key
from asr_core.spec.experiment import ExperimentSpec
from asr_core.spec.keys import Keys
from asr_core.spec.recalibration import NO_STATE, BatchNormState
from asr_core.spec.repairs import NO_REPAIR, RepairSpec
from asr_core.store import Store
from asr_core.store.tables import with_network

IMAGES = ("calibration", "test")  # on which a table is measured
STATES = ("repaired", "recalibrated")  # before and after recalibration, as in tables of a result
Network = tuple[RepairSpec, BatchNormState]


def key_of(keys: Keys, network: RepairSpec, state: BatchNormState) -> str:
    """Store key of one network's tables in a BatchNorm state."""
    return key("signal", keys.network(network), keys.images, keys.spec.evaluation, *keys.of_state(state))


def networks(spec: ExperimentSpec, state: BatchNormState) -> list[Network]:
    """The pruned network, and each repair before recalibration and in `state`."""
    states = dict.fromkeys((NO_STATE, state))
    return [(NO_REPAIR, NO_STATE), *((repair, each) for each in states for repair in spec.repairs)]


def tasks(
    spec: ExperimentSpec, store: Store, dense_id: str | None, state: BatchNormState, counts: tuple[int, int]
) -> list[Task]:
    """The tables that are not stored; the first costs the passes of the dense network too."""
    keys = Keys(spec, dense_id or "unknown")
    found: dict[str, Task] = {}
    images = spec.calibration.stat_images + plan.signal_tests(spec, counts[1])
    for network, each in networks(spec, state):
        name = key_of(keys, network, each)
        if dense_id is None or not store.has("signal", name):
            found.setdefault(name, Task("signal", name, images, network, each))  # bn_only is the pruned network first
    first, *rest = found.values() or (None,)
    return [replace(first, images=2 * images), *rest] if first else []


def missing(spec: ExperimentSpec, store: Store, dense_id: str | None, state: BatchNormState) -> list[Task]:
    """What is not stored of the tables before recalibration and in `state`, in the order it will run: decoding and
    training first.

    dense_id: see `maps.known_dense`. Raises DataError for a folder that was never seen here.
    """
    spec, counts = plan.fitted(spec, store, dense_id, state), data.counts(spec.data, store)
    if not (found := tasks(spec, store, dense_id, state, counts)):
        return []
    needed = plan.preparation(spec, dense_id, counts, found)
    absent = [task for task in needed if dense_id is None or not store.has(task.stage, task.key)]
    return [*plan.beginning(spec, store, dense_id, data.images_key(spec.data), counts), *absent, *found]


def read(
    spec: ExperimentSpec, store: Store, dense_id: str, state: BatchNormState
) -> tuple[pd.DataFrame | None, list[Network]]:
    """(stored tables as one, what is not stored). Columns: method, order, bias, params, state (`repaired` before
    recalibration, `recalibrated` in `state`), images (`calibration`, `test`), and those of `asr_core.signal`."""
    keys, parts, absent = Keys(spec, dense_id), [], []
    for network, each in networks(spec, state):
        entry = store.find("signal", key_of(keys, network, each))
        if entry is None:
            absent.append((network, each))
            continue
        when = STATES[each.calib_batches > 0]
        parts += [with_network(entry.table(name).assign(state=when, images=name), network) for name in IMAGES]
    return (pd.concat(parts, ignore_index=True) if parts else None), absent
