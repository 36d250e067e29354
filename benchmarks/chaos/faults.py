"""Every fault, how often it is tried, and how often in a hurry."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from benchmarks.chaos import clocks, cluster, crowds, disks, evictions, flips, hostile, kills, pair, received
from benchmarks.chaos.ground import Ground
from benchmarks.chaos.tally import Tally


@dataclass(frozen=True)
class Fault:
    """What tries it; count: of the report, quick: to see that it works."""

    function: Callable[[Ground, int, Random], Tally]
    count: int
    quick: int


FAULTS = {
    "worker": Fault(kills.worker, 100, 2),
    "server": Fault(kills.server, 20, 1),
    "full-disk": Fault(disks.full, 30, 1),
    "read-only": Fault(disks.frozen, 5, 1),
    "two-servers": Fault(pair.locked, 5, 1),
    "no-locks": Fault(pair.unlocked, 5, 1),
    "clock-jobs": Fault(clocks.under_jobs, 200, 5),
    "clock-ages": Fault(clocks.ages, 200, 10),
    "dask-worker": Fault(cluster.worker, 5, 1),
    "dask-scheduler": Fault(cluster.restarted, 3, 1),
    "bits": Fault(flips.bits, 1000, 24),
    "sessions": Fault(crowds.exploring, 30, 2),
    "starting": Fault(crowds.starting, 10, 2),
    "hostile": Fault(hostile.addresses, 500, 8),
    "uploads": Fault(received.uploads, 100, 20),
    "eviction": Fault(evictions.bounded, 5, 1),
    "eviction-run": Fault(evictions.unprotected, 5, 1),
}
