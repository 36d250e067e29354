"""Experiments computed outside the web process: one worker process per job, all that is known of it on disk.

A job is a folder cache/jobs/ID with spec.json, status.json, progress.jsonl and log.txt. Its ID comes
from the experiment alone, so everybody who asks for the same thing shares one computation. Workers
(`asr_core.worker`) compute one at a time and wait for each other. Imports no torch.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from asr_core import estimate
from asr_core.errors import AsrError, StoreError
from asr_core.runtime import Runtime, worker_threads
from asr_core.spec import ExperimentSpec, from_dict, key
from asr_core.store import PROJECT, Store, write_json

LIVE = ("queued", "running")
STATES = (*LIVE, "finished", "failed", "cancelled")
KEPT = 50  # ended jobs whose folders stay
GRACE = 0.6  # seconds from SIGTERM to SIGKILL
TAIL = 8192  # bytes read from the end of a log
FORGET = 30  # seconds until a network that could not be measured is tried again


@dataclass(frozen=True)
class Job:
    """What status.json says. Times are Unix seconds; `born` is the worker's creation time; `reason` says
    in one line why a job failed or was cancelled."""

    id: str
    folder: Path
    state: str
    submitted: float
    pid: int
    born: float
    started: float | None = None
    finished: float | None = None
    reason: str | None = None

    @property
    def live(self) -> bool:
        """Whether it waits or computes."""
        return self.state in LIVE

    def asked(self) -> tuple[ExperimentSpec, Runtime]:
        """What is computed, and where; raises SpecError if a later version cannot read it."""
        found = json.loads((self.folder / "spec.json").read_text())
        return from_dict(found["experiment"]), Runtime(**found["runtime"])

    def progress(self) -> dict | None:
        """The last line of progress (see `asr_core.tracking`), or None before the first stage."""
        whole = _tail(self.folder / "progress.jsonl").rpartition("\n")[0]  # the last line may be half written
        return json.loads(whole.splitlines()[-1]) if whole else None

    def log(self, lines: int = 20) -> str:
        """The last lines that the worker printed."""
        return "\n".join(_tail(self.folder / "log.txt").splitlines()[-lines:])


def _tail(path: Path) -> str:
    """The end of a file, from a whole line on; empty without a file."""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - TAIL))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
    return text if size <= TAIL else text.partition("\n")[2]


def read(store: Store, job_id: str) -> Job | None:
    """The job as its status.json says, or None; ids that are none become no path."""
    if not re.fullmatch("[0-9a-f]{24}", job_id):
        return None
    folder = store.jobs / job_id
    try:
        return Job(job_id, folder, **json.loads((folder / "status.json").read_text()))
    except (OSError, ValueError, TypeError):  # never there, going away, or of another version
        return None


def listed(store: Store) -> list[Job]:
    """All jobs, the last submitted one first."""
    found = [job for folder in store.jobs.glob("*") if (job := read(store, folder.name))]
    return sorted(found, key=lambda job: job.submitted, reverse=True)


def update(store: Store, job_id: str, **changes) -> None:
    """Change fields of a job's status; for its worker."""
    with store.lock("jobs"):
        _change(store, job_id, **changes)


def _change(store: Store, job_id: str, **changes) -> None:
    path = store.jobs / job_id / "status.json"
    write_json(path, json.loads(path.read_text()) | changes)


