"""python -m asr_core gallery: compute and ship what comes with the project.

Prints what it will cost, skips what is shipped, ships each piece as soon as it is there. Safe to stop at any time and
to start again.
"""

import time
from dataclasses import replace

import click
import torch

from asr_core.cli import gallery as pieces
from asr_core.cli import sections
from asr_core.cli.options import MACHINE
from asr_core.cli.terminal import shown
from asr_core.jobs import estimate, probe
from asr_core.networks.weights import weights_identity
from asr_core.pipeline import kernels
from asr_core.pipeline import run as experiment
from asr_core.pipeline.lab import Lab, Report, ensure_dense
from asr_core.report import textreport
from asr_core.runtime import Runtime
from asr_core.spec.experiment import ExperimentSpec
from asr_core.spec.keys import recipe_key
from asr_core.spec.recalibration import REPORTED_STATE
from asr_core.store import Store, results, shipping
from asr_core.store.entries import WEIGHTS, Entry

LARGEST = 2 << 20  # bytes of the weights of a network that ships them
MEASURED = 4.0  # seconds for each rate of a network, before hours of work


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
@MACHINE
@click.pass_obj
def gallery(store: Store, only: tuple[str, ...], device: str, threads: int | None, **paths: str | None) -> None:
    """Compute and ship the results that come with the project; skips what is shipped, prints the cost first."""
    found = sections.pieces(store, sections.Sources(**paths), only)
    compute(store, found, Runtime(device=device, threads=threads))


def compute(store: Store, everything: list[pieces.Piece], where: Runtime) -> None:
    """Compute and ship what is not shipped of `everything`: its cost first, then each piece, and how the estimate
    held."""
    wanted = [piece for piece in everything if not pieces.shipped(piece, store)]
    expected, begun = _costs(wanted, store, where), time.perf_counter()
    for number, piece in enumerate(wanted, start=1):
        with shown() as report:
            make(piece, store, report, where)
        took, thought = time.perf_counter() - begun, sum(expected[:number])
        click.echo(
            f"{number} of {len(wanted)} shipped after {estimate.duration(took)}, {took / thought:.2f} of the estimate"
        )


def _costs(wanted: list, store: Store, where: Runtime) -> list[float]:
    """Print the passes and the expected time of each piece; returns their seconds."""
    known: set[tuple] = set()
    speeds: dict[tuple, estimate.Speed] = {}
    costs: list[float] = []
    for piece in wanted:
        spec = piece.experiment
        names = {(recipe_key(spec), task.stage, task.key): task for task in pieces.missing(piece, store)}
        tasks = [task for name, task in names.items() if name not in known]
        known |= names.keys()
        name = estimate.network_name(spec), spec.data
        speeds[name] = speeds.get(name) or _speed(spec, store, replace(where, weights=piece.weights))
        costs.append(estimate.seconds(tasks, speeds[name], len(spec.repairs)))
        click.echo(f"{textreport.cost(spec, tasks)}: {estimate.duration(costs[-1])}")
    click.echo(f"{len(wanted)} pieces to compute, about {estimate.duration(sum(costs))}")
    return costs


def _speed(spec: ExperimentSpec, store: Store, where: Runtime) -> estimate.Speed:
    """This machine's speeds with the threads that will be used, measured now: it may have been busier before."""
    where.start()
    where = replace(where, threads=torch.get_num_threads())
    probe.measure(spec, store, where, importing=0.0, budget=MEASURED)
    return estimate.speed(spec, store, where.threads)


def make(piece: pieces.Piece, where: Store, report: Report, runtime: Runtime) -> None:
    """Compute the piece and ship it; a network trained here is shipped itself, before anything is computed from it."""
    spec, runtime = piece.experiment, replace(runtime, weights=piece.weights)
    if spec.dense.source == "scratch" and not results.find(spec, where) and not _known(spec, where):
        ship_dense(Lab(spec, where, report, runtime))
    found = experiment.run(spec, where, report, runtime)
    dense_id = found.setting["dense_id"]
    if piece.maps:
        for wanted in pieces.map_specs(piece):
            experiment.maps(spec, where, wanted, dense_id, report, runtime)
        ship_kernels(where.find("dense", dense_id, WEIGHTS), piece.maps, where)
    if piece.repairability:
        experiment.repairability(spec, where, dense_id, report=report, where=runtime)
    if piece.signal:
        experiment.signal(spec, where, REPORTED_STATE, dense_id, report, runtime)
    for stage, key in pieces.extra_keys(piece, dense_id):
        shipping.ship_whole(stage, where.find(stage, key), where)
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
