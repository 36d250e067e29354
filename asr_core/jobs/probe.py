"""Measures, in a few seconds, how fast this machine runs a network: forward, statistics, recording, training.

Uses the functions of the pipeline itself on random images, as many as a fraction of a second allows.
"""

from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import torch

from asr_core.images import data
from asr_core.images.download import data_directory
from asr_core.jobs import estimate
from asr_core.measure import evaluation, stats
from asr_core.networks import models, train
from asr_core.pipeline.plan import EVAL_BATCH
from asr_core.repairs import batchnorm
from asr_core.runtime import Runtime, clock
from asr_core.spec.experiment import ExperimentSpec
from asr_core.store import Store

BUDGET = 0.3  # seconds for each rate, where somebody waits for the estimate
ASSEMBLE = 0.15  # seconds per repair to make its tables, until a job has measured it
STEPS = 2  # of training, at least, after one that warms up


def measure(experiment: ExperimentSpec, store: Store, where: Runtime, importing: float, budget: float = BUDGET) -> None:
    """Measure the speeds of the experiment's network on this machine; they are remembered in the store.

    importing: seconds that a worker takes before it can build a network. budget: seconds for each rate. Raises
    ModelError for a network that cannot run, DataError for a folder that is not at hand.
    """
    device, start = where.start(), clock()
    with torch.random.fork_rng():
        network = models.build(experiment.model, experiment.data.classes, experiment.data.image_size)
    models.check_network(network, batchnorm=experiment.max_batches > 0)
    network.load_state_dict({name: tensor.clone() for name, tensor in network.state_dict().items()})
    build = clock() - start
    found = {"start": importing + build, "build": build, "assemble": ASSEMBLE}
    found |= passes(network.to(device), experiment, budget)
    found["train"] = training(network, experiment, device, found["evaluation"], budget)
    if experiment.data.dataset == "folder" and not store.has("images", data.images_key(experiment.data)):
        found["decode"] = decoding(experiment, store)
    estimate.remember(experiment, store, found, where.threads)


def passes(network: torch.nn.Module, experiment: ExperimentSpec, budget: float) -> estimate.Speed:
    """Seconds per image of the stages that run the network forward."""
    size, calibration = experiment.data.image_size, experiment.calibration

    def images(count):
        return torch.randn(count, 3, size, size).contiguous(memory_format=torch.channels_last)

    measured = rate(lambda n: stats.collect(network, [images(n)]), min(64, calibration.stat_images), budget)
    found = {"evaluation": rate(lambda n: evaluation.logits(network, [images(n)]), EVAL_BATCH, budget)}
    if experiment.max_batches:
        most = calibration.calib_batch_size
        found["recalibration"] = rate(lambda n: batchnorm.record(network, [images(n)], 1), most, budget)
    return found | {"stats": measured, "repair": measured}


def rate(run, most: int, budget: float = BUDGET) -> float:
    """Seconds per image of `run(images)`, at as many images as fit the budget (seconds), `most` at most."""
    count = min(2, most)
    while True:
        start = clock()
        run(count)
        if count == most or clock() - start > budget / 5:
            break
        count = min(most, 4 * count)
    done, start = 0, clock()
    while done == 0 or clock() - start < budget / 2:
        run(count)
        done += count
    return (clock() - start) / done


def training(network: torch.nn.Module, experiment: ExperimentSpec, device, forward: float, budget: float) -> float:
    """Seconds per image and epoch of training the dense network by its recipe; 0 for a file."""
    dense = experiment.dense
    if dense.source == "file":
        return 0.0
    size = int(np.clip(budget / (4 * forward), 2, dense.batch_size))  # a step costs about four forward passes
    steps = max(STEPS, int(budget / (4 * forward * size)))
    recipe = replace(dense, epochs=1, batch_size=size)
    images, times = random_images(experiment.data, (1 + steps) * size), []

    def heard(stage, count):
        if stage == "train":
            times.append(clock())

    if dense.source == "scratch":
        train.train_scratch(experiment.model, recipe, images, device, heard)
        return (times[-1] - times[0]) / (steps * size)
    train.tune_last_block(network, recipe, images, device, heard)
    return (times[-1] - times[0]) / (steps * size) + forward / dense.epochs  # the frozen part runs once


def random_images(spec, count: int) -> data.Dataset:
    """A data set of `count` training images of noise."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, spec.image_size, spec.image_size, 3), np.uint8)
    labels = rng.integers(0, spec.classes, count)
    return data.Dataset(
        spec=spec,
        label="noise",
        class_names=tuple(map(str, range(spec.classes))),
        train_images=images,
        train_labels=labels,
        test_images=images[:0],
        test_labels=labels[:0],
        mean=data.IMAGENET_MEAN,
        std=data.IMAGENET_STD,
        files_path=Path(),
    )


def decoding(experiment: ExperimentSpec, store: Store) -> float:
    """Seconds per image of reading and decoding the folder's images."""
    images = experiment.data
    split = images.chosen.open(images, store, data_directory()).train
    picked = cycle(np.random.default_rng(0).permutation(len(split.labels)))

    def run(count):
        for i in islice(picked, count):
            split.image(i).convert("RGB").resize((images.image_size,) * 2)

    return rate(run, 16)
