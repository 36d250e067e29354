"""BatchNorm recalibration: one recorded pass, then every start, averaging, momentum and budget by arithmetic.

In train mode the forward pass does not depend on running statistics. With momentum 1 the running
buffers after each batch are that batch's mean and unbiased variance, so one pass over max(b)
batches records all that any recalibration needs, at the cost of a bare pass.
"""

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice

import numpy as np
import torch
from torch import nn

from asr_core.errors import DataError, ModelError, SpecError
from asr_core.measure import guards
from asr_core.measure.guards import Images
from asr_core.networks import models
from asr_core.repairs.start_left import warn_left_over
from asr_core.spec.recalibration import BatchNormState

Record = dict[str, np.ndarray]  # name -> (batches, 2, channel): mean and unbiased variance
UNSEEN = -1.0  # no variance: that of a BatchNorm whose statistics no batch has set
Running = dict[str, tuple[np.ndarray, np.ndarray]]  # name -> (mean, variance), float64, shape (channel,)


@contextmanager
def _recording(model: nn.Module) -> Iterator[dict[str, nn.BatchNorm2d]]:
    """Only the BatchNorm modules in train mode, with momentum 1; everything is as before afterwards."""
    layers = models.batchnorms(model)
    modes = [(module, module.training) for module in model.modules()]
    saved = {name: (bn.momentum, [b.clone() for b in bn.buffers()]) for name, bn in layers.items()}
    model.eval()
    for bn in layers.values():
        bn.train()
        bn.momentum = 1.0
        bn.running_var.fill_(UNSEEN)
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


def record(model: nn.Module, batches: Images, count: int) -> Record:
    """Batch mean and unbiased variance of each BatchNorm's input for the first `count` batches.

    batches: iterable of tensors (N, 3, H, W). Returns name -> array (count, 2, channel) of float32
    (float64 for a float64 network); a BatchNorm that never runs as a module is left out, with a warning. The network is
    not changed. Raises ModelError without BatchNorm, for one that a forward pass uses twice or whose forward keeps no
    statistics, DataError for too few batches.
    """
    models.check_network(model)
    _check_updated(model)
    if isinstance(batches, (torch.Tensor, np.ndarray)):
        raise DataError(
            f"batches is one tensor of shape {tuple(batches.shape)}; give several batches, for example "
            "images.split(128)."
        )
    with _recording(model) as layers, _counted(layers) as runs:
        found: Record = {
            name: np.empty((count, 2, len(bn.running_mean)), _precision(bn)) for name, bn in layers.items()
        }
        done = 0
        for batch in islice(guards.batches(batches), count):
            guards.forward(model, batch)
            done += 1
            for name, bn in layers.items():
                _check_runs(name, bn, runs[name], done)
                found[name][done - 1] = torch.stack([bn.running_mean, bn.running_var]).cpu().double().numpy()
    if done < count:
        raise DataError(
            f"recalibration needs {count} batches but only {done} were given; give more images or a smaller budget."
        )
    if idle := [name for name in layers if count and not runs[name]]:
        warnings.warn(
            f"no forward pass runs the BatchNorm {', '.join(idle)} as a module, so its statistics stay as they are",
            stacklevel=2,
        )
    return {name: values for name, values in found.items() if runs[name] or not count}


@contextmanager
def _counted(layers: dict[str, nn.BatchNorm2d]) -> Iterator[dict[str, int]]:
    """How often each of the layers has run, counted as it runs."""
    runs = dict.fromkeys(layers, 0)

    def count(*_: object, name: str) -> None:
        runs[name] += 1

    handles = [bn.register_forward_hook(partial(count, name=name)) for name, bn in layers.items()]
    try:
        yield runs
    finally:
        for handle in handles:
            handle.remove()


def _check_updated(model: nn.Module) -> None:
    for name, bn in models.batchnorms(model).items():
        if not bn.track_running_stats:
            raise ModelError(
                f"the BatchNorm {name} holds running statistics but does not update them; set its track_running_stats."
            )


def _check_runs(name: str, bn: nn.BatchNorm2d, runs: int, batches: int) -> None:
    """The buffers hold the last run's batch only: a module that runs twice, or now and then, has no single record."""
    if runs and bool((bn.running_var == UNSEEN).any()):
        raise ModelError(
            f"the BatchNorm {name} is a {type(bn).__name__} that runs without setting its running statistics, so it "
            "cannot be recalibrated; use a plain BatchNorm2d."
        )
    if runs > batches:
        raise ModelError(
            f"the BatchNorm {name} runs {runs if batches == 1 else 'several'} times in one forward pass, so its batch "
            "statistics are no single record; give each place its own BatchNorm module."
        )
    if 0 < runs < batches:
        raise ModelError(
            f"the BatchNorm {name} ran in {runs} of {batches} batches, so it has no record of the others; give a "
            "network that runs the same layers for every batch."
        )


def _precision(bn: nn.BatchNorm2d) -> type:
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
    (reset) or `kept`; cumulative: the mean over b batches, whatever the start; pseudo: (N kept + sum of batches) /
    (N + b); forgetting: as ema, from `kept`, with a momentum per batch. b = 0 returns `kept`.
    """
    b = state.calib_batches
    if b == 0:
        return kept
    each, left_over = state.weights
    result, weights = {}, np.array(each)
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


def recalibrate(
    model: nn.Module,
    batches: Images,
    budgets: Iterable[int] = (20,),
    start: str = "reset",
    averaging: str = "ema",
    momentum: float = 0.1,
    pseudo_count: int | None = None,
) -> dict[int, nn.Module]:
    """{b: a copy of `model` with BatchNorm statistics re-estimated on b batches}; `model` is not changed.

    batches: iterable of tensors (N, 3, H, W), at least max(budgets) of them; one pass serves all
    budgets. start: `reset` (mean 0, variance 1) or `keep`; averaging: `ema` with `momentum` in (0, 1],
    `cumulative` (the mean over batches, ignores start and momentum; equals torch.optim.swa_utils.update_bn), `pseudo`
    (the network's own statistics count as `pseudo_count` batches), `forgetting` (15 batches) or `tuning` (100).
    Budget 0 is an unchanged copy. Warns where what an average from `reset` keeps of its start, (1 - momentum)^b of mean
    0 and variance 1, would move the outputs of the network's BatchNorms even if nothing was pruned, and where
    statistics are not finite. Raises SpecError for bad values, DataError for too few batches, ModelError without
    BatchNorm.

    >>> from asr_core.networks.cifar_resnet import CifarResNet
    >>> images = torch.randn(8, 3, 32, 32)
    >>> list(recalibrate(CifarResNet(20, 10), images.split(4), budgets=(1, 2), averaging="cumulative"))
    [1, 2]
    """
    if not isinstance(budgets, Iterable) or not (budgets := list(budgets)):
        raise SpecError(f"budgets is {budgets}; give a list of numbers of batches, for example (10, 20).")
    asked = (BatchNormState.of(start, averaging, momentum, b, pseudo_count) for b in budgets)
    states = {state.calib_batches: state for state in asked}
    model = guards.network(model, batchnorm=True)
    kept = running_of(model)
    warn_left_over(states.values(), kept)
    recorded = record(model, batches, max(states))
    if wild := [name for name, values in recorded.items() if not np.isfinite(values).all()]:
        warnings.warn(
            f"the batch statistics of {', '.join(wild)} are NaN or infinite, and so will the outputs be: "
            "the network's activations overflow",
            stacklevel=2,
        )
    return {b: load_running(guards.copied(model), running_statistics(recorded, s, kept)) for b, s in states.items()}
