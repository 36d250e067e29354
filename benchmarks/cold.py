"""The command line from an empty cache, and again: what a user waits for."""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch

from asr_core.networks import models
from asr_core.spec.experiment import ExperimentSpec
from benchmarks import limit, setting, speed
from benchmarks.report import Line


def command(asked: setting.Asked, cache: Path) -> float:
    """Seconds of `python -m asr_core run`, start to end; raises CalledProcessError if it fails."""
    run = [sys.executable, "-m", "asr_core", "--cache-dir", str(cache), "run", "--json", *asked.command()]
    start = time.perf_counter()
    done = subprocess.run(run, stdout=subprocess.PIPE, check=True)
    json.loads(done.stdout)
    return time.perf_counter() - start


def training_seconds(spec: ExperimentSpec, images, repeats: int) -> float:
    """Seconds of the bare training steps of the recipe: forward, backward and step on prepared batches."""
    model = models.build(spec.model, spec.data.classes, spec.data.image_size)
    size = spec.dense.batch_size
    batch, labels = images.batch(images.train_images[:size]), torch.from_numpy(np.array(images.train_labels[:size]))
    step = limit.bare_training_step(model, batch, labels, spec.dense.precision, 5 * repeats)
    return spec.dense.epochs * len(images.train_labels) / size * step


def cold_line(bench: speed.Bench, times: speed.Times, seconds: float, repeats: int) -> Line:
    """The cold run against bare training and bare forwards."""
    bare = training_seconds(bench.spec, bench.images, repeats) + times.bare
    return Line("cold run, command line, vs bare training + bare forwards", seconds, bare, "s", seconds / bare, "<= 2")


def warm_line(asked: setting.Asked, cache: Path, repeats: int) -> Line:
    """The same command when everything is stored."""
    seconds = float(np.median([command(asked, cache) for _ in range(max(3, repeats))]))
    return Line("second run, command line", seconds, None, "s", seconds, "<= 2")
