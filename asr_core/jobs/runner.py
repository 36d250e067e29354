"""Starts, watches and stops the worker processes of jobs. Imports no torch."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import asdict

import psutil

from asr_core.errors import AsrError, StoreError
from asr_core.jobs import estimate, jobs
from asr_core.jobs.jobs import Job, Wanted
from asr_core.runtime import Runtime, worker_threads
from asr_core.spec.experiment import ExperimentSpec
from asr_core.store import Store, disk_errors
from asr_core.store.entries import PROJECT, write_json

KEPT = 50  # ended jobs whose folders stay
GRACE = 0.6  # seconds from SIGTERM to SIGKILL
FORGET = 30  # seconds until a network that could not be measured may be tried again


class Runner:
    """Starts, watches and stops workers for one store. One per server process; safe for its threads."""

    def __init__(self, store: Store):
        self.store = store
        self._children: dict[str, subprocess.Popen] = {}
        self._probe: tuple[str, subprocess.Popen] | None = None  # what is measured, and by which process
        self._refused: dict[str, tuple[float, str]] = {}
        self._guard = threading.Lock()

    def submit(self, wanted: Wanted, where: Runtime | None = None) -> Job:
        """The job that computes `wanted`: the living one if there is one, else a new worker is started.

        Raises StoreError where nothing can be written.
        """
        with self.store.lock("jobs"), disk_errors(self.store.root):
            job = jobs.read(self.store, wanted.id)
            if job and job.live and self._alive(job):
                return job
            self._forget_old()
            self._start(wanted.id, {"wanted": wanted.as_dict(), "runtime": asdict(where or Runtime())})
        return jobs.read(self.store, wanted.id)

    def _start(self, job_id: str, asked: dict) -> None:
        folder = self.store.jobs / job_id
        if before := self._children.pop(job_id, None):
            before.kill()  # its last word is written, or its folder is gone
            before.wait()
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        write_json(folder / "spec.json", asked)
        with open(folder / "log.txt", "wb") as log:
            child = self._spawn(["run", str(self.store.root.resolve()), job_id, str(os.getpid())], stdout=log)
        self._children[job_id] = child
        born = psutil.Process(child.pid).create_time()
        status = {"state": "queued", "submitted": time.time(), "pid": child.pid, "born": born}
        write_json(folder / "status.json", status)

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

    def _alive(self, job: Job) -> bool:
        child = self._children.get(job.id)
        return child.poll() is None if child and child.pid == job.pid else jobs.exists(job)

    def get(self, job_id: str) -> Job | None:
        """The job as it is now; one whose worker died without a word has failed, with the reason."""
        job = jobs.read(self.store, job_id)
        if child := self._children.get(job_id):
            child.poll()  # an ended child must be asked, or it stays a zombie
        if job is None or not job.live or self._alive(job):
            return job
        with self.store.lock("jobs"):
            if jobs.read(self.store, job_id) == job:  # not its last word after all
                jobs.change(self.store, job_id, state="failed", finished=time.time(), reason=self._cause(job))
        self.store.sweep()
        return jobs.read(self.store, job_id)

    def _cause(self, job: Job) -> str:
        child = self._children.get(job.id)
        status = child.returncode if child and child.pid == job.pid else None
        if status is not None and status < 0:
            return f"the worker was killed (signal {-status})"
        words = job.log(1)
        return words or "the worker is gone: it was killed, or the server that started it stopped"

    def all(self) -> list[Job]:
        """All jobs as they are now, the last submitted one first."""
        return [job for found in jobs.listed(self.store) if (job := self.get(found.id))]

    def cancel(self, job_id: str) -> Job | None:
        """Stop the job's worker within a second. Finished stages stay stored; nothing half written stays."""
        job = self.get(job_id)
        if job is None or not job.live:
            return job
        self._signal(job, signal.SIGTERM, GRACE, last_word=True)
        self._signal(job, signal.SIGKILL, 2.0, last_word=False)
        with self.store.lock("jobs"):
            if (now := jobs.read(self.store, job_id)) and now.live:
                jobs.change(self.store, job_id, state="cancelled", finished=time.time())
        self.store.sweep()
        return jobs.read(self.store, job_id)

    def _signal(self, job: Job, number: int, patience: float, last_word: bool) -> None:
        """Send a signal and wait for the worker's end, or just for its last word: what follows may be cut short."""
        with suppress(ProcessLookupError):
            if self._alive(job):
                os.kill(job.pid, number)
        until = time.monotonic() + patience
        while self._alive(job) and time.monotonic() < until:
            if last_word and (now := jobs.read(self.store, job.id)) and not now.live:
                return
            time.sleep(0.02)

    def retry(self, job_id: str) -> Job:
        """Run an ended job again; it goes on from what is stored. Raises StoreError for an unknown one."""
        job = self.get(job_id)
        if job is None:
            raise StoreError(f"no job {job_id} is known here; submit its experiment again.")
        return self.submit(*job.asked())

    def _forget_old(self) -> None:
        """Remove the folders of all but the last ended jobs."""
        ended = [job for job in jobs.listed(self.store) if not job.live]
        for job in sorted(ended, key=lambda job: job.finished or job.submitted)[: max(0, len(ended) - KEPT)]:
            shutil.rmtree(job.folder, ignore_errors=True)

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
