"""What an experiment needs, stage by stage, without doing any of it. Imports no torch.

`tasks` is the one list that the pipeline runs, the command line counts, and a page offers as
"missing": each task has its store key and the number of image passes it costs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from asr_core import registry
from asr_core.errors import Gone
from asr_core.spec.experiment import ExperimentSpec
from asr_core.spec.keys import Keys, measures, recipe_key
from asr_core.spec.recalibration import NO_STATE, REPORTED_STATE, BatchNormState
from asr_core.spec.repairs import DENSE, NO_REPAIR, RepairSpec
from asr_core.store import Store
from asr_core.store.entries import Entry

# Test images of one forward pass. On a CPU: of more, what a layer hands to the next leaves the cache (a fifth of the
# time of cifar_resnet20); elsewhere: fewer leave cores idle. No accuracy depends on it.
EVAL_BATCH, EVAL_BATCH_ELSEWHERE = 96, 512
READING = "our reading of the abstract of arXiv 2605.25508"  # what RR is here


@dataclass(frozen=True)
class Task:
    """One stored stage of one network. `images` image passes of `kind` (`train`: forward, backward and step)."""

    stage: str
    key: str
    images: int
    network: RepairSpec = DENSE
    state: BatchNormState = NO_STATE
    kind: str = "forward"


@dataclass(frozen=True)
class MapTask(Task):
    """The maps of one network at conv `layer`; image: of this test image alone."""

    layer: str = ""
    image: int | None = None


@dataclass(frozen=True)
class RepairabilityTask(Task):
    """The repairability of the dense network's convs at trial `sparsities`."""

    sparsities: tuple[float, ...] = ()


def beginning(
    spec: ExperimentSpec, store: Store, dense_id: str | None, images: str, counts: tuple[int, int]
) -> list[Task]:
    """What comes before any stage: decoding the images (their key is `images`), training the dense network."""
    found = [] if store.has("images", images) else [Task("images", images, sum(counts), kind="decode")]
    if dense_id is None:
        epochs = spec.dense.epochs if spec.dense.source != "file" else 0
        found.append(Task("dense", recipe_key(spec), epochs * counts[0], kind="train"))
    return found


def prune_task(spec: ExperimentSpec, keys: Keys) -> Task:
    """Choosing the masks. A rule that measures runs each image through the dense network, and through each layer
    pruned."""
    images = 2 * spec.calibration.stat_images if measures(spec) else 0
    return Task("prune", keys.prune, images, NO_REPAIR, kind="forward" if images else "none")


def tasks(spec: ExperimentSpec, dense_id: str | None, train_images: int, test_images: int) -> list[Task]:
    """All stages after the dense network, in the order they run: statistics first, then accuracies."""
    keys = Keys(spec, dense_id or "unknown")
    stat = spec.calibration.stat_images
    evaluated = spec.evaluation.eval_images or test_images
    found = [
        prune_task(spec, keys),
        *(Task("stats", keys.stats(network, NO_STATE), stat, network) for network in (DENSE, NO_REPAIR)),
    ]
    for repair in (r for r in spec.repairs if r.order):
        both = registry.get("repair method", repair.method).runs_both()
        passes = 2 * stat if both else stat if repair.order == "sequential" else 0
        found.append(Task("repair", keys.network(repair), passes, repair))
        found.append(Task("stats", keys.stats(repair, NO_STATE), stat, repair))
    found.append(Task("evaluation", keys.evaluation(DENSE, NO_STATE), evaluated))
    found += _recalibrated_dense(spec, keys, evaluated)
    found.append(Task("evaluation", keys.evaluation(NO_REPAIR, NO_STATE), evaluated, NO_REPAIR))
    for repair in spec.repairs:
        found += _recalibrated_tasks(spec, keys, repair, stat, evaluated)
    return list({(task.stage, task.key): task for task in found}.values())


