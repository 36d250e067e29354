"""Stored signal by layer: correlation with the dense output, and what the error consists of. No torch."""

from collections.abc import Iterable

import pandas as pd

from asr_core.measure import errorparts
from asr_core.pipeline import signals
from asr_core.spec.experiment import ExperimentSpec, Setting
from asr_core.spec.recalibration import BatchNormState
from asr_core.spec.repairs import RepairSpec
from asr_core.store import Store
from asr_core.store.results import Result
from asr_core.store.tables import networks, with_network


def stored(result: Result, store: Store, repairs: Iterable[RepairSpec], state: BatchNormState) -> pd.DataFrame | None:
    """The stored signal tables (see `signals.read`) of no repair and of `repairs`, or None."""
    spec = ExperimentSpec.of_setting(Setting.from_facts(result.setting), tuple(repairs), (state,))
    return signals.read(spec, store, result.setting["dense_id"], state)[0]


def layers(
    result: Result,
    store: Store,
    repairs: Iterable[RepairSpec],
    state: BatchNormState,
    when: str = "repaired",
    images: str = "calibration",
) -> pd.DataFrame | None:
    """Per network and layer: COLUMNS, layer, `errorparts.by_layer`, `mendable` (of the network), images, depth; None
    where nothing of it is stored. state: the recalibration of `when` = `recalibrated`; images: `calibration`, `test`.
    """
    found = stored(result, store, repairs, state)
    found = None if found is None else found[(found["state"] == when) & (found["images"] == images)]
    if found is None or found.empty:
        return None
    parts = [
        with_network(errorparts.by_layer(rows).assign(mendable=errorparts.mendable(rows), images=images), network)
        for network, rows in found.groupby(networks(found), sort=False, observed=True)
    ]
    return pd.concat(parts, ignore_index=True).merge(result.convs[["layer", "depth"]], on="layer")
