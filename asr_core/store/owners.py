"""Whose a file or folder in a store is that one process writes: told by its name.

The machine (its name, its boot and its process ids' namespace, so that two containers are two machines) and the
process, with when that began, since ids are given again. Imports nothing of the project.
"""

import hashlib
import os
import socket
import sys
import uuid
from functools import cache
from pathlib import Path

import psutil

PART = ".part-"  # begins the name of a file that is written beside the one it will replace


@cache
def machine() -> str:
    """12 hex digits of where this process's id means something: the host's name, its boot, and on Linux the namespace
    of its process ids, since two containers have the same numbers for other processes."""
    known = [socket.gethostname()]
    try:
        known += [Path("/proc/sys/kernel/random/boot_id").read_text().strip(), str(os.stat("/proc/self/ns/pid").st_ino)]
    except OSError:  # no Linux
        known.append(str(round(psutil.boot_time() / 60)))
    return hashlib.sha256("\n".join(known).encode()).hexdigest()[:12]


def born(pid: int) -> float:
    """When a process began, in seconds; on Linux since the boot, which no jump of the clock changes.

    Raises psutil.NoSuchProcess.
    """
    began = psutil.Process(pid).create_time()
    return began - psutil.boot_time() if sys.platform == "linux" else began


def lives(pid: int, when: float) -> bool:
    """Whether a process of this machine that began at `born` is still there: it, and no later one with its number."""
    try:
        return abs(born(pid) - when) < 2 and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def owner() -> str:
    """A name that nobody else has and that tells whose it is."""
    return f"{machine()}-{_process(os.getpid())}-{uuid.uuid4().hex[:8]}"


@cache
def _process(own: int) -> str:
    return f"{own}-{born(own):.0f}"
