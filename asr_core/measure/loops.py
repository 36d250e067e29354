"""Sums over rows in one pass, compiled (by numba): each value is read once, made float64, and added up per channel."""

from math import gcd
from typing import Any

import numba
import numpy as np

STEP = 4  # rows that are summed before they go to the totals
WIDE = 64  # channels from which a loop over them is fast; of fewer, rows are put beside each other
FAST = {"reassoc", "contract", "nsz", "arcp"}  # not "nnan" and "ninf": what diverged stays NaN or infinite


def _compiled(loop: Any) -> Any:
    """`loop`, compiled at its first call; kept on the disk, unless there is no folder that can be written to."""
    try:
        return numba.njit(nogil=True, fastmath=FAST, cache=True)(loop)
    except RuntimeError:
        return numba.njit(nogil=True, fastmath=FAST)(loop)


@numba.njit(inline="always")
def _beside(rows):
    return gcd(len(rows), max(1, WIDE // rows.shape[1]))


@numba.njit(inline="always")
def _wide(rows, beside):
    return rows.reshape(len(rows) // beside, beside * rows.shape[1])


@numba.njit
def _repeated(shift, beside):
    found = np.empty(beside * len(shift))
    for place in range(len(found)):
        found[place] = shift[place % len(shift)]
    return found


@numba.njit
def _folded(totals, channels):
    found = np.zeros((len(totals), channels))
    for row in range(len(totals)):
        for place in range(totals.shape[1]):
            found[row, place % channels] += totals[row, place]
    return found


@numba.njit(fastmath=FAST, inline="always")
def _add(totals, first, count, rows, shift):
    for channel in range(rows.shape[1]):
        total = square = 0.0
        for row in range(first, first + count):
            value = np.float64(rows[row, channel]) - shift[channel]
            total += value
            square += value * value
        totals[0, channel] += total
        totals[1, channel] += square


@numba.njit(fastmath=FAST, inline="always")
def _add_beside(totals, first, count, rows, shift, others, other_shift):
    for channel in range(rows.shape[1]):
        total = square = apart = apart_square = 0.0
        for row in range(first, first + count):
            value = np.float64(rows[row, channel]) - shift[channel]
            difference = value - (np.float64(others[row, channel]) - other_shift[channel])
            total += value
            square += value * value
            apart += difference
            apart_square += difference * difference
        totals[0, channel] += total
        totals[1, channel] += square
        totals[2, channel] += apart
        totals[3, channel] += apart_square


@_compiled
def summed(rows, shift):
    """Float64 (2, channel): sums of rows (row, channel) less a shift (channel,), and of their squares."""
    channels, beside = rows.shape[1], _beside(rows)
    rows, shift = _wide(rows, beside), _repeated(shift, beside)
    totals = np.zeros((2, rows.shape[1]))
    whole = len(rows) // STEP * STEP
    for first in range(0, whole, STEP):
        _add(totals, first, STEP, rows, shift)
    for first in range(whole, len(rows)):
        _add(totals, first, 1, rows, shift)
    return _folded(totals, channels)


@_compiled
def summed_beside(rows, shift, others, other_shift):
    """Float64 (4, channel): the same, and of the difference to others less their shift, and of its squares."""
    channels, beside = rows.shape[1], _beside(rows)
    rows, others = _wide(rows, beside), _wide(others, beside)
    shift, other_shift = _repeated(shift, beside), _repeated(other_shift, beside)
    totals = np.zeros((4, rows.shape[1]))
    whole = len(rows) // STEP * STEP
    for first in range(0, whole, STEP):
        _add_beside(totals, first, STEP, rows, shift, others, other_shift)
    for first in range(whole, len(rows)):
        _add_beside(totals, first, 1, rows, shift, others, other_shift)
    return _folded(totals, channels)
