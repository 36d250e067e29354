"""What calibration draws cost: 16 of them x 6 repairs on the digits against the bare forward passes that they need, in
turn: `make bench-draws`."""

import tempfile
from pathlib import Path

import click
import numpy as np
import psutil
import torch

from asr_core.pipeline import asked
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


def every(specs: list[ExperimentSpec], store: Store, where: Runtime, report: Report) -> None:
    """Run the experiments, one after the other."""
    for spec in specs:
        experiment.run(spec, store, report, where)


def measure(draws: int, repeats: int) -> dict:
    """Seconds of both sides, medians of `repeats` in turn, and their ratio."""
    with tempfile.TemporaryDirectory(prefix="draws-") as folder:
        store = Store(Path(folder) / "first")
        first = asked.experiment(store, methods=METHODS, orders=ORDERS, biases=BIASES).with_(
            states=(NO_STATE, REPORTED_STATE)
        )
        specs, where = each(first, draws), Runtime(threads=torch.get_num_threads())
        dense_id = ensure_dense(Lab(first, store, Report(), where))
        turns = []
        for turn in range(repeats):
            own = setting.with_dense_only(store, Path(folder) / str(turn), dense_id)
            turns.append(limit.InTurn().run(every, specs, own, where)[limit.WHOLE])
    seconds, least = (float(np.median([getattr(turn, side) for turn in turns])) for side in ("ours", "bare"))
    return {
        "draws": draws,
        "repairs": len(first.repairs),
        "images": turns[0].images,
        "seconds": round(seconds, 2),
        "bare_seconds": round(least, 2),
        "ratio": round(float(np.median([turn.ratio for turn in turns])), 2),
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
