"""The pipeline: run what a plan lists, every stage through the store."""

import time

from asr_core import runtime
from asr_core.measure import absorption, activations, evaluation, guards, stats
from asr_core.networks import models
from asr_core.pipeline import assembly, plan
from asr_core.pipeline.lab import Lab, Report
from asr_core.pipeline.plan import Task
from asr_core.pruning import masks
from asr_core.pruning import repairability as distortion
from asr_core.repairs import batchnorm, repair_model
from asr_core.runtime import Runtime
from asr_core.spec.experiment import ExperimentSpec
from asr_core.store import Store, results

EVAL_BATCH = 256
KEPT_LOGITS = 64  # images whose logits are kept, to see whether two networks are the same function


def compute_prune(lab: Lab, task: Task):
    model = lab.network("dense", None)
    images = lab.stat_batch if task.images else None
    chosen, table = masks.choose_masks(model, lab.spec.prune.rule, images, **lab.spec.prune.asked)
    runtime.give_back_memory()  # the magnitudes of all weights
    if task.images:
        lab.report.advance(task.images)
    kept = masks.kept_table(model, chosen)
    convs = absorption.conv_index(model)
    files = {"masks.npz": masks.pack(chosen), "layers.parquet": table, "convs.parquet": convs, "kept.parquet": kept}
    ties = {name: int(table[name].sum()) for name in ("tied", "tied_cut")}
    return files, {"achieved": masks.achieved(table)} | ties


def compute_stats(lab: Lab, task: Task):
    collected = stats.collect(lab.in_state(task), lab.stat_batch.split(64))
    lab.report.advance(task.images)
    count = {name: m.count for name, m in collected.items()}
    return {"channels.parquet": stats.stats_table(collected)}, {"count": count}


def compute_repair(lab: Lab, task: Task):
    dense_stats = lab.stored_stats("dense")
    pruned_stats = lab.stored_stats("no_repair") if task.repair.order == "simultaneous" else None
    pruned = lab.network("no_repair", None)
    repairs = repair_model.compute_repairs(pruned, lab.stat_batch, task.repair, dense_stats, pruned_stats)
    lab.report.advance(task.images)
    fallback = [name for name, repair in repairs.items() if repair.factors.fallback]
    return {"factors.parquet": repair_model.repairs_table(repairs)}, {"fallback": fallback}


def compute_recalibration(lab: Lab, task: Task):
    calibration, count = lab.spec.calibration, lab.spec.max_batches
    batches = lab.data.calibration_batches(count, calibration.calib_batch_size, calibration.seed)
    model = lab.network(task.target, task.repair)
    return {"record.npz": batchnorm.record(model, _counted(batches, lab.report), count)}, {"batches": count}


def compute_evaluation(lab: Lab, task: Task):
    indices = lab.data.eval_indices(lab.spec.evaluation.eval_images, lab.spec.evaluation.seed)
    batches = (lab.data.test_batch(part) for part in _parts(indices))
    outputs = evaluation.logits(lab.in_state(task), _counted(batches, lab.report))
    predictions, labels = evaluation.predictions_of(outputs), lab.data.test_labels[indices]
    scored = evaluation.score(predictions, labels)
    kept = {
        "predictions": predictions.astype("int16"),
        "correct": predictions == labels,
        "logits": outputs[:KEPT_LOGITS],
    }
    facts = {"top1": scored.top1, "top1_low": scored.low, "top1_high": scored.high, "n_eval": len(indices)}
    return {"predictions.npz": kept}, facts


def _parts(indices):
    return (indices[i : i + EVAL_BATCH] for i in range(0, len(indices), EVAL_BATCH))


def _counted(batches, report: Report):
    for batch in batches:
        report.advance(len(batch))  # before: who takes just n batches never comes back after the last
        yield batch


COMPUTE = {
    "prune": compute_prune,
    "stats": compute_stats,
    "repair": compute_repair,
    "recalibration": compute_recalibration,
    "evaluation": compute_evaluation,
    "maps": activations.compute,
    "repairability": distortion.compute,
}


def run(
    spec: ExperimentSpec, store: Store, report: Report | None = None, where: Runtime | None = None
) -> results.Result:
    """Compute what is not stored and return the result's tables. A stored result costs no computation.

    Raises AsrError subclasses for bad input, before anything expensive. Ctrl-C leaves all finished
    stages stored and no debris.
    """
    stored = results.find(spec, store)
    if stored and stored.channels is not None:
        return stored
    report = report or Report()
    store.check_writable()
    lab = Lab(spec, store, report, where or Runtime())
    check(lab)
    known = results.dense_here(store, spec)
    counts = len(lab.data.train_labels), len(lab.data.test_labels)
    report.planned(plan.missing(spec, store, known, *counts))
    start = time.perf_counter()
    lab.keys  # trains the dense network if need be  # noqa: B018
    perform(lab, plan.missing(spec, store, lab.dense_id, *counts))
    dense_id, images = lab.dense_id, lab.data
    del lab  # its networks go before the tables are made
    return assembly.publish(spec, store, dense_id, images, time.perf_counter() - start)


def perform(lab: Lab, tasks: list[Task]) -> None:
    """Compute and store `tasks`, one after the other."""
    for task in tasks:
        lab.report.started(task)
        lab.store.get_or_compute(task.stage, task.key, lambda task=task: _with_facts(lab, task))
        lab.report.finished(task)


def _with_facts(lab: Lab, task: Task):
    files, facts = COMPUTE[task.stage](lab, task)
    return files, facts | {"images": task.images, "target": task.target} | runtime.facts(lab.device)


def check(lab: Lab) -> None:
    """Everything that can be refused before anything expensive: the network first, its weights, then the images."""
    spec = lab.spec
    network = models.outline(spec.model, spec.data.classes, spec.data.image_size)
    models.check_network(network)
    guards.own_weights(network, spec.prune.asked["include_linear"], biases=True, finite=False)
    masks.check_budget(network, spec.prune.rule, **spec.prune.asked)
    lab.check_own_weights(network)
    lab.data.check_counts(spec.calibration.stat_images, spec.evaluation.eval_images)
