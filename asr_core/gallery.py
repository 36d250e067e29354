"""The shipped results: which settings, in which order, and how they get into cache/shipped.

Run by `python -m asr_core gallery`: prints what it will cost, skips what is shipped, ships each
result as soon as it is there. Safe to stop at any time and to start again.
"""

import shutil
from dataclasses import asdict

from asr_core import data, experiment, plan, results, settings, store
from asr_core.plan import Task
from asr_core.results import Result
from asr_core.runtime import Runtime
from asr_core.runtime import facts as facts_of
from asr_core.spec import ExperimentSpec
from asr_core.store import Store
from asr_core.weights import weights_identity

CIFAR = {"epochs": 12, "batch_size": 128, "precision": "bfloat16", "eval_images": 2000}
DIGITS_GRID = [{"sparsity": s} for s in (0.95, 0.5, 0.7, 0.8, 0.9, 0.97)] + [{"pruning": "n_m"}]
CIFAR_GRID = [{"sparsity": 0.9}, {"pruning": "n_m"}] + [{"sparsity": s} for s in (0.95, 0.5, 0.7, 0.8, 0.97)]


def specs(where: Store, images: str | None) -> list[ExperimentSpec]:
    """The gallery's experiments, in order; those on CIFAR-10 need `images`, the path of their folder."""
    found = [settings.experiment(where, **settings.DEFAULTS | change) for change in DIGITS_GRID]
    if images:
        common = settings.DEFAULTS | CIFAR | {"dataset": f"folder:{images}"}
        found += [settings.experiment(where, **common | change) for change in CIFAR_GRID]
    return found


def shipped(spec: ExperimentSpec, where: Store) -> bool:
    """Whether the result of `spec` lies in cache/shipped."""
    found = results.find(spec, where)
    return found is not None and where.shipped in found.entry.folder.parents


def missing(spec: ExperimentSpec, where: Store) -> list[Task]:
    """What running `spec` would compute."""
    dense_id = next(iter(results.dense_ids(where, spec, with_weights=True)), None)
    return plan.missing(spec, where, dense_id, *data.counts(spec.data, where))


def make(spec: ExperimentSpec, where: Store, report: experiment.Report, runtime: Runtime) -> None:
    """Run `spec` and ship its result; the digits network itself is shipped too, before anything is computed from it."""
    if spec.data.dataset == "digits" and not results.dense_ids(Store(where.shipped), spec, with_weights=True):
        ship_dense(experiment.Lab(spec, where, report, runtime))
    ship(experiment.run(spec, where, report, runtime), where)


def ship_dense(lab: experiment.Lab) -> None:
    """Train the recipe's network, round its conv and linear weights to float16, and put it into cache/shipped."""
    model, facts = experiment.train_dense(lab)
    state = {name: t.half() if t.ndim > 1 else t for name, t in model.state_dict().items()}
    dense_id = weights_identity(state)
    facts |= {"recipe": lab.spec.recipe_key, "dense_id": dense_id, "rounded": "float16", **facts_of(lab.device)}
    Store(lab.store.shipped).put("dense", dense_id, {"weights.safetensors": state}, facts, asdict(lab.spec.dense))


def ship(result: Result, where: Store) -> None:
    """Copy a result, and its dense network's manifest without the weights, into cache/shipped."""
    _copy(result.entry.folder, where.shipped / "result")
    dense = where.shipped / "dense" / result.setting["dense_id"]
    if not dense.exists():  # weights stay here: only the digits network is shipped, by ship_dense
        entry = where.find("dense", result.setting["dense_id"])
        dense.mkdir(parents=True)
        store.write_json(dense / store.MANIFEST, entry.manifest | {"files": {}})


def _copy(folder, target) -> None:
    if not (target / folder.name).exists():
        part = target / f".{folder.name}"
        shutil.rmtree(part, ignore_errors=True)
        shutil.copytree(folder, part)
        part.rename(target / folder.name)
