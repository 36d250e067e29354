"""What calibration draws cost: 16 of them x 6 repairs on the digits against the bare forward passes that they need, in
turn: `make bench-draws`."""

import tempfile
from collections import Counter
from pathlib import Path

import click
import numpy as np
import psutil
import torch

from asr_core.images import data
from asr_core.pipeline import asked, plan
from asr_core.pipeline import run as experiment
from asr_core.pipeline.lab import Lab, Report, ensure_dense
from asr_core.runtime import Runtime
from asr_core.spec.draws import each
from asr_core.spec.experiment import ExperimentSpec
from asr_core.spec.recalibration import NO_STATE, REPORTED_STATE
from asr_core.store import Store
from asr_core.store.entries import PROJECT, versions, write_json
from benchmarks import limit, setting

DRAWS, MOST = 16, 1.3  # calibration draws; times the bare passes, at most
METHODS, ORDERS, BIASES = ("lw_bn", "raw_bn", "asr_bn"), ("simultaneous", "sequential"), ("off",)
DOCUMENT = PROJECT / "docs" / "benchmark-draws.json"


def passes(specs: list[ExperimentSpec], dense_id: str, store: Store) -> Counter[limit.Pass]:
    """Forward passes that the experiments need together, each stage once."""
    counts = data.counts(specs[0].data, store)
    tasks = {(task.stage, task.key): task for spec in specs for task in plan.tasks(spec, dense_id, *counts)}
    whole = [task for task in tasks.values() if task.kind == "forward"]
    return sum((limit.passes(task, specs[0]) for task in whole), Counter())


def bare(model: torch.nn.Module, needed: Counter[limit.Pass], images: torch.Tensor) -> float:
    """Seconds of the passes on prepared images."""
    return sum(number * limit.bare_forward(model, kind, images, repeats=9) for kind, number in needed.items())


def measure(draws: int, repeats: int) -> dict:
    """Seconds of both sides, medians of `repeats` in turn, and their ratio."""
    with tempfile.TemporaryDirectory(prefix="draws-") as folder:
        store = Store(Path(folder) / "first")
        first = asked.experiment(store, methods=METHODS, orders=ORDERS, biases=BIASES).with_(
            states=(NO_STATE, REPORTED_STATE)
        )
        specs, where = each(first, draws), Runtime(threads=torch.get_num_threads())
        dense_id = ensure_dense(Lab(first, store, Report(), where))
        images = data.load(first.data, store)
        needed, model = passes(specs, dense_id, store), setting.dense_network(first, store, dense_id)
        batch = images.train_batch(np.arange(max(count for _, count in needed)) % len(images.train_labels))
        ours, limits = [], []
        for turn in range(repeats):
            limits.append(bare(model, needed, batch))
            own = setting.with_dense_only(store, Path(folder) / str(turn), dense_id)
            ours.append(limit.timed(lambda own=own: [experiment.run(spec, own, Report(), where) for spec in specs]))
            limits.append(bare(model, needed, batch))
    seconds, least = float(np.median(ours)), float(np.median(limits))
    return {
        "draws": draws,
        "repairs": len(first.repairs),
        "images": sum(count * number for (_, count), number in needed.items()),
        "seconds": round(seconds, 2),
        "bare_seconds": round(least, 2),
        "ratio": round(seconds / least, 2),
        "most": MOST,
    }


@click.command()
@click.option("--draws", default=DRAWS, show_default=True, metavar="N", help="Calibration draws.")
@click.option("--repeats", default=3, show_default=True, metavar="N", help="How often each side runs.")
@click.option("--keep", is_flag=True, help=f"Write {DOCUMENT.relative_to(PROJECT)}.")
def main(draws: int, repeats: int, keep: bool) -> None:
    """Cost of calibration draws on the digits against the bare forward passes."""
    found = measure(draws, repeats)
    click.echo(
        f"{found['draws']} draws x {found['repairs']} repairs, {found['images']:,} image passes: {found['seconds']} s, "
        f"bare passes {found['bare_seconds']} s, ratio {found['ratio']} (at most {MOST})"
    )
    if keep:
        write_json(DOCUMENT, found | {"repeats": repeats, "cores": psutil.cpu_count(), "versions": versions()})


if __name__ == "__main__":
    main(prog_name="python -m benchmarks.draws")
