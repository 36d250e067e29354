"""Workers that are forked from a process with torch loaded: a hundred kills without a hundred imports of it.

They run what `python -m asr_core.jobs.worker` runs, as processes of their own.
"""

import multiprocessing
import os
import subprocess
from multiprocessing import forkserver

from asr_core.jobs import worker
from benchmarks.apart import nobodys_main

LOADED = ["asr_core.pipeline.run", "asr_core.jobs.tracking", "asr_core.jobs.probe", "benchmarks.chaos.forked"]


class Child:
    """A forked worker as a `subprocess.Popen`."""

    def __init__(self, arguments: list[str]):
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(LOADED)
        forkserver.ensure_running()
        self._process = context.Process(target=_work, args=(arguments[:2],), daemon=True)
        with nobodys_main():
            self._process.start()
        self.pid = self._process.pid

    def poll(self) -> int | None:
        """The exit status, None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """The exit status; raises subprocess.TimeoutExpired."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("worker", timeout or 0)
        return self._process.exitcode

    def terminate(self) -> None:
        """SIGTERM."""
        self._process.terminate()

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()


def _work(arguments: list[str]) -> None:
    """In the child: the process that forked it is its parent, and it is as polite as that."""
    worker.NICE = 0
    raise SystemExit(worker.main(*arguments, str(os.getppid())))
