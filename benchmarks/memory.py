"""Peak memory, each probe in a process of its own: python -m benchmarks.memory PROBE OPTIONS-AS-JSON.

The peak is that of the process over what it held when the probe began, after imports and after the
network and its input were made. It is read from the kernel's high-water mark, reset before the probe;
outside Linux, where that cannot be reset, memory is sampled instead and a short peak can be missed.
"""

import json
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import psutil
import torch

from asr_core import runtime
from asr_core.measure import stats, sums
from asr_core.networks import models
from asr_core.pipeline import run as experiment
from asr_core.spec.dense import DenseSpec
from asr_core.spec.experiment import ExperimentSpec
from asr_core.spec.keys import recipe_key
from asr_core.spec.model import ModelSpec
from asr_core.spec.recalibration import default_states
from asr_core.spec.samples import CalibrationSpec, EvalSpec
from asr_core.store import Store
from asr_core.store.entries import WEIGHTS
from benchmarks import limit, setting, speed
from benchmarks.report import Line

MIB = 2**20


def peak_over_now(function, *arguments) -> float:
    """MiB by which the process's memory exceeds its present size, without what is free in it, at most while `function`
    runs."""
    few, shift = torch.zeros(1, 1), torch.zeros(1).double()
    sums.summed_beside(few, shift, few, shift)  # loads a compiler of 100 MiB, as imports load the others
    runtime.give_back_memory()
    before = psutil.Process().memory_info().rss
    with _high_water() as peak:
        function(*arguments)
    return (peak() - before) / MIB


@contextmanager
def _high_water():
    """Yields a function that tells the largest size in bytes since the block began."""
    reset, status = Path("/proc/self/clear_refs"), Path("/proc/self/status")
    if reset.exists():
        reset.write_text("5")  # getrusage would not do: its mark is the parent's at first
        yield lambda: next(int(x.split()[1]) for x in status.read_text().splitlines() if x.startswith("VmHWM:")) * 1024
        return
    seen, done, process = [0], Event(), psutil.Process()

    def watch():
        while not done.wait(0.001):
            seen[0] = max(seen[0], process.memory_info().rss)

    watcher = Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield lambda: seen[0]
    finally:
        done.set()
        watcher.join()


@torch.inference_mode()
def forward(model, images):
    """One bare forward pass."""
    model(images)


def probe_statistics(architecture: str, image_size: int, images: int, bare: bool) -> dict:
    """Channel statistics of a fresh network, or its bare forward pass, of one batch."""
    torch.manual_seed(0)
    model = models.build(ModelSpec(architecture=architecture), 10, image_size)
    batch = torch.randn(images, 3, image_size, image_size).contiguous(memory_format=torch.channels_last)
    return {"peak": peak_over_now(forward if bare else stats.channel_stats, model, batch)}


def probe_batch(cache: str, options: dict, dense_id: str) -> dict:
    """The bare forward pass of the largest batch of the experiment, input included, and the network's size."""
    store = Store(cache)
    bench = speed.Bench(setting.Asked(options).spec(store), store, dense_id, None, Path(cache))
    largest = limit.largest_batch(bench.spec, len(bench.images.test_labels))
    model = bench.model
    size = sum(t.numel() * t.element_size() for t in model.state_dict().values()) / MIB
    side = bench.spec.data.image_size

    def batch():
        forward(model, torch.rand(largest, 3, side, side).contiguous(memory_format=torch.channels_last))

    return {"peak": peak_over_now(batch), "network": size, "images": largest}


def probe_grid(cache: str, options: dict) -> dict:
    """The experiment in a store that holds only the dense network and the images."""
    store = Store(cache)
    spec = setting.Asked(options).spec(store)
    _rehearse(spec, store)
    return {"peak": peak_over_now(experiment.run, spec, store)}


def _rehearse(spec: ExperimentSpec, store: Store) -> None:
    """The same grid on a tiny untrained network, so that libraries and their code are in memory already."""
    tiny = spec.with_(
        model=ModelSpec(architecture="shufflenet_v2_x0_5"),
        dense=DenseSpec(epochs=1),
        evaluation=EvalSpec(eval_images=8),
        calibration=CalibrationSpec(stat_images=8, calib_batch_size=2),
        states=default_states((1,)),
    )
    network = models.build(tiny.model, tiny.data.classes, tiny.data.image_size)
    facts = {"recipe": recipe_key(tiny), "dense_id": "tiny"}
    store.put("dense", "tiny", {WEIGHTS: network.state_dict()}, facts)
    experiment.run(tiny, store)


PROBES = {"statistics": probe_statistics, "batch": probe_batch, "grid": probe_grid}


def probed(name: str, **options) -> dict:
    """What a probe says, run in a fresh process."""
    run = [sys.executable, "-m", "benchmarks.memory", name, json.dumps(options)]
    return json.loads(subprocess.run(run, stdout=subprocess.PIPE, check=True).stdout)


def statistics_line(architecture: str, image_size: int, images: int) -> Line:
    """Statistics against the bare forward at the same batch size."""
    asked = {"architecture": architecture, "image_size": image_size, "images": images}
    ours, bare = (probed("statistics", **asked, bare=bare)["peak"] for bare in (False, True))
    what = f"peak memory, statistics vs bare forward: {architecture}, {images} images {image_size}x{image_size}"
    return Line(what, ours, bare, "MiB", ours / bare, "<= 1.2")


def grid_line(bench: speed.Bench, asked: setting.Asked) -> Line:
    """The whole experiment against three dense networks and one batch with its activations."""
    store = setting.with_dense_only(bench.store, bench.scratch / "memory", bench.dense_id)
    batch = probed("batch", cache=str(store.root), options=asked.options, dense_id=bench.dense_id)
    ours = probed("grid", cache=str(store.root), options=asked.options)["peak"]
    bound = 3 * batch["network"] + batch["peak"]
    what = f"peak memory, experiment vs 3 networks ({batch['network']:.0f} MiB each) + one batch of {batch['images']}"
    return Line(what, ours, bound, "MiB", ours / bound, "<= 1")


if __name__ == "__main__":
    json.dump(PROBES[sys.argv[1]](**json.loads(sys.argv[2])), sys.stdout)
