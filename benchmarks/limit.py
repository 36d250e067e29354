"""The limit: what the forward passes of a plan cost when nothing else is done."""

import time
from collections import Counter
from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from asr_core.networks import models
from asr_core.pipeline.plan import EVAL_BATCH, Task
from asr_core.spec.experiment import ExperimentSpec

STAT_BATCH = 64  # asr_core measures statistics in batches of this
Pass = tuple[bool, int]  # (BatchNorm in train mode, images in the batch)


def passes(task: Task, spec: ExperimentSpec) -> Counter[Pass]:
    """How many forward passes of which kind a task needs."""
    batch = {
        "evaluation": EVAL_BATCH,
        "stats": STAT_BATCH,
        "recalibration": spec.calibration.calib_batch_size,
        "repair": max(task.images, 1),
    }.get(task.stage, 1)
    full, rest = divmod(task.images, batch)
    counted = Counter({(task.stage == "recalibration", batch): full})
    if rest:
        counted[False, rest] += 1
    return +counted


def timed(function: Callable, *arguments) -> float:
    """Seconds that one call takes."""
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


def bare_forward(model: nn.Module, kind: Pass, images: torch.Tensor, repeats: int = 5) -> float:
    """Median seconds of one forward pass of prepared `images` in eval mode, or with BatchNorm in train mode."""
    train, count = kind
    batch = images[:count].contiguous(memory_format=torch.channels_last)
    for bn in models.batchnorms(model).values():
        bn.train(train)
    try:
        with torch.inference_mode():
            model(batch)
            return float(np.median([timed(model, batch) for _ in range(repeats)]))
    finally:
        model.eval()


def bare_training_step(model: nn.Module, images, labels, precision: str, repeats: int) -> float:
    """Median seconds of forward (float32 or bfloat16), backward and an SGD step on one prepared batch; changes
    `model`."""
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-6, momentum=0.9, nesterov=True, weight_decay=5e-4)

    def step():
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            logits = model(images)
        loss = F.cross_entropy(logits.float(), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    step(), step()
    return float(np.median([timed(step) for _ in range(repeats)]))
