"""What goes wrong inside processes that `benchmarks.chaos` starts: Python imports this first, as it is on PYTHONPATH.

The environment says what: CHAOS_NO_LOCKS, CHAOS_CLOCK (a file with the seconds that the clock is off), CHAOS_PUTS (a
file that gets a line for each entry that is computed).
"""

import os
import time
from contextlib import contextmanager


def without_locks() -> None:
    """flock says yes and does nothing, as on some shared disks."""
    import fcntl

    fcntl.flock = lambda *_: None


def with_clock(path: str) -> None:
    """The clock is off by what stands in the file, and the time of boot that is reckoned from it too."""
    clock_of(path).__enter__()


@contextmanager
def clock_of(path: str):
    """The same for a while."""
    import psutil

    def off() -> float:
        try:
            with open(path) as file:
                return float(file.read())
        except (OSError, ValueError):  # just being written
            return 0.0

    now, boot = time.time, psutil._psplatform.boot_time
    time.time = lambda: now() + off()
    psutil._psplatform.boot_time = psutil.boot_time = lambda: boot() + off()
    try:
        yield
    finally:
        time.time, psutil._psplatform.boot_time, psutil.boot_time = now, boot, boot


def with_puts(path: str) -> None:
    """Each entry that this process computes is a line STAGE/KEY of the file."""
    from asr_core.store import Store

    put = Store.put

    def heard(self, stage, key, *rest, **named):
        with open(path, "a") as file:
            file.write(f"{stage}/{key}\n")
        return put(self, stage, key, *rest, **named)

    Store.put = heard


if os.environ.get("CHAOS_NO_LOCKS"):
    without_locks()
if os.environ.get("CHAOS_CLOCK"):
    with_clock(os.environ["CHAOS_CLOCK"])
if os.environ.get("CHAOS_PUTS"):
    with_puts(os.environ["CHAOS_PUTS"])
