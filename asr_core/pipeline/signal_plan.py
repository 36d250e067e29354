"""What of the signal tables of a setting is not stored, and what it costs. Imports no torch."""

from dataclasses import replace

from asr_core.images import data
from asr_core.pipeline import plan
from asr_core.pipeline.plan import Task
from asr_core.pipeline.signals import key_of, networks
from asr_core.spec.experiment import ExperimentSpec
from asr_core.spec.keys import Keys
from asr_core.spec.recalibration import BatchNormState
from asr_core.store import Store


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
