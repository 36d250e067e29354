"""From plain option values (command line, sidebar) to a validated ExperimentSpec.

Imports no torch, but for a weights file that the store does not know yet.
"""

from dataclasses import replace

from asr_core import registry
from asr_core.errors import SpecError
from asr_core.images import data
from asr_core.networks import known_weights
from asr_core.spec.experiment import (
    CalibrationSpec,
    DataSpec,
    DenseSpec,
    EvalSpec,
    ExperimentSpec,
    ModelSpec,
    PruneSpec,
)
from asr_core.spec.grid import BUDGETS, RepairSpec, default_states
from asr_core.store import Store

BIASES = {"off": False, "on": True}
RECIPE = ("source", "epochs", "batch_size", "learning_rate", "precision", "average", "seed")
PRUNING = ("pruning", "sparsity", "keep_n", "group_m", "include_linear", "keep_first", "keep_head", "min_density")


def experiment(store: Store, *, dataset, image_size, normalization, architecture, stem, head, **rest) -> ExperimentSpec:
    """The spec of option values named as on the command line; raises AsrError for bad ones."""
    file = rest.pop("weights")
    recipe = recipe_spec(file=file, **{name: rest.pop(name) for name in RECIPE})
    prune = prune_spec(**{name: rest.pop(name) for name in PRUNING})
    model = ModelSpec(architecture=architecture, stem=stem, head=head)
    calibration = CalibrationSpec(
        stat_images=rest["stat_images"], calib_batch_size=rest["calib_batch_size"], seed=recipe.seed
    )
    evaluation = EvalSpec(eval_images=rest["eval_images"])
    grid = repairs(
        rest["methods"], rest["orders"], rest["biases"], prior=rest["prior"], prior_value=rest["prior_value"]
    )
    states = default_states(rest["budgets"], rest["momentum"])
    images = data.resolve(dataset, store, image_size)  # late: it may read a folder
    dense = recipe if file is None else _of_file(file, recipe.seed, store, model, images)  # later: it may load torch
    chosen = normalization or ("imagenet" if dense.source == "imagenet" else "dataset")
    return ExperimentSpec(
        data=replace(images, normalization=chosen),
        model=model,
        dense=dense,
        prune=prune,
        calibration=calibration,
        evaluation=evaluation,
        repairs=grid,
        states=states,
    )


def recipe_spec(source, epochs, batch_size, learning_rate, precision, average, seed, file=None) -> DenseSpec:
    """How the dense network is trained; with a weights file, which gives it, nothing but the seed counts."""
    if file is not None:
        if source not in (None, "file"):
            raise SpecError(f"--weights gives the dense network, so --source {source} cannot hold; leave --source out.")
        return DenseSpec(seed=seed)
    given = {"batch_size": batch_size} if batch_size is not None else {}
    return DenseSpec(
        source=source or "scratch",
        epochs=epochs,
        learning_rate=learning_rate,
        precision=precision,
        average=average,
        seed=seed,
        **given,
    )


def _of_file(file, seed: int, store: Store, model: ModelSpec, images: DataSpec) -> DenseSpec:
    """The dense network that a weights file gives, known by its tensors."""
    known = known_weights.identify(file, store, model, images.classes, images.image_size)
    return DenseSpec(source="file", seed=seed, weights_digest=known.digest)


def prune_spec(
    pruning,
    sparsity,
    keep_n=None,
    group_m=None,
    include_linear=False,
    keep_first=False,
    keep_head=False,
    min_density=None,
) -> PruneSpec:
    """The pruning spec; options that the rule does not know are refused with its own list."""
    given = {
        "sparsity": sparsity,
        "keep_n": keep_n,
        "group_m": group_m,
        "include_linear": include_linear or None,
        "keep_first": keep_first or None,
        "keep_head": keep_head or None,
        "min_density": min_density,
    }
    return PruneSpec.of(pruning, **{name: value for name, value in given.items() if value is not None})


def repairs(methods, orders=("simultaneous", "sequential"), biases=("off", "on"), **params) -> tuple[RepairSpec, ...]:
    """methods x orders x biases; `params` go to the methods that have them. Text is split at commas."""
    methods, orders, biases = (_split(value) for value in (methods, orders, biases))
    for bias in biases:
        if bias not in BIASES:
            raise SpecError(f"biases holds {bias!r}; choices: off, on.")
    grid = []
    for method in methods:
        known = registry.get("repair method", method).parameters
        own = {name: value for name, value in params.items() if name in known}
        grid += [RepairSpec.of(method, order, BIASES[bias], **own) for order in orders for bias in biases]
    return tuple(dict.fromkeys(grid))  # bn_only has neither order nor bias: once


def _split(value) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else list(value)


DEFAULTS = {
    "dataset": "digits",
    "image_size": 32,
    "normalization": None,
    "architecture": "resnet18",
    "stem": "imagenet",
    "head": "torchvision",
    "source": None,
    "weights": None,
    "epochs": 5,
    "batch_size": None,
    "learning_rate": None,
    "precision": "float32",
    "average": False,
    "pruning": "global_l1",
    "sparsity": None,
    "keep_n": None,
    "group_m": None,
    "include_linear": False,
    "keep_first": False,
    "keep_head": False,
    "min_density": None,
    "seed": 0,
    "eval_images": None,
    "methods": "bn_only,lw_bn,raw_bn,asr_bn",
    "orders": "simultaneous,sequential",
    "biases": "off,on",
    "prior": "median",
    "prior_value": 1.0,
    "stat_images": 64,
    "calib_batch_size": 128,
    "budgets": BUDGETS,
    "momentum": 0.1,
}
