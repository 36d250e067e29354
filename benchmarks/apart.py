"""Work in a process of its own, which begins with nothing of this one."""

import multiprocessing
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import torch


def apart(function: Callable, *arguments) -> Any:
    """What `function` returns in a process of its own, of as many threads, which knows nothing of how ours keeps
    memory and starts others as any script does."""
    given = torch.get_num_threads(), multiprocessing.get_start_method()
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), _as_a_script, given) as other:
        with nobodys_main():
            found = other.submit(function, *arguments)
        return found.result()


def _as_a_script(threads: int, start_method: str) -> None:
    torch.set_num_threads(threads)
    multiprocessing.set_start_method(start_method, force=True)  # else the loader's workers are spawned, as this one is


@contextmanager
def nobodys_main() -> Iterator[None]:
    """A child begins with its parent's __main__: not with a page that a test runs there."""
    own = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = own
