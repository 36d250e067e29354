"""Sums over rows (pixel, channel) of outputs, less a shift of each channel, in float64.

The shift, some row of them, keeps the digits of a small variance beside a large mean, and a constant channel at exactly
no variance. On the CPU a compiled loop reads each value once; torch's own operations, which other devices take, would
read and write all of them for each of subtracting, squaring and adding up.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise

import numpy as np
import torch

CHUNK = 1 << 16  # values that torch's operations work on at a time: they stay in the cache
PARTED = 1 << 17  # values from which rows are shared between threads


def rows_of(output: torch.Tensor) -> torch.Tensor:
    """A conv's output (N, C, H, W) as rows (pixel, channel), at least float32."""
    if output.device.type == "mps":  # which has no float64
        output = output.cpu()
    rows = output.movedim(1, -1).reshape(-1, output.shape[1])
    return rows.to(torch.promote_types(rows.dtype, torch.float32))


def summed(rows: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    """Float64 (2, channel): sums of the rows less the shift (channel,), float64, and of their squares.

    >>> summed(torch.tensor([[1.0], [4.0]]), torch.ones(1).double()).tolist()
    [[3.0], [9.0]]
    """
    if rows.device.type != "cpu":
        return _by_torch(_powers, rows, shift)
    from asr_core.measure.loops import summed  # numba loads a quarter of a second

    return _by_loop(summed, rows, shift)


def summed_beside(
    rows: torch.Tensor, shift: torch.Tensor, others: torch.Tensor, other_shift: torch.Tensor
) -> torch.Tensor:
    """Float64 (4, channel): the same, then of the difference, rows less others, each less its shift.

    >>> rows, others, zero = torch.tensor([[1.0], [4.0]]), torch.tensor([[1.0], [2.0]]), torch.zeros(1).double()
    >>> summed_beside(rows, zero, others, zero).tolist()
    [[5.0], [17.0], [2.0], [4.0]]
    """
    if rows.device.type != "cpu":
        return _by_torch(_powers_beside, rows, shift, others, other_shift)
    from asr_core.measure.loops import summed_beside

    return _by_loop(summed_beside, rows, shift, others, other_shift)


def _by_loop(loop: Callable[..., np.ndarray], *given: torch.Tensor) -> torch.Tensor:
    """What `loop` makes of rows, shift, rows, shift, ..., large ones shared between threads.

    As many as half of torch's: those go on spinning for a while after each of its operations, and hold their cores.
    """
    arrays = [each.contiguous().numpy() for each in given]
    threads = max(1, torch.get_num_threads() // 2) if arrays[0].size >= PARTED else 1
    if threads == 1:
        return torch.from_numpy(loop(*arrays))
    edges = np.linspace(0, len(arrays[0]), threads + 1).astype(int)
    parts = [[each[start:end] if each.ndim > 1 else each for each in arrays] for start, end in pairwise(edges)]
    others = [_pool(threads).submit(loop, *part) for part in parts[1:]]
    return torch.from_numpy(sum((each.result() for each in others), loop(*parts[0])))


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="sums")


def _by_torch(powers: Callable[..., tuple[torch.Tensor, ...]], *given: torch.Tensor) -> torch.Tensor:
    """The same by torch's operations, chunk by chunk."""
    shifts, found = [each.double() for each in given[1::2]], []
    size = max(1, CHUNK // given[0].shape[1])
    for parts in zip(*(each.split(size) for each in given[::2]), strict=True):
        values = [part.double() - shift for part, shift in zip(parts, shifts, strict=True)]
        found.append(torch.stack(powers(*values)))
    return torch.stack(found).sum(0)


def _powers(values: torch.Tensor) -> tuple[torch.Tensor, ...]:
    return values.sum(0), values.square().sum(0)


def _powers_beside(values: torch.Tensor, others: torch.Tensor) -> tuple[torch.Tensor, ...]:
    return *_powers(values), *_powers(values - others)
