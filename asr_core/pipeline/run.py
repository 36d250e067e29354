"""Run an experiment, its maps, or the repairability of its convs: check, plan, compute what is missing, assemble."""

import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from asr_core.checks import nearest_layer
from asr_core.errors import AsrError, Gone, SpecError
from asr_core.images import data
from asr_core.measure import evaluation, guards, stats
from asr_core.networks import models, own
from asr_core.pipeline import allocations, assembly, plan, signal_plan
from asr_core.pipeline import maps as stored_maps
from asr_core.pipeline.kept import Kept
from asr_core.pipeline.lab import Lab, Report, ensure_dense
from asr_core.pipeline.order import Sooner, sooner
from asr_core.pipeline.stages import perform
from asr_core.pruning import masks
from asr_core.pruning.budget import TRIALS
from asr_core.runtime import ONE_AT_A_TIME, Runtime
from asr_core.spec.experiment import ExperimentSpec
from asr_core.spec.parts import PruneSpec
from asr_core.spec.recalibration import REPORTED_STATE, BatchNormState
from asr_core.spec.repairs import DENSE
from asr_core.store import Store, results

TRIES = 5  # times that a run begins whose stored stages are taken away under it


def run(
    spec: ExperimentSpec,
    store: Store,
    report: Report | None = None,
    where: Runtime | None = None,
    first: Sooner | None = None,
    kept: Kept | None = None,
) -> results.Result:
    """Compute what is not stored and return the result's tables. A stored result costs no computation.

    first: what is computed before all else, as somebody waits for it. kept: by this process, from run to run.
    Raises AsrError subclasses for bad input, before anything expensive. Ctrl-C leaves all finished
    stages stored and no debris.
    """
    stored = results.find(spec, store)
    if stored and stored.channels is not None:
        return stored
    store.check_writable()
    for _ in range(TRIES - 1):
        with suppress(Gone):
            return _computed(spec, store, report or Report(), where or Runtime(), first, kept)
    return _computed(spec, store, report or Report(), where or Runtime(), first, kept)


def _computed(
    spec: ExperimentSpec, store: Store, report: Report, where: Runtime, first: Sooner | None, kept: Kept | None
) -> results.Result:
    """The result, of what is stored now and what is computed; raises Gone where that is taken away meanwhile."""
    lab = Lab(spec, store, report, where, kept)
    check(lab)
    known = results.dense_here(store, spec)
    counts = len(lab.data.train_labels), len(lab.data.test_labels)
    report.planned(plan.missing(spec, store, known, *counts))
    start = time.perf_counter()
    lab.keys  # trains the dense network if need be  # noqa: B018
    todo = plan.missing(spec, store, lab.dense_id, *counts)
    perform(lab, sooner(todo, first, spec, lab.dense_id) if first else todo)
    dense_id, images = lab.dense_id, lab.data
    del lab  # its networks go before the tables are made
    return assembly.publish(spec, store, dense_id, images, time.perf_counter() - start)


def prepare(spec: ExperimentSpec, store: Store, where: Runtime, kept: Kept) -> None:
    """Load what computing `spec` begins with, as far as it is here: images, dense network, what torch loads at a
    first pass, and what sums statistics. Stores nothing."""
    if results.dense_here(store, spec) is None or not store.has("images", data.images_key(spec.data)):
        return
    lab = Lab(spec, store, Report(), where, kept)
    check(lab)
    few = lab.data.test_batch(range(2))
    evaluation.logits(lab.network(DENSE), [few])
    stats.collect(lab.network(DENSE), [few])


def compute(spec: ExperimentSpec, root: Path, where: Runtime) -> None:
    """Have the result of `spec` in the store at `root`: computed in this process, which does one thing at a time."""
    with ONE_AT_A_TIME:
        run(spec, Store(root), where=where)


def train(spec: ExperimentSpec, root: Path, where: Runtime) -> None:
    """Have the dense network of `spec` in the store at `root`, in the same way."""
    with ONE_AT_A_TIME:
        ensure_dense(Lab(spec, Store(root), Report(), where))


def check(lab: Lab) -> None:
    """Everything that can be refused before anything expensive: the network first, its weights, then the images."""
    spec = lab.spec
    network = lab.outline
    if spec.model.chosen.foreign:
        own.check_identity(spec.model, network)
    models.check_network(network, batchnorm=spec.max_batches > 0)
    guards.own_weights(network, spec.prune.parameters["include_linear"], biases=True, finite=False)
    masks.check_budget(network, spec.prune.pruning, spec.prune.ignore, **spec.prune.parameters)
    lab.check_own_weights(network)
    lab.data.check_counts(spec.calibration.stat_images, spec.evaluation.eval_images)


