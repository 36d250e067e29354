"""How long computations take here, beside what else runs."""

import time
from typing import Any

import streamlit as st

from asr_core.errors import AsrError
from asr_core.jobs import estimate, load, queue
from asr_core.jobs.jobs import Job, Wanted
from asr_core.jobs.runner import Runner
from asr_core.pipeline.plan import Task
from asr_core.spec import labels
from asr_core.store import Store
from pages._frame import visitor


def missing(store: Store, wanted: Wanted) -> list[Task]:
    """What is not stored of it, in the order it will run; read anew only where the store has changed."""
    stamp = tuple(store.stamp(stage) for stage in labels.STAGES)
    return _missing(str(store.root), (wanted.id, str(wanted.first)), stamp, wanted)


@st.cache_resource(max_entries=64, show_spinner=False)
def _missing(root: str, known_by: tuple, stamp: tuple, _wanted: Wanted) -> list[Task]:
    return _wanted.tasks(Store(root))


def slowdown(crew: Runner) -> float:
    """Seconds that a second of work takes now: as a running job meets it, else by the machine's load."""
    met = [line["slowdown"] for job in crew.all() if job.state == "running" and (line := job.progress())]
    return max(met, default=0.0) or load.slowdown()


def seconds(
    crew: Runner, wanted: Wanted, tasks: list[Task], speed: estimate.Speed, factor: float | None = None
) -> tuple[float, float]:
    """Until the rows that it shows first are stored, and until all of it is: from the click, if none is before it.
    factor: the slowdown, where it is known."""
    ready = speed | ({"start": 0.0} if crew.ready() else {})
    shown, whole = estimate.until_shown(tasks, ready, wanted.first), estimate.seconds(tasks, ready, wanted.tables)
    factor = factor or slowdown(crew)
    return factor * shown, factor * whole


def as_if(crew: Runner, wanted: Wanted) -> Job:
    """The job that would compute it, if it were asked for now."""
    return Job(wanted.id, crew.store.jobs, "queued", time.time(), (visitor.owner(),), looked=time.time())


def ahead(crew: Runner, job: Job) -> str:
    """The jobs that come before one that waits, or would, in words; '' where none does."""
    found = queue.before(job, crew.all())
    if not found:
        return ""
    until = until_free(crew, found)
    many = "1 other computation" if len(found) == 1 else f"{len(found)} other computations"
    return many if not until else f"{many}, about {estimate.duration(until)}"


def until_free(crew: Runner, ahead: list[Job]) -> float | None:
    """Seconds until a worker takes what comes after these jobs; None where one of them cannot be told."""
    if sum(job.state == "running" for job in ahead) < crew.limits.workers:
        return 0.0
    factor = slowdown(crew)  # once: it reads the files of all jobs
    each = [_left(crew, job, factor) for job in ahead]
    return None if None in each else sum(filter(None, each)) / crew.limits.workers


def _left(crew: Runner, job: Job, factor: float) -> float | None:
    """Seconds that a living job has still to compute."""
    if job.state == "running" and (line := job.progress()):
        return line["seconds_left"]
    try:
        wanted, _ = job.asked()
        speed: Any = crew.speed(wanted.experiment)
        return None if speed is None else seconds(crew, wanted, missing(crew.store, wanted), speed, factor)[1]
    except AsrError:  # it will fail
        return 0.0
