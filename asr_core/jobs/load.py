"""What else runs on this machine, as a computation feels it. Imports no torch."""

import os
from contextlib import suppress

import psutil

from asr_core.runtime import cores, worker_threads

MOST = 10.0  # the largest factor that a load average is believed


def slowdown() -> float:
    """Seconds that a worker takes for what it does in one second alone, by the load of the last minute: at least 1.

    >>> 1 <= slowdown() <= MOST
    True
    """
    load = 0.0
    with suppress(OSError):  # no such number in some containers
        load = psutil.getloadavg()[0]
    others = load / (os.cpu_count() or 1)  # for each core, also where this process may use a few only
    return min(MOST, max(1.0, others + worker_threads() / cores()))
