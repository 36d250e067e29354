"""Stored repairability of a dense network's convs, and where pruning rules leave its weights. Imports no torch until it runs.

An entry of stage `repairability` holds layers.parquet and channels.parquet, the tables of
`asr_core.pruning.repairability`, on the statistics images of an experiment.
"""

import json
from dataclasses import asdict, dataclass

import pandas as pd

from asr_core import registry
from asr_core.checks import checked_sparsity, choose
from asr_core.images import data
from asr_core.pipeline import maps, plan
from asr_core.pipeline.plan import Keys, Task
from asr_core.spec.experiment import ExperimentSpec, PruneSpec, key
from asr_core.store import Store
from asr_core.studies import transition

SPARSITIES = (0.5, 0.7, 0.8, 0.9, 0.95)  # trial sparsities of a layer
READING = "our reading of the abstract of arXiv 2605.25508"


@dataclass(frozen=True)
class RepairabilityTask(Task):
    """The repairability of the dense network's convs at trial `sparsities`."""

    sparsities: tuple[float, ...] = ()


def rules() -> list[str]:
    """Names of the rules that share out a budget of weights: all that take a sparsity."""
    return [
        name for name in registry.names("pruning rule") if "sparsity" in registry.get("pruning rule", name).parameters
    ]


def named(text: str) -> list[str]:
    """The rules of a text such as "erk, lamp"; raises UnknownName for another one."""
    return [choose("pruning rule with a budget", part.strip(), rules()) for part in text.split(",")]


def task_of(spec: ExperimentSpec, dense_id: str | None, sparsities=SPARSITIES) -> RepairabilityTask:
    """The task that measures it: of the spec, only network, data and calibration images matter."""
    keys, trials = Keys(spec, dense_id or "unknown"), tuple(sorted({checked_sparsity(value) for value in sparsities}))
    images = spec.calibration.stat_images * (1 + len(trials))
    return RepairabilityTask(
        "repairability", key("repairability", keys.dense, keys.images, trials), images, sparsities=trials
    )


def repairability_of(
    store: Store, spec: ExperimentSpec, dense_id: str, sparsities=SPARSITIES
) -> tuple[pd.DataFrame, pd.DataFrame] | None:
    """The stored tables (layers, channels) of a dense network, or None. Columns: see `asr_core.pruning.repairability`."""
    entry = store.find("repairability", task_of(spec, dense_id, sparsities).key)
    return None if entry is None else (entry.table("layers"), entry.table("channels"))


def missing(spec: ExperimentSpec, store: Store, dense_id: str | None, sparsities=SPARSITIES) -> list[Task]:
    """What is not stored of it, in the order it will run: decoding and training first.

    dense_id: see `maps.known_dense`. Raises DataError for a folder that was never seen here.
    """
    task = task_of(spec, dense_id, sparsities)
    if dense_id is not None and store.has(task.stage, task.key):
        return []
    return [*maps.beginning(spec, store, dense_id, data.counts(spec.data, store)), task]


def run(
    spec: ExperimentSpec, store: Store, dense_id: str | None = None, sparsities=SPARSITIES, report=None, where=None
) -> str:
    """Measure and store the repairability of a dense network, unless it is there; returns the network's identity.

    dense_id: of a network whose weights are here; None: the recipe's, trained if need be. report: a
    `lab.Report`; where: a Runtime. Raises AsrError subclasses before anything expensive.
    """
    from asr_core.pipeline import stages as experiment
    from asr_core.pipeline.lab import Lab, Report
    from asr_core.runtime import Runtime

    dense_id = maps.known_dense(spec, store, dense_id)
    todo = missing(spec, store, dense_id, sparsities)
    if not todo:
        return dense_id
    store.check_writable()
    lab = Lab(spec, store, report or Report(), where or Runtime())
    experiment.check(lab)
    lab.report.planned(todo)
    if dense_id:
        lab.dense_id = dense_id
    experiment.perform(lab, [task_of(spec, lab.dense_id, sparsities)])
    return lab.dense_id


@dataclass(frozen=True, eq=False)
class Allocation:
    """Where rules leave the weights of one dense network, and how repairable its convs are.

    densities: one row per rule and layer, in execution order: rule, sparsity (asked), layer, depth, kernel (both missing
    for a linear layer), weights, kept. repairability: layer, sparsity (trial), d_raw, d_res, rr.
    """

    spec: ExperimentSpec
    dense_id: str
    densities: pd.DataFrame
    repairability: pd.DataFrame

    @property
    def protected(self) -> pd.DataFrame:
        """What each rule keeps (nearly) dense: `transition.protected`."""
        return transition.protected(transition.densities(self.densities, self.densities["sparsity"].iloc[0]))

    def as_json(self) -> dict:
        """Plain objects; what is undefined is null."""
        tables = {name: getattr(self, name) for name in ("densities", "repairability", "protected")}
        found = {name: json.loads(table.to_json(orient="records")) for name, table in tables.items()}
        return {"spec": asdict(self.spec), "dense_id": self.dense_id, "rr_is": READING, **found}


def allocate(
    spec: ExperimentSpec, store: Store, prunings: list[PruneSpec], sparsities=SPARSITIES, report=None, where=None
) -> Allocation:
    """Prune the recipe's dense network (trained if need be) in each way, measure its convs, store both, and return the tables."""
    from asr_core.pipeline import stages as experiment
    from asr_core.pipeline.lab import Lab, Report
    from asr_core.runtime import Runtime

    dense_id = run(spec, store, None, sparsities, report, where)
    for each in (spec.with_(prune=prune) for prune in prunings):
        lab = Lab(each, store, report or Report(), where or Runtime())
        lab.dense_id = dense_id
        experiment.perform(lab, [plan.prune_task(each, lab.keys)])
    layers, _ = repairability_of(store, spec, dense_id, sparsities)
    return Allocation(spec, dense_id, densities(spec, store, dense_id, prunings), layers)


def densities(spec: ExperimentSpec, store: Store, dense_id: str, prunings: list[PruneSpec]) -> pd.DataFrame:
    """The densities of an `Allocation`, from stored prunings."""
    parts = []
    for prune in prunings:
        entry = store.find("prune", Keys(spec.with_(prune=prune), dense_id).prune)
        convs = entry.table("convs")[["layer", "depth", "kernel"]]
        table = entry.table("layers")[["layer", "weights", "kept"]].merge(convs, on="layer", how="left")
        parts.append(
            table.sort_values("depth", kind="stable").assign(rule=prune.rule, sparsity=prune.asked["sparsity"])
        )
    return pd.concat(parts, ignore_index=True)
