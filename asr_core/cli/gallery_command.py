"""python -m asr_core gallery: compute and ship what comes with the project.

Prints what it will cost, skips what is shipped, ships each piece as soon as it is there. Safe to stop at any time and
to start again.
"""

import time
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path

import click

from asr_core.cli import costs, sections
from asr_core.cli import gallery as pieces
from asr_core.cli.options import EXECUTOR, MACHINE
from asr_core.jobs import estimate, executors
from asr_core.networks.weights import weights_identity
from asr_core.pipeline import factor_stage, kernels
from asr_core.pipeline import run as experiment
from asr_core.pipeline.lab import Lab, Report, ensure_dense
from asr_core.runtime import Runtime
from asr_core.spec.experiment import ExperimentSpec
from asr_core.spec.recalibration import REPORTED_STATE
from asr_core.store import Store, results, shipping
from asr_core.store.entries import WEIGHTS, Entry

LARGEST = 2 << 20  # bytes of the weights of a network that ships them


@click.command()
@click.option("--cifar10", metavar="PATH", help="ImageFolder tree of CIFAR-10, for what is computed on it.")
@click.option("--cifar100", metavar="PATH", help="The same of CIFAR-100.")
@click.option("--imagenette", metavar="PATH", help="The same of Imagenette.")
@click.option("--checkpoints", metavar="PATH", help="Folder of the published networks that README names.")
@click.option(
    "--only",
    type=click.Choice(list(sections.SECTIONS)),
    multiple=True,
    help="These sections only, each option one [default: all whose sources are given].",
)
@EXECUTOR
@MACHINE
@click.pass_obj
def gallery(
    store: Store,
    only: tuple[str, ...],
    device: str,
    threads: int | None,
    executor: str,
    workers: int,
    scheduler: str | None,
    **paths: str | None,
) -> None:
    """Compute and ship the results that come with the project; skips what is shipped, prints the cost first."""
    found = sections.pieces(store, sections.Sources(**paths), only)
    with executors.opened(executor, workers, scheduler) as pool:
        compute(store, found, Runtime(device=device, threads=threads), pool)


def compute(store: Store, everything: list[pieces.Piece], where: Runtime, pool: Executor) -> None:
    """Compute and ship what is not shipped of `everything`: its cost first, then each piece, and how the estimate
    held. Raises AsrError for a piece that cannot be computed, when the others are done."""
    wanted = [piece for piece in everything if not pieces.shipped(piece, store)]
    priced: list[costs.Wanted] = [(each.experiment, pieces.missing(each, store), each.weights) for each in wanted]
    expected, begun = costs.printed(priced, "pieces", store, where), time.perf_counter()
    errors, done = list[Exception](), list[float]()

    def heard(place: int, error: Exception | None) -> None:
        done.append(expected[place])
        errors.extend([error] if error else [])
        took, how = time.perf_counter() - begun, "failed" if error else "shipped"
        spent = f"after {estimate.duration(took)}, {took / sum(done):.2f} of the estimate"
        click.echo(f"{len(done)} of {len(wanted)} {how} {spent}")

    executors.all_of(pool, make_there, [(piece, store.root.resolve(), where) for piece in wanted], heard)
    if errors:
        raise errors[0]


def make_there(piece: pieces.Piece, root: Path, runtime: Runtime) -> None:
    """`make` in the store at `root`, in whatever process this is."""
    make(piece, Store(root), Report(), runtime)


def make(piece: pieces.Piece, where: Store, report: Report, runtime: Runtime) -> None:
    """Compute the piece and ship it; a network trained here is shipped itself, before anything is computed from it."""
    spec, runtime = piece.experiment, replace(runtime, weights=piece.weights)
    if spec.dense.source == "scratch" and not results.find(spec, where) and not _known(spec, where):
        ship_dense(Lab(spec, where, report, runtime))
    found = pieces.stored(piece, where) or experiment.run(spec, where, report, runtime)
    dense_id = found.setting["dense_id"]
    if piece.maps:
        for wanted in pieces.map_specs(piece):
            experiment.maps(spec, where, wanted, dense_id, report, runtime)
        ship_kernels(where.find("dense", dense_id, WEIGHTS), piece.maps, where)
    if piece.repairability:
        experiment.repairability(spec, where, dense_id, report=report, where=runtime)
    if piece.factors:
        factor_stage.measure(spec, where, dense_id, piece.factors, report, runtime)
    if piece.signal:
        experiment.signal(spec, where, REPORTED_STATE, dense_id, report, runtime)
    for stage, key in pieces.extra_keys(piece, dense_id):
        shipping.ship_extra(stage, where.find(stage, key), where)
    if not Store(where.shipped).has("result", found.entry.folder.name):
        shipping.ship_result(found.entry, where, piece.channels)
    shipping.ship_recipe(where.find("dense", dense_id, WEIGHTS), where)


def _known(spec: ExperimentSpec, where: Store) -> bool:
    return bool(results.dense_ids(Store(where.shipped), spec))


def ship_dense(lab: Lab) -> None:
    """Train the recipe's network, or take the trained one; round the conv and linear weights of a small one to float16
    and put it into cache/shipped."""
    trained = lab.store.find("dense", ensure_dense(lab), WEIGHTS)
    state = {name: t.half() if t.ndim > 1 else t for name, t in trained.weights().items()}
    if sum(t.numel() * t.element_size() for t in state.values()) > LARGEST:
        return
    dense_id = weights_identity(state)
    facts = trained.manifest["facts"] | {"dense_id": dense_id, "rounded": "float16"}
    Store(lab.store.shipped).put("dense", dense_id, {WEIGHTS: state}, facts, lab.spec.dense.values())


def ship_kernels(entry: Entry, layers, where: Store) -> None:
    """Put the float16 weights of some convs of a dense network into `where`.shipped, one entry each."""
    weights, dense_id = entry.weights(), entry.folder.name
    for layer in layers:
        name, key = f"{layer}.weight", kernels.key_of(dense_id, layer)
        if not where.has("kernels", key):
            Store(where.shipped).put(
                "kernels", key, {WEIGHTS: {name: weights[name].half()}}, {"dense_id": dense_id, "layer": layer}
            )
