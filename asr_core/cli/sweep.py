"""python -m asr_core sweep: every setting of a matrix in a file.

Checked whole and its cost printed before anything is computed; skips what is stored, so that it is safe to stop at any
time and to start again.
"""

import sys
import time
from dataclasses import replace
from pathlib import Path

import click

from asr_core.cli import costs
from asr_core.cli.options import EXECUTOR, MACHINE
from asr_core.jobs import estimate, executors, sweeps
from asr_core.report import textreport
from asr_core.runtime import Runtime, cores
from asr_core.spec.keys import recipe_key
from asr_core.store import Store, results


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@EXECUTOR
@click.option("--data-dir", metavar="DIR", help="Where downloads go [default: ASR_DATA_DIR, or data/ here].")
@MACHINE
@click.pass_obj
def sweep(
    store: Store, file: Path, executor: str, scheduler: str | None, workers: int, data_dir: str | None, **machine
) -> None:
    """Compute every setting of FILE, a matrix in YAML: names of the options of `run`, each with one value or a list of
    them (a list of methods, orders, biases, budgets or presets is what each setting has); or a list of matrices."""
    if executor == "local" and workers > 1 and machine["threads"] is None:
        machine["threads"] = max(1, cores() // workers)
    runs, where = sweeps.read(file, store), Runtime(data_dir=data_dir, **machine)
    wanted = [run for run in runs if not _stored(run, store)]
    click.echo(f"{len(runs)} settings, {len(runs) - len(wanted)} of them stored")
    if wanted and not compute(wanted, store, where, executor, workers, scheduler):
        sys.exit(1)


def _stored(run: sweeps.Run, store: Store) -> bool:
    found = results.find(run.experiment, store)
    return found is not None and found.channels is not None


def compute(
    wanted: list[sweeps.Run], store: Store, where: Runtime, executor: str, workers: int, scheduler: str | None
) -> bool:
    """Check and compute these settings, dense networks first; whether none failed."""
    from asr_core.pipeline import run as pipeline

    store.check_writable()
    pipeline.check_all([(run.experiment, replace(where, weights=run.weights)) for run in wanted], store)
    priced: list[costs.Wanted] = [(run.experiment, estimate.work(run.experiment, store), run.weights) for run in wanted]
    expected = costs.printed(priced, "settings", store, where)
    with executors.opened(executor, workers, scheduler) as pool:
        calls = [(run.experiment, store.root.resolve(), replace(where, weights=run.weights)) for run in wanted]
        untrained = {recipe_key(call[0]): call for call in calls if results.dense_here(store, call[0]) is None}
        if len(untrained) > 1:  # else workers would wait for one another's training
            executors.all_of(pool, pipeline.train, list(untrained.values()), lambda place, error: None)
        told = Told(wanted, expected)
        executors.all_of(pool, pipeline.compute, calls, told.heard)
    return not told.failed


class Told:
    """Prints a line for each setting that ends."""

    def __init__(self, wanted: list[sweeps.Run], expected: list[float]):
        self.wanted, self.expected, self.begun = wanted, expected, time.perf_counter()
        self.done = self.failed = 0

    def heard(self, place: int, error: Exception | None) -> None:
        """One setting ended, with an error or without."""
        self.done, self.failed = self.done + 1, self.failed + (error is not None)
        took = estimate.duration(time.perf_counter() - self.begun)
        how = f"failed: {error}" if error else "stored"
        name = textreport.named(self.wanted[place].experiment)
        click.echo(f"{self.done} of {len(self.wanted)} after {took}: {name}: {how}")
