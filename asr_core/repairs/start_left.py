"""What an exponential average keeps of its reset start: whether that moves a network of which nothing was pruned."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from asr_core.spec.recalibration import BatchNormState

if TYPE_CHECKING:
    from asr_core.repairs.batchnorm import Running

MOVED = 0.05  # standard deviations of BatchNorm's output: what is left of the start may move without a warning


def warn_left_over(states: Iterable[BatchNormState], kept: Running) -> None:
    """Warn where what is left of a reset start moves the outputs of BatchNorms with the statistics `kept`."""
    moving = [s for s in states if s.calib_batches and s.start == "reset" and moved(_left(s), kept) > MOVED]
    if not moving:
        return
    first = min(moving, key=lambda s: s.calib_batches)
    a = _left(first)
    worst = max(kept, key=lambda name: _moved_one(a, *kept[name]))
    variance = kept[worst][1]
    with np.errstate(divide="ignore"):
        ratio = np.median(a / variance + 1 - a)
    others = (
        f" (likewise {', '.join(str(s.calib_batches) for s in moving if s is not first)})" if len(moving) > 1 else ""
    )
    warnings.warn(
        f"{first.calib_batches} batches{others} at momentum {first.momentum:g} from reset: {100 * a:.2g} % is "
        f"left of the start, mean 0 and variance 1; the running variances of {worst} have a median of "
        f"{np.median(variance):.2g}, so even "
        f"unpruned they would become {ratio:.2g} times what they are, and its outputs move by "
        f"{_moved_one(a, *kept[worst]):.2g} standard deviations (medians); {_remedy(first, kept)}",
        stacklevel=3,
    )


def _left(state: BatchNormState) -> float:
    """The fraction of its start that an exponential average still holds."""
    return (1 - state.momentum) ** state.calib_batches


def moved(a: float, kept: Running) -> float:
    """How far the output of the BatchNorm that moves most does, median over its channels, in their standard deviations,
    where the fraction `a` of mean 0 and variance 1 is mixed into the running statistics of an input that has just
    these statistics."""
    return max((_moved_one(a, *each) for each in kept.values()), default=0.0)


def _moved_one(a: float, mean: np.ndarray, variance: np.ndarray) -> float:
    width = np.sqrt(a + (1 - a) * variance)
    return float(np.median(np.hypot(np.sqrt(variance) / width - 1, a * mean / width)))


def _remedy(state: BatchNormState, kept: Running) -> str:
    enough = state.calib_batches
    while moved((1 - state.momentum) ** enough, kept) > MOVED and enough < 10_000:
        enough *= 2
    return f"take averaging 'cumulative', start 'keep', or more batches ({enough} would do)"
