"""What each stage computes: files and facts of its entry. `perform` runs what a plan lists, through the store."""

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from asr_core import checks, registry, runtime
from asr_core.measure import absorption, activations, confidence, evaluation, stats
from asr_core.pipeline.lab import Lab, Report
from asr_core.pipeline.plan import READING, MapTask, RepairabilityTask, Task
from asr_core.pipeline.signal_stage import compute_signal
from asr_core.pruning import masks, repairability
from asr_core.repairs import batchnorm, passes, repair_model
from asr_core.spec.repairs import DENSE, NO_REPAIR

MAP_BYTES = 8 << 20  # of stored maps of one network and layer
KEPT_LOGITS = 64  # images whose logits are kept whole, to see whether two networks are the same function
LOGIT_BYTES = 64 << 20  # of float16 logits of all images that are kept
HALF = float(np.finfo(np.float16).max)


def compute_prune(lab: Lab, task: Task):
    model = lab.network(DENSE)
    images = lab.stat_batch if task.images else None
    prune = lab.spec.prune
    chosen, table = masks.choose_masks(model, prune.pruning, images, prune.ignore, **prune.parameters)
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
    dense_stats = lab.stored_stats(DENSE)
    pruned_stats = lab.stored_stats(NO_REPAIR) if task.network.order == "simultaneous" else None
    needs = registry.get("repair method", task.network.method).needs
    dense = copy.deepcopy(lab.network(DENSE)) if needs else None  # the pruned one is built in its memory
    pruned = lab.network(NO_REPAIR)
    layers = masks.prunable(pruned, lab.spec.prune.parameters["include_linear"])
    whole = checks.left_out(layers, lab.spec.prune.ignore)
    repairs = passes.compute_repairs(pruned, lab.stat_batch, task.network, dense_stats, pruned_stats, dense, whole)
    lab.report.advance(task.images)
    fallback = [name for name, repair in repairs.items() if repair.factors.fallback]
    files: dict[str, Any] = {"factors.parquet": repair_model.repairs_table(repairs)}
    if kept := repair_model.kept_of(repairs):
        files[repair_model.KEPT] = kept
    return files, {"fallback": fallback}


def compute_recalibration(lab: Lab, task: Task):
    """The record of as many batches as the task's state takes, or the experiment; it goes on from a shorter one."""
    calibration, count = lab.spec.calibration, task.state.calib_batches or lab.spec.max_batches
    begun = lab.begun_record(task.network, count)
    skip = len(next(iter(begun.values()), ()))
    batches = lab.data.calibration_batches(count, calibration.calib_batch_size, calibration.draw, skip)
    record = batchnorm.record(lab.network(task.network), _counted(batches, lab.report), count - skip)
    if begun:
        record = {name: np.concatenate([begun[name], values]) for name, values in record.items()}
    return {"record.npz": record}, {"batches": count}


def compute_evaluation(lab: Lab, task: Task):
    outputs = evaluation.logits(lab.in_state(task), _counted(lab.test_batches(), lab.report))
    predictions, labels = evaluation.predictions_of(outputs), lab.data.test_labels[lab.eval_indices]
    scored = evaluation.score(predictions, labels)
    measured, bins = confidence.measure(outputs, labels)
    kept = {
        "predictions": predictions.astype("int16"),
        "logits": outputs[:KEPT_LOGITS],
        "bins": bins,
    }
    facts = {"top1": scored.top1, "top1_low": scored.low, "top1_high": scored.high, "n_eval": len(labels)}
    files: dict[str, Any] = {"predictions.npz": kept}
    if 2 * outputs.size <= LOGIT_BYTES:
        files["logits.npy"] = outputs.clip(-HALF, HALF).astype("float16")
    return files, facts | measured


def compute_maps(lab: Lab, task: MapTask):
    """Files and facts of a maps entry; fewer images than asked where the layer is large."""
    indices = _mapped(lab, task)
    batch = lab.data.test_batch(indices)
    model = lab.in_state(task)
    one = activations.activation_maps(model, batch[:1], task.layer)
    fit = min(len(indices), max(1, MAP_BYTES // (one.nbytes // 2)))
    lab.report.advance(task.images)
    found = activations.compact(activations.activation_maps(model, batch[:fit], task.layer) if fit > 1 else one)
    files, labels = lab.data.test_files(), lab.data.test_labels
    return {"maps.npy": found}, {
        "layer": task.layer,
        "shape": list(found.shape),
        "test_images": [int(i) for i in indices[:fit]],
        "files": [files[i] for i in indices[:fit]],
        "classes": [lab.data.class_names[labels[i]] for i in indices[:fit]],
        "fewer": _why_fewer(task.images, len(indices), fit, one),
    }


def _mapped(lab: Lab, task: MapTask) -> np.ndarray:
    """Which test images: the one that is asked for, or one of each class in turn."""
    if task.image is not None:
        return np.array([task.image])
    return activations.one_of_each(lab.eval_indices, lab.data.test_labels, task.images)


def _why_fewer(asked: int, there: int, fit: int, one: np.ndarray) -> str | None:
    if fit < min(asked, there):
        size = " x ".join(str(side) for side in one.shape[1:])
        return (
            f"{fit} of {asked} images are kept: maps of {size} values take {one.nbytes / 2 / 2**20:.1f} MiB per "
            f"image, {MAP_BYTES >> 20} MiB are kept per network."
        )
    return f"{there} of {asked} images: the evaluation subset has no more." if there < asked else None


def compute_repairability(lab: Lab, task: RepairabilityTask):
    layers, channels = repairability.repairability(lab.network(DENSE), lab.stat_batch, task.sparsities)
    lab.report.advance(task.images)
    facts = {"sparsities": list(task.sparsities), "reading": READING}
    return {"layers.parquet": layers, "channels.parquet": channels}, facts


def _counted(batches, report: Report):
    for batch in batches:
        report.advance(len(batch))  # before: who takes just n batches never comes back after the last
        yield batch


COMPUTE: dict[str, Callable[[Lab, Any], Any]] = {
    "prune": compute_prune,
    "stats": compute_stats,
    "repair": compute_repair,
    "recalibration": compute_recalibration,
    "evaluation": compute_evaluation,
    "maps": compute_maps,
    "repairability": compute_repairability,
    "signal": compute_signal,
}


def perform(lab: Lab, tasks: list[Task]) -> None:
    """Compute and store `tasks`, one after the other."""
    for task in tasks:
        lab.report.started(task)
        lab.store.get_or_compute(task.stage, task.key, partial(_with_facts, lab, task))
        lab.report.finished(task)


def _with_facts(lab: Lab, task: Task):
    files, facts = COMPUTE[task.stage](lab, task)
    return files, facts | {"images": task.images, "network": task.network.columns} | runtime.facts(lab.device)