def check_all(wanted: Sequence[tuple[ExperimentSpec, Runtime]], store: Store) -> None:
    """`check` each of many; what they share is loaded once. Raises AsrError with the setting that it is about."""
    last: Lab | None = None
    for spec, where in wanted:
        lab = Lab(spec, store, Report(), where)
        if last is not None and last.spec.data == spec.data:
            lab.data = last.data
        try:
            check(lab)
        except AsrError as error:
            raise AsrError(f"{error} (in the setting {spec.model.words}, {spec.prune.words})") from error
        last = lab


def maps(
    spec: ExperimentSpec,
    store: Store,
    wanted: stored_maps.MapSpec,
    dense_id: str | None = None,
    report: Report | None = None,
    where: Runtime | None = None,
) -> stored_maps.Maps:
    """Compute and store what is missing of the wanted maps, and return them all.

    dense_id: of a dense network whose weights are here; None: the recipe's, trained if need be. Raises AsrError
    subclasses before anything expensive.
    """
    dense_id = stored_maps.known_dense(spec, store, dense_id)
    store.check_writable()
    lab = Lab(plan.fitted(spec, store, dense_id, wanted.state), store, report or Report(), where or Runtime())
    check(lab)
    layers = list(models.conv_layers(lab.outline))
    if wanted.layer not in layers:
        raise SpecError(nearest_layer(wanted.layer, layers))
    lab.report.planned(stored_maps.missing(spec, store, dense_id, wanted))
    if dense_id:
        lab.dense_id = dense_id
    tasks = stored_maps.missing(spec, store, lab.dense_id, wanted)
    perform(lab, [task for task in tasks if task.stage != "images"])
    return stored_maps.read(spec, store, lab.dense_id, wanted)


def signal(
    spec: ExperimentSpec,
    store: Store,
    state: BatchNormState = REPORTED_STATE,
    dense_id: str | None = None,
    report: Report | None = None,
    where: Runtime | None = None,
) -> str:
    """Measure and store the signal tables of no repair and of each repair, before recalibration and in `state`, as far
    as they are missing; returns the dense network's identity. `signals.read` reads them.

    dense_id: of a network whose weights are here; None: the recipe's, trained if need be. Raises AsrError subclasses
    before anything expensive.
    """
    dense_id = stored_maps.known_dense(spec, store, dense_id)
    if not (todo := signal_plan.missing(spec, store, dense_id, state)):
        return dense_id
    store.check_writable()
    lab = Lab(plan.fitted(spec, store, dense_id, state), store, report or Report(), where or Runtime())
    check(lab)
    lab.report.planned(todo)
    if dense_id:
        lab.dense_id = dense_id
    left = signal_plan.missing(spec, store, lab.dense_id, state)
    perform(lab, [task for task in left if task.stage != "images"])
    return lab.dense_id


def repairability(
    spec: ExperimentSpec,
    store: Store,
    dense_id: str | None = None,
    sparsities: Sequence[float] = TRIALS,
    report: Report | None = None,
    where: Runtime | None = None,
) -> str:
    """Measure and store the repairability of a dense network, unless it is there; returns the network's identity.

    dense_id: of a network whose weights are here; None: the recipe's, trained if need be. Raises AsrError subclasses
    before anything expensive.
    """
    dense_id = stored_maps.known_dense(spec, store, dense_id)
    todo = allocations.missing(spec, store, dense_id, sparsities)
    if not todo:
        return dense_id
    store.check_writable()
    lab = Lab(spec, store, report or Report(), where or Runtime())
    check(lab)
    lab.report.planned(todo)
    if dense_id:
        lab.dense_id = dense_id
    perform(lab, [allocations.task_of(spec, lab.dense_id, sparsities)])
    return lab.dense_id


def allocate(
    spec: ExperimentSpec,
    store: Store,
    prunings: list[PruneSpec],
    sparsities: Sequence[float] = TRIALS,
    report: Report | None = None,
    where: Runtime | None = None,
) -> allocations.Allocation:
    """Prune the recipe's dense network (trained if need be) in each way, measure its convs, store both, and return the
    tables."""
    dense_id = repairability(spec, store, None, sparsities, report, where)
    for each in (spec.with_(prune=prune) for prune in prunings):
        lab = Lab(each, store, report or Report(), where or Runtime())
        lab.dense_id = dense_id
        perform(lab, [plan.prune_task(each, lab.keys)])
    measured = allocations.repairability_of(store, spec, dense_id, sparsities)
    assert measured is not None  # stored just now
    return allocations.Allocation(spec, dense_id, allocations.densities(spec, store, dense_id, prunings), measured[0])
