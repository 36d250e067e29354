"""Measures this machine's speeds in a process of its own. Imports no torch."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

from asr_core.errors import AsrError
from asr_core.jobs import estimate
from asr_core.runtime import worker_threads
from asr_core.spec.experiment import ExperimentSpec
from asr_core.store import Store
from asr_core.store.entries import PROJECT

FORGET = 30  # seconds until a network that could not be measured may be tried again


class Meter:
    """Measures how fast this machine runs a network, one at a time. Safe for several threads."""

    def __init__(self, store: Store):
        self.store = store
        self._probe: tuple[str, subprocess.Popen] | None = None  # what is measured, and by which process
        self._refused: dict[str, tuple[float, str]] = {}
        self._guard = threading.RLock()

    def _spawn(self, arguments: list[str], **streams) -> subprocess.Popen:
        """A worker in a session of its own, so that Ctrl-C in the server's terminal goes to the server only."""
        paths = os.pathsep.join(filter(None, (str(PROJECT), os.environ.get("PYTHONPATH"))))
        threads = {"OMP_NUM_THREADS": str(worker_threads()), "OMP_WAIT_POLICY": "passive"}
        return subprocess.Popen(
            [sys.executable, "-m", "asr_core.jobs.worker", *arguments],
            env=os.environ | threads | {"PYTHONPATH": paths, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            **streams,
        )

    def measure(self, experiment: ExperimentSpec) -> None:
        """Measure this machine's speeds for the experiment in a process of its own; `speed` then tells them.

        One process measures at a time, for `estimate.PATIENCE` seconds at most. Raises AsrError while it measures
        something else.
        """
        name = _measured_name(experiment)
        with self._guard:
            self._see_probe()
            if self._probe is not None and self._probe[0] != name:
                raise AsrError("Another network is being measured just now, one at a time. Ask again in some seconds.")
            if self._probe is None:
                self._refused.pop(name, None)
                arguments = ["speed", str(self.store.root.resolve()), json.dumps(experiment.as_dict())]
                self._probe = name, self._spawn(arguments, stdout=subprocess.PIPE)

    def measuring(self, experiment: ExperimentSpec) -> bool:
        """Whether a process measures the speeds for the experiment just now."""
        with self._guard:
            self._see_probe()
            return self._probe is not None and self._probe[0] == _measured_name(experiment)

    def speed(self, experiment: ExperimentSpec) -> estimate.Speed | None:
        """This machine's speeds for the experiment as they are known; None where nothing has measured them. Starts no
        process.

        Raises AsrError, for some seconds, if they were asked for and could not be measured, for example as the network
        cannot be built.
        """
        with self._guard:
            self._see_probe()
            found = estimate.speed(experiment, self.store)
            failed, reason = self._refused.get(_measured_name(experiment), (-FORGET, ""))
            if found is None and time.monotonic() - failed < FORGET:
                raise AsrError(reason)
            return found

    def _see_probe(self) -> None:
        """Let go of a measuring process that has ended; why it failed is remembered."""
        if self._probe is None or self._probe[1].poll() is None:
            return
        (name, probe), self._probe = self._probe, None
        words = probe.communicate()[0].decode(errors="replace").strip().splitlines()
        if probe.returncode == -signal.SIGALRM:
            words = [
                f"Measuring this network took longer than {estimate.PATIENCE} s and was stopped; compute it "
                "without an estimate."
            ]
        if probe.returncode != 0:
            reason = words[-1] if words else "the speed of this machine could not be measured"
            self._refused[name] = time.monotonic(), reason


def _measured_name(experiment: ExperimentSpec) -> str:
    return f"{estimate.network_name(experiment)} {estimate.images_name(experiment.data)}"
