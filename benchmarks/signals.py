"""What signal and masked least squares cost: `python -m benchmarks.signals`, or `make bench-signals`.

The stage `signal` against the bare forward passes of its images, and the whole repair `mls_bn` of two networks.
"""

import tempfile
from pathlib import Path

import click
import numpy as np
import torch
from torch import nn

from asr_core import prune, repair
from asr_core.networks import models
from asr_core.pipeline import asked
from asr_core.pipeline import run as experiment
from asr_core.runtime import Runtime
from asr_core.spec.model import ModelSpec
from asr_core.spec.recalibration import BatchNormState
from asr_core.store import Store, results
from benchmarks import limit, report, setting, speed

METHODS, ORDERS = ("lw_bn", "asr_bn"), ("simultaneous",)  # what each costs does not depend on which they are
STATE = BatchNormState.of("reset", "ema", 0.1, 2)  # after which signal is measured too
IMAGES, SIDE, SPARSITY = 64, 32, 0.8
MOST = {"cifar_resnet20": 3, "resnet18": 60}  # seconds of a repair on two cores
STEMS = {"resnet18": {"stem": "small"}}


def signal_line(repeats: int, threads: int) -> report.Line:
    """The stage `signal` of some repairs on digits, against bare passes in turn."""
    where, turns = Runtime(device="cpu", threads=threads), []
    with tempfile.TemporaryDirectory(prefix="benchmark-signals-") as folder:
        store = Store(Path(folder) / "dense")
        spec = asked.experiment(store, epochs=1, budgets=(STATE.calib_batches,), methods=METHODS, orders=ORDERS)
        experiment.train(spec, store.root, where)
        dense_id = results.dense_here(store, spec)
        for turn in range(repeats):
            other = setting.with_dense_only(store, Path(folder) / str(turn), dense_id)
            turns.append(limit.InTurn().run(experiment.signal, spec, other, STATE))
    return speed.against_bare(f"signal of {len(spec.repairs)} repairs ({spec.model.words})", turns, "signal", "<= 1.2")


def networks(architecture: str) -> tuple[nn.Module, nn.Module]:
    """The dense network with its first weights, and its pruned copy: the time depends on sizes, not on accuracy."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        dense = models.build(ModelSpec.of(architecture, **STEMS.get(architecture, {})), 10, SIDE)
    return dense, prune(dense, "global_l1", sparsity=SPARSITY)[0]


def repair_line(architecture: str, repeats: int) -> report.Line:
    """Seconds of `mls_bn`, sequential, with mean correction, beside those of a bare forward of its images; medians."""
    dense, pruned = networks(architecture)
    images = torch.randn(IMAGES, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    bare = limit.bare_forward(dense, images)
    seconds = [limit.timed(repair, dense, pruned, images, "mls_bn", "sequential", True) for _ in range(repeats)]
    median, stem = float(np.median(seconds)), STEMS.get(architecture, {}).get("stem")
    named = f"{architecture}, {stem} stem" if stem else architecture
    what = f"masked least squares, seconds ({named}; {IMAGES} images of {SIDE} pixels, {100 * SPARSITY:g} % pruned)"
    span = min(seconds), max(seconds)
    return report.Line(what, median, bare, "s", median, f"<= {MOST[architecture]}", span)


@click.command(context_settings={"show_default": True})
@click.option("--repeats", default=3, help="How often each is measured; medians are shown.")
@click.option("--threads", default=2, help="Processor threads.")
def main(repeats: int, threads: int) -> None:
    """Measure, and print the table."""
    torch.set_num_threads(threads)
    lines = [signal_line(repeats, threads), *(repair_line(name, repeats) for name in MOST)]
    click.echo(report.table(lines))
    click.echo(f"medians of {repeats}, {threads} threads")


if __name__ == "__main__":
    main(prog_name="python -m benchmarks.signals")
