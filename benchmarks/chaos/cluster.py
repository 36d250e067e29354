"""A Dask worker lost in the middle of a task, and a scheduler that is restarted."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from random import Random

from asr_core.errors import AsrError
from asr_core.jobs import executors
from asr_core.pipeline import run
from asr_core.runtime import Runtime
from asr_core.store import Store
from asr_core.store.entries import PROJECT
from benchmarks.chaos.ground import PATIENCE, Ground, entries, grid, swept, tables, until
from benchmarks.chaos.tally import Tally

SETTINGS = 4
START = 5  # stored entries from which a sweep counts as under way
MOMENT = 3.0  # seconds after that in which something happens


def _absent(tally: Tally) -> bool:
    if find_spec("distributed") is None:
        tally.skipped = "Dask is optional and not installed here: pip install distributed"
    return tally.skipped is not None


def worker(ground: Ground, count: int, chance: Random) -> Tally:
    """kill -9 of a Dask worker in the middle of a task: another one takes the task up."""
    tally = Tally("a Dask worker is lost in the middle of a task")
    for _ in range(0 if _absent(tally) else count):
        store, before = ground.fresh(), set[str]()
        with scheduler() as (address, _), workers(address) as found:

            def lose_one(found=found, store=store, before=before) -> None:
                time.sleep(chance.uniform(0, MOMENT))
                before |= entries(store)
                chance.choice(found).kill()

            tally.broken += [f"the sweep ended: {error}" for error in _swept_by(store, address, lose_one)]
        _judge(tally, ground, store, before)
    return tally


def restarted(ground: Ground, count: int, chance: Random) -> Tally:
    """kill -9 of the scheduler in the middle of a sweep, and a new one: run again, the sweep goes on."""
    tally = Tally("a Dask scheduler is killed and restarted")
    for _ in range(0 if _absent(tally) else count):
        store, before = ground.fresh(), set[str]()
        with scheduler() as (address, process), workers(address):

            def kill(process=process, store=store, before=before) -> None:
                time.sleep(chance.uniform(0, MOMENT))
                before |= entries(store)
                process.kill()

            raised = _swept_by(store, address, kill)
        tally.broken += [f"no one line of it: {error!r}" for error in raised if not isinstance(error, AsrError)]
        if not raised and not all(tables(store, spec) for spec in grid(SETTINGS)):
            tally.broken.append("the sweep ended without a word")
        with scheduler() as (address, _), workers(address):
            tally.broken += [f"the second sweep ended: {error}" for error in _swept_by(store, address, lambda: None)]
        _judge(tally, ground, store, before)
    return tally


@contextmanager
def scheduler(port: int = 0) -> Iterator[tuple[str, subprocess.Popen]]:
    """A scheduler of its own, on a free port or this one: its address and process."""
    port = port or _free_port()
    with _dask("scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard") as process:
        until(lambda: _listens(port), "a Dask scheduler")
        yield f"tcp://127.0.0.1:{port}", process


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextmanager
def workers(address: str, count: int = 2) -> Iterator[list[subprocess.Popen]]:
    """Workers of one thread, in processes that nobody starts again."""
    words = ("worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard", "--memory-limit", "0")
    with ExitStack() as stack:
        yield [stack.enter_context(_dask(*words)) for _ in range(count)]


@contextmanager
def _dask(kind: str, *words: str) -> Iterator[subprocess.Popen]:
    paths = os.pathsep.join(filter(None, (str(PROJECT), os.environ.get("PYTHONPATH"))))
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", *words]
    process = subprocess.Popen(command, env=os.environ | {"PYTHONPATH": paths}, **quiet)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as asked:
        return asked.connect_ex(("127.0.0.1", port)) == 0


def _swept_by(store: Store, address: str, fault: Callable[[], None]) -> list[Exception]:
    """Compute the grid on the cluster, `fault()` done in the middle; what that raised, at once and in the end."""
    specs, raised = grid(SETTINGS), list[Exception]()
    calls = [(spec, store.root.resolve(), Runtime(threads=1)) for spec in specs]
    with ThreadPoolExecutor(1) as thread:
        done = thread.submit(_compute, address, calls)
        until(lambda: len(entries(store)) > START or done.done(), "the first stages")
        fault()
        raised += [error] if (error := done.exception(PATIENCE)) else []
    return raised


def _compute(address: str, calls: list[tuple]) -> None:
    with executors.opened("dask", scheduler=address) as pool:
        executors.all_of(pool, run.compute, calls, lambda place, error: None)


def _judge(tally: Tally, ground: Ground, store: Store, before: set[str]) -> None:
    tally.tries += 1
    lost, wrong = ground.judged(store, grid(SETTINGS))
    left = swept(store)
    tally.lost += lost + len(before - entries(store))
    tally.wrong, tally.debris = tally.wrong + wrong, tally.debris + len(left)
    tally.broken += [f"left behind: {name}" for name in left]
