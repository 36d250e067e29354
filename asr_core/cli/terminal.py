"""Run an experiment in a terminal: a progress bar with time left on stderr."""

import sys
import time
from contextlib import contextmanager
from dataclasses import replace

import click
import torch
from tqdm import tqdm

from asr_core.jobs import estimate, probe
from asr_core.pipeline import allocations
from asr_core.pipeline import gallery as shipped
from asr_core.pipeline import maps as channel_maps
from asr_core.pipeline import stages as experiment
from asr_core.pipeline.lab import Report
from asr_core.pipeline.plan import Task
from asr_core.report import textreport
from asr_core.runtime import Runtime
from asr_core.spec.experiment import ExperimentSpec, PruneSpec
from asr_core.store import Store
from asr_core.store.results import Result

TRAIN_COST = 4  # a training pass costs about four forward passes
MEASURED = 4.0  # seconds for each rate of a network, before hours of work


class Bar(Report):
    """One bar over the whole run, in forward passes of one image."""

    def __init__(self):
        pause = 0.1 if sys.stderr.isatty() else 10  # seconds between lines; a log file gets few
        self.bar = tqdm(unit="img", unit_scale=True, dynamic_ncols=True, mininterval=pause, file=sys.stderr)
        self.cost = 1

    def planned(self, missing: list[Task]) -> None:
        self.bar.reset(total=sum(t.images * (TRAIN_COST if t.kind == "train" else 1) for t in missing))

    def started(self, task: Task) -> None:
        self.cost = TRAIN_COST if task.kind == "train" else 1
        self.bar.set_description(f"{task.stage} {task.target}"[:40], refresh=False)

    def advance(self, images: int) -> None:
        self.bar.update(images * self.cost)


@contextmanager
def shown():
    """A Bar, closed at the end whatever happens."""
    report = Bar()
    try:
        yield report
    finally:
        report.bar.close()


def run(spec: ExperimentSpec, store: Store, where: Runtime) -> Result:
    """Run `spec` with a progress bar."""
    with shown() as report:
        return experiment.run(spec, store, report, where)


def maps(spec: ExperimentSpec, store: Store, wanted: channel_maps.MapSpec, where: Runtime) -> channel_maps.Maps:
    """Compute and store the wanted maps with a progress bar."""
    with shown() as report:
        return channel_maps.run(spec, store, wanted, report=report, where=where)


def allocate(
    spec: ExperimentSpec, store: Store, prunings: list[PruneSpec], sparsities: tuple[float, ...], where: Runtime
) -> allocations.Allocation:
    """Compare prunings of the recipe's dense network with a progress bar."""
    with shown() as report:
        return allocations.allocate(spec, store, prunings, sparsities, report, where)


def gallery(store: Store, images: str | None, where: Runtime) -> None:
    """Compute and ship what the gallery lacks: its cost first, then each piece, and at the end how the estimate held."""
    wanted = [piece for piece in shipped.pieces(store, images) if not shipped.shipped(piece, store)]
    expected, begun = _costs(wanted, store, where), time.perf_counter()
    for number, piece in enumerate(wanted, start=1):
        with shown() as report:
            shipped.make(piece, store, report, where)
        took, thought = time.perf_counter() - begun, sum(expected[:number])
        click.echo(
            f"{number} of {len(wanted)} shipped after {estimate.duration(took)}, {took / thought:.2f} of the estimate"
        )


def _costs(wanted: list, store: Store, where: Runtime) -> list[float]:
    """Print the passes and the expected time of each piece; returns their seconds."""
    known, speeds, costs = set(), {}, []
    for piece in wanted:
        spec = piece.experiment
        names = {(spec.recipe_key, task.stage, task.key): task for task in shipped.missing(piece, store)}
        tasks = [task for name, task in names.items() if name not in known]
        known |= names.keys()
        name = estimate.network_name(spec), spec.data
        speeds[name] = speeds.get(name) or _speed(spec, store, where)
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
