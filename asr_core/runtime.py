"""Where a computation runs: device, threads, paths. Never part of what an experiment is."""

import ctypes
import os
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from asr_core.checks import as_number, choose, whole
from asr_core.errors import SpecError

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # names of malloc.h
EXECUTORS = ("local", "dask")  # where many computations run
EXECUTOR = "ASR_EXECUTOR"  # which of them the dashboard's jobs run on
SCHEDULER = "ASR_DASK_SCHEDULER"  # address of a Dask cluster, where no option gives one
ONE_AT_A_TIME = threading.Lock()  # torch's threads and seeds, and what is printed, belong to the process
DEVICES = ("auto", "cpu", "cuda", "mps")


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """device: auto, cpu, cuda or mps. threads: of the CPU (None: torch's choice). data_dir: where
    downloads go. weights: the user's state_dict, for a dense network of source `file`."""

    device: str = "auto"
    threads: int | None = None
    data_dir: str | None = None
    weights: str | None = None

    def __post_init__(self):
        choose("device", self.device, DEVICES)
        if self.threads is not None:
            whole("threads", self.threads, 1)

    def start(self):
        """Set the threads and return the torch device; raises SpecError if it is not on this machine."""
        import torch

        _keep_freed_memory()
        if self.threads:
            torch.set_num_threads(self.threads)
        torch.backends.cudnn.allow_tf32 = False  # else convs on CUDA round their inputs to 10 bits
        here = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
        if self.device == "auto":
            return torch.device(next(name for name in here if here[name]))
        if not here[self.device]:
            present = ", ".join(name for name in here if here[name])
            raise SpecError(f"device {self.device!r} is not on this machine; here: {present}.")
        return torch.device(self.device)


def _keep_freed_memory() -> None:
    """Have glibc keep up to 128 MiB of freed memory at its end, on the CPU the outputs of a few layers: returned after
    each layer, their pages would be asked for and cleared again, a quarter of the time of a small network's pass.

    `give_back_memory` returns it between stages. Elsewhere nothing happens."""
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(TRIM_THRESHOLD, 128 << 20)
        libc.mallopt(MMAP_THRESHOLD, 32 << 20)  # its own default on the way; setting one alone would fix the other low


def give_back_memory() -> None:
    """Have glibc return all memory that is free now, between other pieces too; elsewhere nothing happens."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def facts(where) -> dict:
    """What a manifest records of where a number was computed."""
    import torch

    return {"device": where.type, "precision": "float32", "threads": torch.get_num_threads()}


def cores() -> int:
    """How many cores this process may use: fewer than the machine has, in a container."""
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed else os.cpu_count() or 1


def worker_threads() -> int:
    """CPU threads of a worker process: one fewer than the cores, so that clicks stay quick, shared by ASR_WORKERS."""
    return max(1, (cores() - 1) // from_environment("ASR_WORKERS", 1))


def from_environment(name: str, default: int, least: int = 1) -> int:
    """A whole number that the environment may give; raises SpecError for what is none, or is less than `least`."""
    given = os.environ.get(name)
    return default if not given else whole(name, as_number(given), least)


def clock() -> float:
    """Seconds that go on as `time.perf_counter`, but stand while other programs keep this thread off the processor.

    Windows of a fraction of a second would else say more of the others than of this machine. Only Linux tells.
    """
    try:
        waited = int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9
    except (OSError, ValueError):
        waited = 0.0
    return time.perf_counter() - waited