def _recalibrated_dense(spec: ExperimentSpec, keys: Keys, evaluated: int) -> list[Task]:
    """The recorded pass of the dense network, and its evaluations: what recalibration alone does to it."""
    if not spec.max_batches:
        return []
    passes = spec.max_batches * spec.calibration.calib_batch_size
    states = [state for state in spec.states if state.calib_batches]
    return [
        Task("recalibration", keys.recalibration(DENSE), passes),
        *(Task("evaluation", keys.evaluation(DENSE, s), evaluated, state=s) for s in states),
    ]


def _recalibrated_tasks(spec: ExperimentSpec, keys: Keys, repair: RepairSpec, stat: int, evaluated: int) -> list[Task]:
    """The recorded pass of one network, its statistics at the reported state, and its evaluations."""
    found = []
    if spec.max_batches:
        passes = spec.max_batches * spec.calibration.calib_batch_size
        found.append(Task("recalibration", keys.recalibration(repair), passes, repair))
    for state in spec.states:
        found.append(Task("evaluation", keys.evaluation(repair, state), evaluated, repair, state))
    if spec.max_batches >= REPORTED_STATE.calib_batches:
        found.append(Task("stats", keys.stats(repair, REPORTED_STATE), stat, repair, REPORTED_STATE))
    return found


def missing(
    spec: ExperimentSpec, store: Store, dense_id: str | None, train_images: int, test_images: int
) -> list[Task]:
    """Tasks that are not stored yet, training first. A recorded pass counts only where something needs it."""
    every = tasks(spec, dense_id, train_images, test_images)
    absent = [task for task in every if dense_id is None or not store.find(task.stage, task.key)]
    needing = {task.network for task in absent if task.state.calib_batches}
    absent = [task for task in absent if task.stage != "recalibration" or task.network in needing]
    if dense_id is None:
        epochs = spec.dense.epochs if spec.dense.source != "file" else 0
        absent.insert(0, Task("dense", recipe_key(spec), epochs * train_images, kind="train"))
    return absent


def stored(store: Store, stage: str, key: str) -> Entry:
    """A stage that others are built on; raises Gone where it went since it was planned."""
    entry = store.find(stage, key)
    if entry is None:
        raise Gone(f"the stored stage {stage}/{key} went while others were built on it; run again to compute it anew.")
    return entry


def fitted(spec: ExperimentSpec, store: Store, dense_id: str | None, state: BatchNormState) -> ExperimentSpec:
    """`spec`, with a recorded recalibration pass just long enough for `state`, unless its own longer ones are
    stored."""
    keys = Keys(spec, dense_id or "unknown")
    own = state in spec.states and all(store.has("recalibration", keys.recalibration(r)) for r in spec.repairs)
    return spec if own else spec.with_(states=(state,))


def preparation(
    spec: ExperimentSpec, dense_id: str | None, counts: tuple[int, int], wanted_of: Sequence[Task]
) -> list[Task]:
    """The stages that the networks of the tasks `wanted_of` are built from."""
    shown = {task.network for task in wanted_of}
    wanted = {"prune": shown - {DENSE}, "stats": {network for network in shown if network.order}}
    wanted |= {"repair": wanted["stats"], "recalibration": {t.network for t in wanted_of if t.state.calib_batches}}
    every = tasks(spec, dense_id, *counts)
    first = [t for t in every if t.stage == "prune" and wanted["prune"]]
    first += [t for t in every if t.stage == "stats" and t.network in (DENSE, NO_REPAIR) and wanted["stats"]]
    return first + [t for t in every if t.stage in ("repair", "recalibration") and t.network in wanted[t.stage]]


def signal_tests(spec: ExperimentSpec, test_images: int) -> int:
    """Test images that signal is measured on: as many as statistics images, where there are as many."""
    return min(spec.calibration.stat_images, spec.evaluation.eval_images or test_images)


def count_images(planned: list[Task]) -> pd.DataFrame:
    """Image passes by stage and kind: columns stage, kind, tasks, images."""
    rows = pd.DataFrame([(t.stage, t.kind, t.images) for t in planned], columns=["stage", "kind", "images"])
    grouped = rows.groupby(["stage", "kind"], sort=False)["images"]
    return grouped.agg(tasks="count", images="sum").reset_index()
