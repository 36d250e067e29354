"""Stored signal tables: which there are and how they are read; `signal_plan` says what they cost. Imports no torch.

Each network of a setting in a BatchNorm state has its own entry of stage `signal`: calibration.parquet and
test.parquet, the tables of `asr_core.signal` on the statistics images and on as many test images, the first of the
evaluation subset.
"""

import pandas as pd

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
    """The pruned network, and each repair before recalibration and in `state`, one after the other: so that it is
    built once."""
    states = dict.fromkeys((NO_STATE, spec.state_of(state)))
    return [(NO_REPAIR, NO_STATE), *((repair, each) for repair in spec.repairs for each in states)]


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
