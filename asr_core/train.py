"""Dense networks: trained from scratch, fine-tuned by the paper's protocol, or read from a user's file.

Recipe of both trainings: SGD with Nesterov momentum 0.9, weight decay 5e-4 on conv and linear
weights only, cross entropy, the learning rate rising linearly over the first fifth of all steps and
falling linearly to zero. The running statistics that training leaves in BatchNorm are kept.
"""

import hashlib
import math
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from asr_core import models
from asr_core.data import Dataset
from asr_core.errors import DataError, ModelError, WeightsError
from asr_core.spec import DenseSpec, ExperimentSpec, ModelSpec

LEARNING_RATE = {"scratch": 0.05, "imagenet": 0.01}  # peak, where the spec has None
MOMENTUM, WEIGHT_DECAY, WARMUP = 0.9, 5e-4, 0.2
FEATURE_BATCH = 256  # images of one forward through the frozen part


def train_scratch(model: ModelSpec, dense: DenseSpec, data: Dataset, device, progress=None) -> tuple[nn.Module, dict]:
    """All layers from a random start seeded by `dense.seed`.

    Training images are cropped at random from a frame of reflected pixels and flipped, except
    digits. `progress(stage, images)` is called after each batch. Returns the network (eval mode, on
    `device`) and facts: learning_rate and the mean training loss of each epoch. The caller's random
    generators are left as they were. Raises ModelError if it cannot run or training diverges.
    """
    with _seeded(dense.seed, device):
        network = models.build(model, data.classes, data.spec.image_size).to(device)
        rng = np.random.default_rng((dense.seed, 1))

        def inputs(indices):
            images = data.train_images[indices]
            return [data.batch(images if data.spec.dataset == "digits" else augment(images, rng))]

        facts = _fit(network, network.parameters(), inputs, data.train_labels, dense, device, progress)
    return network.eval(), facts


def augment(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Random crops from a frame of reflected pixels (4 at 32x32, in proportion) and horizontal flips.

    images: uint8 (N, H, W, 3); the result has the same shape.
    """
    count, side = images.shape[:2]
    frame = max(1, round(side / 8))
    padded = np.pad(images, ((0, 0), (frame, frame), (frame, frame), (0, 0)), mode="reflect")
    top, left = rng.integers(0, 2 * frame + 1, (2, count))
    crops = np.lib.stride_tricks.sliding_window_view(padded, images.shape[1:3], axis=(1, 2))
    cropped = np.moveaxis(crops[np.arange(count), top, left], 1, -1)
    flipped = rng.random(count) < 0.5
    return np.where(flipped[:, None, None, None], cropped[:, :, ::-1], cropped)


class _seeded:
    """Seed torch inside the block; afterwards its generators are as before."""

    def __init__(self, seed: int, device):
        device = torch.device(device)
        self.fork = torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])
        self.seed = seed

    def __enter__(self):
        self.fork.__enter__()
        torch.manual_seed(self.seed)

    def __exit__(self, *error):
        return self.fork.__exit__(*error)


def _fit(network, parameters, inputs, labels, dense: DenseSpec, device, progress) -> dict:
    """Train `parameters` of `network`, called with the tensors `inputs(indices)`; returns the facts."""
    peak = dense.learning_rate or LEARNING_RATE[dense.source]
    optimizer = _optimizer(parameters, peak)
    labels, rng = torch.from_numpy(np.array(labels, np.int64)), np.random.default_rng((dense.seed, 0))
    total = dense.epochs * len(list(_batches(np.arange(len(labels)), dense.batch_size)))
    losses, step = [], 0
    for epoch in range(dense.epochs):
        seen = summed = 0.0
        for indices in _batches(rng.permutation(len(labels)), dense.batch_size):
            step += 1
            for group in optimizer.param_groups:
                group["lr"] = peak * _schedule(step / (total + 1))
            loss = F.cross_entropy(network(*(x.to(device) for x in inputs(indices))), labels[indices].to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            _check_loss(float(loss.detach()), epoch, peak)
            seen, summed = seen + len(indices), summed + len(indices) * float(loss.detach())
            if progress:
                progress("train", len(indices))
        losses.append(summed / seen)
    return {"learning_rate": peak, "losses": losses}
