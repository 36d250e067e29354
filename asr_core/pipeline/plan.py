"""What an experiment needs, stage by stage, without doing any of it. Imports no torch.

`tasks` is the one list that the pipeline runs, the command line counts, and a page offers as
"missing": each task has its store key and the number of image passes it costs.
"""

from dataclasses import dataclass

import pandas as pd

from asr_core import registry
from asr_core.spec.experiment import ExperimentSpec, key
from asr_core.spec.grid import REPORTED_STATE, BatchNormState, RepairSpec
from asr_core.store import Store

NO_STATE = BatchNormState()


@dataclass(frozen=True)
class Task:
    """One stored stage. `images` image passes of `kind` (`train`: forward, backward and step)."""

    stage: str
    key: str
    images: int
    target: str = "dense"
    repair: RepairSpec | None = None
    state: BatchNormState = NO_STATE
    kind: str = "forward"


class Keys:
    """Store keys of the stages of one experiment on the dense network `dense_id`."""

    def __init__(self, spec: ExperimentSpec, dense_id: str):
        self.spec = spec
        self.dense = key("dense", dense_id, spec.model, spec.data)
        self.images = {"stat_images": spec.calibration.stat_images, "seed": spec.calibration.seed}
        self.prune = key("prune", self.dense, spec.prune, *([self.images] if measures(spec) else []))
        self.batches = {"calib_batch_size": spec.calibration.calib_batch_size, "seed": spec.calibration.seed}
        self.result = key(
            "result", self.prune, spec.calibration, spec.evaluation, list(spec.repairs), list(spec.states)
        )

    def network(self, target: str, repair: RepairSpec | None) -> str:
        """Key of a network: dense, pruned (repair None or without factors), or repaired."""
        if target == "dense":
            return self.dense
        if repair is None or repair.order is None:
            return self.prune
        return key("repair", self.prune, self.images, repair)

    def of_state(self, state: BatchNormState) -> list:
        """What a BatchNorm state adds to a key."""
        return [state, self.batches] if state.batches else [state]

    def stats(self, target, repair, state) -> str:
        """Key of the channel statistics of a network in a BatchNorm state."""
        return key("stats", self.network(target, repair), self.images, *self.of_state(state))

    def recalibration(self, target, repair) -> str:
        """Key of the recorded batch statistics of a network."""
        return key("recalibration", self.network(target, repair), self.batches, self.spec.max_batches)

    def evaluation(self, target, repair, state) -> str:
        """Key of the predictions of a network in a BatchNorm state."""
        return key("evaluation", self.network(target, repair), self.spec.evaluation, *self.of_state(state))


def measures(spec: ExperimentSpec) -> bool:
    """Whether the pruning rule looks at the calibration images."""
    return registry.get("pruning rule", spec.prune.rule).measures


def prune_task(spec: ExperimentSpec, keys: Keys) -> Task:
    """Choosing the masks. A rule that measures runs each image through the dense network, and through each layer pruned."""
    images = 2 * spec.calibration.stat_images if measures(spec) else 0
    return Task("prune", keys.prune, images, "no_repair", kind="forward" if images else "none")


def tasks(spec: ExperimentSpec, dense_id: str | None, train_images: int, test_images: int) -> list[Task]:
    """All stages after the dense network, in the order they run: statistics first, then accuracies."""
    keys = Keys(spec, dense_id or "unknown")
    stat = spec.calibration.stat_images
    evaluated = spec.evaluation.eval_images or test_images
    found = [
        prune_task(spec, keys),
        Task("stats", keys.stats("dense", None, NO_STATE), stat),
        Task("stats", keys.stats("no_repair", None, NO_STATE), stat, "no_repair"),
    ]
    for repair in (r for r in spec.repairs if r.order):
        passes = stat if repair.order == "sequential" else 0
        found.append(Task("repair", keys.network(repair.slug, repair), passes, repair.slug, repair))
        found.append(Task("stats", keys.stats(repair.slug, repair, NO_STATE), stat, repair.slug, repair))
    found.append(Task("evaluation", keys.evaluation("dense", None, NO_STATE), evaluated))
    found += _recalibrated_dense(spec, keys, evaluated)
    found.append(Task("evaluation", keys.evaluation("no_repair", None, NO_STATE), evaluated, "no_repair"))
    for repair in spec.repairs:
        found += _recalibrated_tasks(spec, keys, repair, stat, evaluated)
    return list({(task.stage, task.key): task for task in found}.values())


def _recalibrated_dense(spec, keys: Keys, evaluated: int) -> list[Task]:
    """The recorded pass of the dense network, and its evaluations: what recalibration alone does to it."""
    if not spec.max_batches:
        return []
    passes = spec.max_batches * spec.calibration.calib_batch_size
    states = [state for state in spec.states if state.batches]
    return [
        Task("recalibration", keys.recalibration("dense", None), passes),
        *(Task("evaluation", keys.evaluation("dense", None, s), evaluated, state=s) for s in states),
    ]


def _recalibrated_tasks(spec, keys: Keys, repair: RepairSpec, stat: int, evaluated: int) -> list[Task]:
    """The recorded pass of one network, its statistics at the reported state, and its evaluations."""
    slug, found = repair.slug, []
    if spec.max_batches:
        passes = spec.max_batches * spec.calibration.calib_batch_size
        found.append(Task("recalibration", keys.recalibration(slug, repair), passes, slug, repair))
    for state in spec.states:
        found.append(Task("evaluation", keys.evaluation(slug, repair, state), evaluated, slug, repair, state))
    if spec.max_batches >= REPORTED_STATE.batches:
        found.append(Task("stats", keys.stats(slug, repair, REPORTED_STATE), stat, slug, repair, REPORTED_STATE))
    return found


def missing(
    spec: ExperimentSpec, store: Store, dense_id: str | None, train_images: int, test_images: int
) -> list[Task]:
    """Tasks that are not stored yet, training first. A recorded pass counts only where something needs it."""
    every = tasks(spec, dense_id, train_images, test_images)
    absent = [task for task in every if dense_id is None or not store.find(task.stage, task.key)]
    needing = {task.target for task in absent if task.state.batches}
    absent = [task for task in absent if task.stage != "recalibration" or task.target in needing]
    if dense_id is None:
        epochs = spec.dense.epochs if spec.dense.source != "file" else 0
        absent.insert(0, Task("dense", spec.recipe_key, epochs * train_images, kind="train"))
    return absent


def count_images(planned: list[Task]) -> pd.DataFrame:
    """Image passes by stage and kind: columns stage, kind, tasks, images."""
    rows = pd.DataFrame([(t.stage, t.kind, t.images) for t in planned], columns=["stage", "kind", "images"])
    grouped = rows.groupby(["stage", "kind"], sort=False)["images"]
    return grouped.agg(tasks="count", images="sum").reset_index()
