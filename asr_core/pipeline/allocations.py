"""Stored repairability of a dense network's convs, and where pruning rules leave its weights. Imports no torch.

An entry of stage `repairability` holds layers.parquet and channels.parquet, the tables of
`asr_core.pruning.repairability`, on the statistics images of an experiment.
"""

from dataclasses import dataclass

import pandas as pd

from asr_core import registry
from asr_core.checks import checked_sparsity, choose
from asr_core.images import data
from asr_core.pipeline import plan
from asr_core.pipeline.plan import RepairabilityTask, Task
from asr_core.pruning.budget import TRIALS
from asr_core.spec.digests import key
from asr_core.spec.experiment import ExperimentSpec
from asr_core.spec.keys import Keys
from asr_core.spec.parts import PruneSpec
from asr_core.store import Store


def rules() -> list[str]:
    """Names of the rules that share out a budget of weights: all that take a sparsity."""
    return [
        name for name in registry.names("pruning rule") if "sparsity" in registry.get("pruning rule", name).parameters
    ]


def named(text: str) -> list[str]:
    """The rules of a text such as "erk, lamp"; raises UnknownName for another one."""
    return [choose("pruning rule with a budget", part.strip(), rules()) for part in text.split(",")]


def task_of(spec: ExperimentSpec, dense_id: str | None, sparsities=TRIALS) -> RepairabilityTask:
    """The task that measures it: of the spec, only network, data and calibration images matter."""
    keys, trials = Keys(spec, dense_id or "unknown"), tuple(sorted({checked_sparsity(value) for value in sparsities}))
    images = spec.calibration.stat_images * (1 + len(trials))
    return RepairabilityTask(
        "repairability", key("repairability", keys.dense, keys.images, trials), images, sparsities=trials
    )


def repairability_of(
    store: Store, spec: ExperimentSpec, dense_id: str, sparsities=TRIALS
) -> tuple[pd.DataFrame, pd.DataFrame] | None:
    """The stored tables (layers, channels) of a dense network, or None. Columns: see
    `asr_core.pruning.repairability`."""
    entry = store.find("repairability", task_of(spec, dense_id, sparsities).key)
    return None if entry is None else (entry.table("layers"), entry.table("channels"))


def missing(spec: ExperimentSpec, store: Store, dense_id: str | None, sparsities=TRIALS) -> list[Task]:
    """What is not stored of it, in the order it will run: decoding and training first.

    dense_id: see `maps.known_dense`. Raises DataError for a folder that was never seen here.
    """
    task = task_of(spec, dense_id, sparsities)
    if dense_id is not None and store.has(task.stage, task.key):
        return []
    images, counts = data.images_key(spec.data), data.counts(spec.data, store)
    return [*plan.beginning(spec, store, dense_id, images, counts), task]


@dataclass(frozen=True, eq=False)
class Allocation:
    """Where rules leave the weights of one dense network, and how repairable its convs are.

    densities: one row per rule and layer, in execution order: rule, sparsity (asked), layer, depth, kernel (both
    missing for a linear layer), weights, kept. repairability: layer, sparsity (trial), d_raw, d_res, rr.
    """

    spec: ExperimentSpec
    dense_id: str
    densities: pd.DataFrame
    repairability: pd.DataFrame


def densities(spec: ExperimentSpec, store: Store, dense_id: str, prunings: list[PruneSpec]) -> pd.DataFrame:
    """The densities of an `Allocation`, from stored prunings."""
    parts = []
    for prune in prunings:
        entry = store.find("prune", Keys(spec.with_(prune=prune), dense_id).prune)
        convs = entry.table("convs")[["layer", "depth", "kernel"]]
        table = entry.table("layers")[["layer", "weights", "kept"]].merge(convs, on="layer", how="left")
        parts.append(
            table.sort_values("depth", kind="stable").assign(rule=prune.pruning, sparsity=prune.parameters["sparsity"])
        )
    return pd.concat(parts, ignore_index=True)
