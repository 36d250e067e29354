"""Where many computations run: anything with the interface of concurrent.futures. Imports no torch."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Executor, Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from importlib import import_module
from multiprocessing import get_context
from typing import Any

from asr_core.errors import AsrError, SpecError
from asr_core.runtime import SCHEDULER

PATIENCE = 30  # seconds until a scheduler counts as absent


@contextmanager
def opened(kind: str, workers: int = 1, scheduler: str | None = None) -> Iterator[Executor]:
    """An executor: `workers` local processes, or the Dask cluster at `scheduler` or ASR_DASK_SCHEDULER, where a task
    takes one GPU if every worker declares some.

    Left by an error or Ctrl-C, what has not begun is given up. Raises SpecError where there is no cluster, AsrError
    where a process ended of itself.
    """
    if kind == "local":
        with _ending_well(ProcessPoolExecutor(workers, get_context("spawn")), wait=True) as pool:
            yield pool
        return
    # closing: entered, a client could be left only in the context, such as the thread, where it was
    with closing(_client(scheduler or os.environ.get(SCHEDULER))) as client:
        known = client.scheduler_info(n_workers=-1)["workers"].values()
        every = bool(known) and all(worker["resources"].get("GPU", 0) >= 1 for worker in known)
        options = {"resources": {"GPU": 1}} if every else {}
        with _ending_well(client.get_executor(pure=False, **options), wait=False) as pool:
            yield pool


@contextmanager
def _ending_well(pool: Executor, wait: bool) -> Iterator[Executor]:
    """A pool that is shut down; after an error what has not begun is given up, and with `wait` what runs is awaited."""
    try:
        yield pool
    except BaseException as error:
        pool.shutdown(wait=wait, **({"cancel_futures": True} if wait else {}))  # Dask's cancels where it need not wait
        if isinstance(error, (BrokenProcessPool, CancelledError)) or type(error).__module__.startswith("distributed"):
            what = str(error) or type(error).__name__
            raise AsrError(
                f"a worker ended before its work was done ({what}), perhaps for want of memory; what was finished is "
                "stored, run again to go on."
            ) from error
        raise
    pool.shutdown()


def _client(address: str | None) -> Any:
    """Of the cluster at `address`."""
    if not address:
        raise SpecError(f"the executor dask needs --scheduler ADDRESS or {SCHEDULER}, such as tcp://10.0.0.1:8786.")
    try:
        from distributed import Client
    except ImportError:
        raise SpecError("the executor dask needs Dask: pip install distributed.") from None
    try:
        return Client(address, timeout=PATIENCE)
    except (OSError, ValueError) as error:
        raise SpecError(f"no Dask scheduler answers at {address} ({error}); start `dask scheduler` there.") from None


def by_name(module: str, function: str, *arguments: Any) -> Any:
    """Call a function that the process which submits the call does not import, as that would load torch."""
    return getattr(import_module(module), function)(*arguments)


def all_of(pool: Executor, function: Callable[..., Any], calls: list[tuple], heard: Callable[[int, Any], None]) -> None:
    """Call `function` with each of `calls`; heard: told, as they end, the place of a call and its AsrError or None.

    Any other error ends the rest.
    """
    futures: dict[Future, int] = {pool.submit(function, *call): place for place, call in enumerate(calls)}
    for future in as_completed(futures):
        error = future.exception()
        if error is not None and not isinstance(error, AsrError):
            raise error
        heard(futures[future], error)
