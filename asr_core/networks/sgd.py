"""How networks are trained: SGD with Nesterov momentum 0.9, weight decay 5e-4 on conv and linear weights only, cross
entropy (labels smoothed by 0.1 when from scratch), the learning rate rising linearly over the first fifth of all steps
and falling linearly to zero.

With `DenseSpec.average` the trained weights are an exponential moving average over about the last twentieth of all
steps, and BatchNorm's running statistics are measured anew under them: those that training leaves belong to other
weights. Without it both are what training leaves.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from asr_core.errors import DataError, ModelError
from asr_core.networks.resume import Kept

if TYPE_CHECKING:
    from asr_core.spec.dense import DenseSpec


LEARNING_RATE = {"scratch": 0.1, "imagenet": 0.01}  # peak, where the spec has None
LABEL_SMOOTHING = {"scratch": 0.1, "imagenet": 0.0}  # worth a point on digits' few images
MOMENTUM, WEIGHT_DECAY, WARMUP = 0.9, 5e-4, 0.2
AVERAGED = 0.05  # share of all steps that the moving average reaches back
MEASURED = 10_000  # training images that give an averaged network its running statistics


class Training:
    """The training of a network's parameters, an epoch at a time, from a state that can be stored and taken up.

    `inputs(indices, rng)` returns the tensors that the network is called with, for training images
    `indices`; it draws from `rng` only. labels: int (N,). The network is in train mode, on `device`.
    """

    def __init__(self, network: nn.Module, inputs, labels, dense: DenseSpec, device):
        self.network, self.inputs, self.dense, self.device = network, inputs, dense, torch.device(device)
        self.labels = torch.from_numpy(np.array(labels, np.int64))
        self.peak = dense.learning_rate or LEARNING_RATE[dense.source]
        self.parameters = list(network.parameters())
        self.optimizer = optimizer(self.parameters, self.peak)
        self.average = [p.detach().clone() for p in self.parameters] if dense.average else []
        self.generators = [np.random.default_rng((dense.seed, stream)) for stream in (0, 1)]  # order, augmentation
        self.steps = dense.epochs * len(list(batches(np.arange(len(self.labels)), dense.batch_size)))  # of all epochs
        self.losses: list[float] = []
        self.step = 0

    def run(self, progress=None, kept: Kept | None = None) -> dict:
        """Train what is left of all epochs, and say what was done: learning_rate and each epoch's mean loss.

        `progress(stage, images)` hears `train` after each batch, and first `resumed`, with the images of the epochs
        that `kept` held. Raises ModelError if training diverges.
        """
        if kept and (found := kept.load()):
            self.take_up(*found)
            if progress:
                progress("resumed", len(self.losses) * self._images())
        while len(self.losses) < self.dense.epochs:
            self._epoch(progress)
            if kept and len(self.losses) < self.dense.epochs and kept.due():
                kept.save(*self.state())
        if self.average:
            self._take_average()
        if kept:
            kept.remove()
        return {"learning_rate": self.peak, "losses": self.losses}

    def _images(self) -> int:
        """Images of an epoch."""
        return sum(map(len, batches(np.arange(len(self.labels)), self.dense.batch_size)))

    def _epoch(self, progress) -> None:
        seen = summed = 0.0
        for indices in batches(self.generators[0].permutation(len(self.labels)), self.dense.batch_size):
            loss = self._step(indices)
            check_loss(loss, len(self.losses), self.peak)
            seen, summed = seen + len(indices), summed + len(indices) * loss
            if progress:
                progress("train", len(indices))
        self.losses.append(summed / seen)

    def _step(self, indices: np.ndarray) -> float:
        """One step on the images at `indices`; returns their loss before it."""
        self.step += 1
        for group in self.optimizer.param_groups:
            group["lr"] = self.peak * schedule(self.step / (self.steps + 1))
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.dense.precision == "bfloat16"):
            logits = self.network(*self._batch(indices))
        smoothing = LABEL_SMOOTHING[self.dense.source]
        loss = F.cross_entropy(logits.float(), self.labels[indices].to(self.device), label_smoothing=smoothing)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        if self.average:
            with torch.no_grad():
                torch._foreach_lerp_(self.average, self.parameters, min(1.0, 1 / (AVERAGED * self.steps)))
        return float(loss.detach())

    def _batch(self, indices: np.ndarray) -> list[torch.Tensor]:
        return [x.to(self.device) for x in self.inputs(indices, self.generators[1])]

    @torch.no_grad()
    def _take_average(self) -> None:
        """Put the averaged weights into the network, with running statistics that are means over batches under them."""
        for parameter, average in zip(self.parameters, self.average, strict=True):
            parameter.copy_(average)
        layers = [m for m in self.network.modules() if isinstance(m, _BatchNorm) and m.running_mean is not None]
        momenta = [layer.momentum for layer in layers]
        self.network.eval()
        for layer in layers:
            layer.train().reset_running_stats()
            layer.momentum = None  # all batches count alike
        chosen = self.generators[0].permutation(len(self.labels))[:MEASURED]
        first, *rest = batches(chosen, self.dense.batch_size)
        for indices in [first, *(part for part in rest if len(part) == len(first))]:
            self.network(*self._batch(indices))
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
        self.network.train()

    def state(self) -> tuple[dict[str, torch.Tensor], dict]:
        """(tensors, facts) from which `take_up` goes on as if nothing had happened."""
        momenta = [self.optimizer.state[p].get("momentum_buffer") for p in self.parameters]  # None: without gradient
        tensors = {f"network.{name}": tensor for name, tensor in self.network.state_dict().items()}
        tensors |= {f"momentum.{i}": tensor for i, tensor in enumerate(momenta) if tensor is not None}
        tensors |= {f"average.{i}": tensor for i, tensor in enumerate(self.average)}
        tensors["generator.cpu"] = torch.get_rng_state()
        if self.device.type == "cuda":
            tensors["generator.cuda"] = torch.cuda.get_rng_state(self.device)
        generators = [rng.bit_generator.state for rng in self.generators]
        return tensors, {
            "epochs": self.dense.epochs,
            "losses": self.losses,
            "step": self.step,
            "generators": generators,
        }

    @torch.no_grad()
    def take_up(self, tensors: dict[str, torch.Tensor], facts: dict) -> None:
        """Go on from a `state` of the same training."""
        named = {name.removeprefix("network."): t for name, t in tensors.items() if name.startswith("network.")}
        self.network.load_state_dict(named)
        for i, parameter in enumerate(self.parameters):
            if f"momentum.{i}" in tensors:
                buffer = torch.empty_like(parameter).copy_(tensors[f"momentum.{i}"])  # in the parameter's layout
                self.optimizer.state[parameter]["momentum_buffer"] = buffer
        for i, average in enumerate(self.average):
            average.copy_(tensors[f"average.{i}"])
        torch.set_rng_state(tensors["generator.cpu"])
        if self.device.type == "cuda" and "generator.cuda" in tensors:
            torch.cuda.set_rng_state(tensors["generator.cuda"], self.device)
        for rng, state in zip(self.generators, facts["generators"], strict=True):
            rng.bit_generator.state = state
        self.losses, self.step = facts["losses"], facts["step"]


def optimizer(parameters, learning_rate: float) -> torch.optim.SGD:
    """SGD that decays conv and linear weights only."""
    parameters = list(parameters)
    decayed = [p for p in parameters if p.ndim > 1]
    rest = [p for p in parameters if p.ndim <= 1]  # BatchNorm and biases
    groups = [{"params": decayed, "weight_decay": WEIGHT_DECAY}, {"params": rest, "weight_decay": 0.0}]
    return torch.optim.SGD(groups, lr=learning_rate, momentum=MOMENTUM, nesterov=True)


def schedule(done: float) -> float:
    """Fraction of the peak learning rate when a fraction `done` of all steps is over."""
    return min(done / WARMUP, (1 - done) / (1 - WARMUP))


def batches(indices: np.ndarray, size: int):
    """Slices of `indices`; a last one of a single image is left out, since BatchNorm cannot train on it."""
    if len(indices) < 2:
        raise DataError(f"training needs at least 2 images, the training split has {len(indices)}.")
    for start in range(0, len(indices) - 1, size):
        yield indices[start : start + size]


def check_loss(loss: float, epoch: int, learning_rate: float) -> None:
    """Raise ModelError if the loss is no number any more. epoch: counted from 0."""
    if not math.isfinite(loss):
        raise ModelError(
            f"training diverged in epoch {epoch + 1}: the loss is {loss}; "
            f"lower the learning rate (it was {learning_rate:g})."
        )