def exists(job: Job) -> bool:
    """Whether the job's worker process is there: the same process, not another one with its number."""
    try:
        process = psutil.Process(job.pid)
        return abs(process.create_time() - job.born) < 2 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class Runner:
    """Starts, watches and stops workers for one store. One per server process; safe for its threads."""

    def __init__(self, store: Store):
        self.store = store
        self._children: dict[str, subprocess.Popen] = {}
        self._probes: dict[str, subprocess.Popen] = {}
        self._refused: dict[str, tuple[float, str]] = {}
        self._guard = threading.Lock()

    def submit(self, experiment: ExperimentSpec, where: Runtime = Runtime()) -> Job:
        """The job of `experiment`: the living one if there is one, else a new worker is started."""
        job_id = key("job", experiment)
        with self.store.lock("jobs"):
            job = read(self.store, job_id)
            if job and job.live and self._alive(job):
                return job
            self._forget_old()
            self._start(job_id, {"experiment": asdict(experiment), "runtime": asdict(where)})
        return read(self.store, job_id)

    def _start(self, job_id: str, asked: dict) -> None:
        folder = self.store.jobs / job_id
        if before := self._children.pop(job_id, None):
            before.wait()  # it has written its last word
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
            [sys.executable, "-m", "asr_core.worker", *arguments],
            env=os.environ | threads | {"PYTHONPATH": paths, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT, start_new_session=True, **streams,
        )  # fmt: skip

    def _alive(self, job: Job) -> bool:
        child = self._children.get(job.id)
        return child.poll() is None if child and child.pid == job.pid else exists(job)

    def get(self, job_id: str) -> Job | None:
        """The job as it is now; one whose worker died without a word has failed, with the reason."""
        job = read(self.store, job_id)
        if child := self._children.get(job_id):
            child.poll()  # an ended child must be asked, or it stays a zombie
        if job is None or not job.live or self._alive(job):
            return job
        with self.store.lock("jobs"):
            if read(self.store, job_id) == job:  # not its last word after all
                _change(self.store, job_id, state="failed", finished=time.time(), reason=self._cause(job))
        self.store.sweep()
        return read(self.store, job_id)

    def _cause(self, job: Job) -> str:
        child = self._children.get(job.id)
        status = child.returncode if child and child.pid == job.pid else None
        if status is not None and status < 0:
            return f"the worker was killed (signal {-status})"
        words = job.log(1)
        return words or "the worker is gone: it was killed, or the server that started it stopped"

    def of(self, experiment: ExperimentSpec) -> Job | None:
        """The job of `experiment`, if it was ever asked for."""
        return self.get(key("job", experiment))

    def all(self) -> list[Job]:
        """All jobs as they are now, the last submitted one first."""
        return [job for found in listed(self.store) if (job := self.get(found.id))]

    def cancel(self, job_id: str) -> Job | None:
        """Stop the job's worker within a second. Finished stages stay stored; nothing half written stays."""
        job = self.get(job_id)
        if job is None or not job.live:
            return job
        for number, patience in ((signal.SIGTERM, GRACE), (signal.SIGKILL, 2.0)):
            if self._alive(job):
                with suppress(ProcessLookupError):
                    os.kill(job.pid, number)
                self._await_end(job, patience)
        with self.store.lock("jobs"):
            if (now := read(self.store, job_id)) and now.live:
                _change(self.store, job_id, state="cancelled", finished=time.time())
        self.store.sweep()
        return read(self.store, job_id)

    def _await_end(self, job: Job, patience: float) -> None:
        until = time.monotonic() + patience
        while self._alive(job) and time.monotonic() < until:
            time.sleep(0.01)

    def retry(self, job_id: str) -> Job:
        """Run an ended job again; it goes on from what is stored. Raises StoreError for an unknown one."""
        job = self.get(job_id)
        if job is None:
            raise StoreError(f"no job {job_id} is known here; submit its experiment again.")
        return self.submit(*job.asked())

    def _forget_old(self) -> None:
        """Remove the folders of all but the last ended jobs."""
        ended = [job for job in listed(self.store) if not job.live]
        for job in sorted(ended, key=lambda job: job.finished or job.submitted)[: max(0, len(ended) - KEPT)]:
            shutil.rmtree(job.folder, ignore_errors=True)

    def speed(self, experiment: ExperimentSpec) -> estimate.Speed | None:
        """This machine's speeds for the experiment; None while they are measured, for a few seconds, by a process.

        Raises AsrError, for some seconds, if that process failed, for example as the network cannot be built.
        """
        name = f"{estimate.network_name(experiment)} {estimate.images_name(experiment.data)}"
        with self._guard:
            if found := estimate.speed(experiment, self.store):
                if (probe := self._probes.get(name)) and probe.poll() is not None:
                    self._probes.pop(name).communicate()
                return found
            refused = self._refused.get(name, (0.0, ""))
            if time.monotonic() - refused[0] < FORGET:
                raise AsrError(refused[1])
            self._measure(name, experiment)

    def _measure(self, name: str, experiment: ExperimentSpec) -> None:
        """Start a probe, or see how it went; a failed one is remembered."""
        if name not in self._probes:
            arguments = ["speed", str(self.store.root.resolve()), json.dumps(asdict(experiment))]
            self._probes[name] = self._spawn(arguments, stdout=subprocess.PIPE)
        elif self._probes[name].poll() is not None:
            said, _ = self._probes.pop(name).communicate()
            words = said.decode(errors="replace").strip().splitlines()
            reason = words[-1] if words else "the speed of this machine could not be measured"
            self._refused[name] = (time.monotonic(), reason)
            raise AsrError(reason)
