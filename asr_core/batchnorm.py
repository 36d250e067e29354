"""BatchNorm recalibration: one recorded pass, then every start, averaging, momentum and budget by arithmetic.

In train mode the forward pass does not depend on running statistics. With momentum 1 the running
buffers after each batch are that batch's mean and unbiased variance, so one pass over max(b)
batches records all that any recalibration needs, at the cost of a bare pass.
"""

import copy
from collections.abc import Iterable
from contextlib import contextmanager
from itertools import islice

import numpy as np
import torch
from torch import nn

from asr_core import models
from asr_core.errors import DataError, ModelError, SpecError
from asr_core.grid import BatchNormState

Record = dict[str, np.ndarray]  # name -> (batches, 2, channel): mean and unbiased variance
Running = dict[str, tuple[np.ndarray, np.ndarray]]  # name -> (mean, variance), float64, shape (channel,)


@contextmanager
def _recording(model: nn.Module):
    """Only the BatchNorm modules in train mode, with momentum 1; everything is as before afterwards."""
    layers = models.batchnorms(model)
    modes = [(module, module.training) for module in model.modules()]
    saved = {name: (bn.momentum, [b.clone() for b in bn.buffers()]) for name, bn in layers.items()}
    model.eval()
    for bn in layers.values():
        bn.train()
        bn.momentum = 1.0
    try:
        with torch.no_grad():
            yield layers
    finally:
        for module, mode in modes:
            module.training = mode
        for name, bn in layers.items():
            bn.momentum, buffers = saved[name]
            for buffer, old in zip(bn.buffers(), buffers, strict=True):
                buffer.copy_(old)


def record(model: nn.Module, batches, count: int) -> Record:
    """Batch mean and unbiased variance of each BatchNorm's input for the first `count` batches.

    batches: iterable of tensors (N, 3, H, W). Returns name -> array (count, 2, channel) of float32
    (float64 for a float64 network). The network is not changed. Raises ModelError without
    BatchNorm or for one that a forward pass uses twice, DataError for too few batches.
    """
    models.check_network(model)
    if isinstance(batches, torch.Tensor):
        raise DataError(
            f"batches is one tensor of shape {tuple(batches.shape)}; give several batches, for example images.split(128)."
        )
    device = next(model.parameters()).device
    with _recording(model) as layers:
        found = {name: np.empty((count, 2, len(bn.running_mean)), _precision(bn)) for name, bn in layers.items()}
        done = 0
        for batch in islice(batches, count):
            calls = {name: int(bn.num_batches_tracked) for name, bn in layers.items()}
            model(batch.to(device))
            for name, bn in layers.items():
                _check_calls(name, int(bn.num_batches_tracked) - calls[name])
                found[name][done] = torch.stack([bn.running_mean, bn.running_var]).cpu().double().numpy()
            done += 1
    if done < count:
        raise DataError(
            f"recalibration needs {count} batches but only {done} were given; give more images or a smaller budget."
        )
    return found


def _check_calls(name: str, calls: int) -> None:
    """The buffers hold the last call's batch only: a module that runs twice has no single record."""
    if calls > 1:
        raise ModelError(
            f"the BatchNorm {name} runs {calls} times in one forward pass, so its batch statistics are no single record; give each place its own BatchNorm module."
        )


def _precision(bn) -> type:
    return np.float64 if bn.running_mean.dtype == torch.float64 else np.float32


def running_of(model: nn.Module) -> Running:
    """The network's present running statistics: copies, also for a float64 network."""
    return {
        name: tuple(buffer.cpu().double().numpy().copy() for buffer in (bn.running_mean, bn.running_var))
        for name, bn in models.batchnorms(model).items()
    }


def running_statistics(recorded: Record, state: BatchNormState, kept: Running) -> Running:
    """Running statistics after recalibration in `state`, float64.

    ema: r = a * r0 + sum_t momentum (1-momentum)^(b-t) batch_t with a = (1-momentum)^b and r0 = (0, 1)
    (reset) or `kept`; cumulative: the mean over b batches, whatever the start. b = 0 returns `kept`.
    """
    b = state.batches
    if b == 0:
        return kept
    if state.averaging == "cumulative":
        weights, left_over = np.full(b, 1 / b), 0.0
    else:
        weights = state.momentum * (1 - state.momentum) ** np.arange(b - 1, -1, -1)
        left_over = (1 - state.momentum) ** b
    result = {}
    for name, values in recorded.items():
        mean, variance = np.tensordot(weights, values[:b].astype(np.float64), axes=1)
        mean0, variance0 = (0.0, 1.0) if state.start == "reset" else kept[name]
        result[name] = (mean + left_over * mean0, variance + left_over * variance0)
    return result


@torch.no_grad()
def load_running(model: nn.Module, running: Running) -> nn.Module:
    """Put running statistics into the BatchNorm layers of `model`, in place; returns it."""
    layers = models.batchnorms(model)
    for name, (mean, variance) in running.items():
        layers[name].running_mean.copy_(torch.from_numpy(np.asarray(mean)))
        layers[name].running_var.copy_(torch.from_numpy(np.asarray(variance)))
    return model


def recalibrate(model: nn.Module, batches, budgets=(20,), start="reset", averaging="ema", momentum=0.1) -> dict:
    """{b: a copy of `model` with BatchNorm statistics re-estimated on b batches}; `model` is not changed.

    batches: iterable of tensors (N, 3, H, W), at least max(budgets) of them; one pass serves all
    budgets. start: `reset` (mean 0, variance 1) or `keep`; averaging: `ema` with `momentum` in (0, 1],
    or `cumulative` (the mean over batches, ignores start and momentum; equals
    torch.optim.swa_utils.update_bn). Budget 0 is an unchanged copy. Raises SpecError for bad values,
    DataError for too few batches, ModelError without BatchNorm.
    """
    if not isinstance(budgets, Iterable) or not (budgets := list(budgets)):
        raise SpecError(f"budgets is {budgets}; give a list of numbers of batches, for example (10, 20).")
    states = {state.batches: state for state in (BatchNormState.of(start, averaging, momentum, b) for b in budgets)}
    recorded = record(model, batches, max(states))
    kept = running_of(model)
    return {b: load_running(copy.deepcopy(model), running_statistics(recorded, s, kept)) for b, s in states.items()}
