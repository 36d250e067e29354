"""How soon numbers of a new sparsity come from a warm worker, beside the bare forward passes that they need:
`make bench-live`. No dashboard: what a page adds is a click and a redraw."""

import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np
import psutil
import torch

from asr_core.images import data
from asr_core.jobs.jobs import Wanted
from asr_core.jobs.runner import Runner
from asr_core.networks import models
from asr_core.pipeline.order import Sooner
from asr_core.pipeline.plan import EVAL_BATCH, Task
from asr_core.spec.experiment import ExperimentSpec, Setting
from asr_core.spec.parts import PruneSpec
from asr_core.spec.recalibration import REPORTED_STATE, default_states
from asr_core.spec.repairs import repairs
from asr_core.store import Store, results
from asr_core.studies import first as first_view
from benchmarks import dashboard, limit, setting

SHOWN = repairs(orders=("simultaneous",), biases=("off",))  # what Overview shows first
FACTOR, ALLOWED = 1.25, 1.5  # times the bare passes plus seconds, at most, until all its rows are there
TESTED = 2000  # test images of CIFAR-10
LONGEST = 300.0  # seconds that anything may take
FIRST = {"digits": 2.0, "cifar10": 2.5}  # seconds until the first number, at most


class Moment(NamedTuple):
    """Seconds since the request, and what the worker took of the processor meanwhile."""

    seconds: float
    processor: float


def experiment(base: Setting, sparsity: float) -> ExperimentSpec:
    """What the dashboard asks for at a sparsity that is not stored."""
    pruned = base.with_(prune=PruneSpec.of(base.prune.pruning, **base.prune.parameters | {"sparsity": sparsity}))
    return ExperimentSpec.of_setting(pruned, SHOWN, default_states())


def bases(store: Store, folder: str | None) -> Iterator[Setting]:
    """The settings whose sparsity is moved: digits, and the first view where CIFAR-10 is at hand."""
    yield Setting.of()
    if folder:
        data.resolve(f"folder:{folder}", store)
        found = first_view.first(store)
        assert found is not None and found.setting.data.dataset == "cifar10"
        yield found.setting.with_(evaluation=replace(found.setting.evaluation, eval_images=TESTED))


def passed(store: Store, tasks: list[Task], begun: float, process: psutil.Process, before: float) -> Moment:
    """When the last of `tasks` was stored."""
    left = [store.root / task.stage / task.key for task in tasks]
    while left := [path for path in left if not path.is_dir()]:
        assert time.perf_counter() - begun < LONGEST, f"{left[0]} did not come"
        time.sleep(0.005)
    return Moment(time.perf_counter() - begun, _processor(process) - before)


def _processor(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def asked(runner: Runner, base: Setting, sparsity: float, whole: bool = True) -> tuple[Moment, Moment, list[Task]]:
    """Ask for a sparsity: when its first accuracy came, when all that the view shows (`whole`), the tasks behind
    that."""
    wanted = Wanted(experiment(base, sparsity), first=Sooner(SHOWN, REPORTED_STATE))
    tasks = [task for task in wanted.tasks(runner.store) if wanted.first.shows(task)]
    assert results.dense_here(runner.store, wanted.experiment), "no dense network of the setting is here"
    (process,) = [psutil.Process(pid) for pid in runner._children]
    begun, before = time.perf_counter(), _processor(process)
    job = runner.submit(wanted)
    numbers = [task for task in tasks if task.stage == "evaluation"]
    first = passed(runner.store, numbers[:1], begun, process, before)
    every = passed(runner.store, tasks, begun, process, before) if whole else first
    runner.cancel(job.id)
    return first, every, tasks


def bare(base: Setting, store: Store, tasks: list[Task]) -> float:
    """Seconds of processor time of the forward passes behind `tasks` when nothing else is done, in one thread."""
    spec, threads = experiment(base, 0.5), torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        model = setting.dense_network(spec, store, results.dense_here(store, spec))
        images = data.load(spec.data, store)
        needed = [task for task in tasks if task.kind == "forward"]
        each = {stage: _of_one_image(model, images, stage, spec) for stage in {task.stage for task in needed}}
        return sum(each[task.stage] * task.images for task in needed)
    finally:
        torch.set_num_threads(threads)


def _of_one_image(model: torch.nn.Module, images: data.Dataset, stage: str, spec: ExperimentSpec) -> float:
    """Seconds of an image in a pass as large as the stage's, BatchNorm in the stage's mode."""
    sizes = {"evaluation": EVAL_BATCH, "recalibration": spec.calibration.calib_batch_size}
    size = sizes.get(stage, spec.calibration.stat_images)
    batch = images.train_batch(np.arange(size) % len(images.train_labels))
    for bn in models.batchnorms(model).values():
        bn.train(stage == "recalibration")
    try:
        _, *warm = [limit.bare_forward(model, batch) for _ in range(4)]
        return float(np.median(warm)) / size
    finally:
        model.eval()


def measure(base: Setting, runner: Runner, sparsities: list[float]) -> dict[str, Any]:
    """Medians over `sparsities`, after one that warms up."""
    asked(runner, base, 0.123, whole=False)
    found = [asked(runner, base, sparsity) for sparsity in sparsities]
    tasks = found[0][2]
    least = bare(base, runner.store, tasks)
    row: dict[str, Any] = {"dataset": base.data.dataset, "passes": sum(task.images for task in tasks)}
    for place, name in enumerate(("first", "all")):
        row[name] = round(float(np.median([one[place].seconds for one in found])), 2)
        row[f"{name}_processor"] = round(float(np.median([one[place].processor for one in found])), 2)
    row |= {"bare_processor": round(least, 2), "first_at_most": FIRST[base.data.dataset]}
    return row | {"all_at_most": round(FACTOR * least + ALLOWED, 2)}


@click.command()
@click.option("--images", metavar="FOLDER", help="CIFAR-10 as a folder of images; without it digits alone.")
@click.option("--repeats", default=3, show_default=True, metavar="N", help="New sparsities of each data set.")
def main(images: str | None, repeats: int) -> None:
    """Seconds from asking a warm worker for a new sparsity to its first accuracy and to all rows of the first view."""
    with tempfile.TemporaryDirectory(prefix="live-") as folder:
        store = Store(dashboard.cache_with_shipped(Path(folder)))
        runner = Runner(store)
        for base in bases(store, images):
            data.load(base.data, store)
            runner.warm(experiment(base, 0.5))
            row = measure(base, runner, [0.61 + 0.037 * n for n in range(repeats)])
            click.echo(" ".join(f"{name}={value}" for name, value in row.items()))
        for job in runner.all():
            runner.cancel(job.id)
        for child in list(runner._children.values()):
            child.terminate()


if __name__ == "__main__":
    main(prog_name="python -m benchmarks.live")
