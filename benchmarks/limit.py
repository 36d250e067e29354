"""The limit: what the forward passes of an experiment cost when nothing else is done, measured in turn with it."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

import torch
from torch import nn
from torch.nn import functional as F

from asr_core.measure import guards
from asr_core.pipeline.lab import Report
from asr_core.pipeline.plan import EVAL_BATCH, Task
from asr_core.runtime import clock
from asr_core.spec.experiment import ExperimentSpec

WHOLE = "whole"  # of an experiment: its stages and what lies beside them
BESIDE = "beside the stages"


def timed(function: Callable, *arguments) -> float:
    """Seconds that one call takes."""
    start = clock()
    function(*arguments)
    return clock() - start


@dataclass
class Spent:
    """Seconds of ours, without bare passes; of the bare passes beside it; tasks; images that went through a network."""

    ours: float = 0.0
    bare: float = 0.0
    tasks: int = 0
    images: int = 0

    @property
    def ratio(self) -> float | None:
        """Ours over bare; None without passes."""
        return self.ours / self.bare if self.bare else None


class InTurn(Report):
    """Times an experiment by stage, and beside each of its forward passes a bare one.

    The bare pass is of the same network, without hooks, on the same batch, prepared, in inference mode; before the
    experiment's own pass and after it by turns, so that neither gains more from caches that the other has filled. The
    experiment's clock stands meanwhile. Both are of one process and one moment, so what slows the machine slows both;
    what other programs take of it is not counted (`runtime.clock`).
    """

    def __init__(self):
        self.stages: defaultdict[str, Spent] = defaultdict(Spent)
        self.stage, self._away, self._turn, self._begun = BESIDE, 0.0, 0, 0.0

    def _clock(self) -> float:
        return clock() - self._away

    def started(self, task: Task) -> None:
        """A stage begins."""
        self.stage, self._begun = task.stage, self._clock()

    def finished(self, task: Task) -> None:
        """A stage is stored."""
        self.stages[task.stage].ours += self._clock() - self._begun
        self.stages[task.stage].tasks += 1
        self.stage = BESIDE

    def run(self, experiment: Callable, *arguments: Any) -> dict[str, Spent]:
        """What each stage of `experiment(*arguments, report=self)` spent, and WHOLE."""
        start = self._clock()
        with self._watching():
            experiment(*arguments, report=self)
        whole = Spent(ours=self._clock() - start)
        for spent in self.stages.values():
            whole.bare, whole.tasks = whole.bare + spent.bare, whole.tasks + spent.tasks
            whole.images += spent.images
        return dict(self.stages) | {WHOLE: whole}

    @contextmanager
    def _watching(self) -> Iterator[None]:
        own = guards.forward

        def beside(model: nn.Module, batch: torch.Tensor) -> Any:
            self._turn += 1
            if self._turn % 2:
                self._bare(model, batch)
            found = own(model, batch)
            if not self._turn % 2:
                self._bare(model, batch)
            return found

        with mock.patch.object(guards, "forward", beside):
            yield

    def _bare(self, model: nn.Module, batch: torch.Tensor) -> None:
        start = clock()
        spent = self.stages[self.stage]
        spent.bare += bare_forward(model, batch)
        spent.images += len(batch)
        self._away += clock() - start


def bare_forward(model: nn.Module, batch: torch.Tensor) -> float:
    """Seconds of one forward pass without hooks, in the mode that the network is in; nothing of it is changed."""
    batch = batch.to(*guards.place(model)).contiguous(memory_format=torch.channels_last)
    buffers = [buffer.clone() for buffer in model.buffers()]
    with _without_hooks(model), torch.inference_mode():
        seconds = timed(model, batch)
    with torch.no_grad():
        for buffer, old in zip(model.buffers(), buffers, strict=True):
            buffer.copy_(old)
    return seconds


@contextmanager
def _without_hooks(model: nn.Module) -> Iterator[None]:
    hooks = [(module, dict(module._forward_hooks)) for module in model.modules() if module._forward_hooks]
    for module, _ in hooks:
        module._forward_hooks.clear()
    try:
        yield
    finally:
        for module, found in hooks:
            module._forward_hooks.update(found)


def largest_batch(spec: ExperimentSpec, tests: int) -> int:
    """Images of the largest batch that an experiment runs; tests: how many test images there are."""
    calibration = spec.calibration
    recalibrated = calibration.calib_batch_size if spec.max_batches else 0
    return max(min(EVAL_BATCH, spec.evaluation.eval_images or tests), recalibrated, calibration.stat_images)


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
    return sorted(timed(step) for _ in range(repeats))[repeats // 2]
