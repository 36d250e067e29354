"""Maps that are not stored: what they cost, a button that computes them in a worker, and its progress."""

import streamlit as st

from asr_core import estimate
from asr_core.errors import AsrError
from asr_core.figures import style
from asr_core.jobs import Job, Wanted
from asr_core.runner import Runner
from asr_core.store import Store, default_root
from pages import _common as common


@st.cache_resource(max_entries=2)
def _runner(root: str) -> Runner:
    return Runner(Store(root))


def panel(wanted: Wanted, layer: str) -> None:
    """What is missing of the wanted maps, with its time and a button; nothing if all is there."""
    try:
        tasks = wanted.tasks(common.store())
    except AsrError as error:
        st.info(f"The maps of {layer} are not stored, and cannot be computed here: {error}")
        return
    absent = [task for task in tasks if task.stage == "maps"]
    if not absent:
        return
    names = "dense, pruned and repaired networks" if len(absent) > 3 else ", ".join(style.label(task.target) for task in absent)
    with st.container(border=True):
        st.markdown(f"**The output maps of {layer} are not stored** for: {names}. {_steps(tasks)}{_cost(wanted, tasks)}")
        _act(wanted)


def _steps(tasks) -> str:
    """What comes before the maps, in words."""
    words = {"images": "decoding the images", "dense": "training the dense network", "prune": "pruning", "repair": "measuring and repairing", "recalibration": "recalibrating"}
    before = [text for stage, text in words.items() if any(task.stage == stage for task in tasks)]
    return f"Before them: {', '.join(before)}. " if before else ""


def _cost(wanted: Wanted, tasks) -> str:
    try:
        speed = _runner(str(default_root())).speed(wanted.experiment)
    except AsrError as error:
        return f"Their time is not known: {error}"
    if speed is None:
        return "This machine's speed is being measured; their time is known in a few seconds."
    return f"Computing them takes about **{estimate.duration(estimate.seconds(tasks, speed, wanted.tables))}** on this machine."


def _act(wanted: Wanted) -> None:
    """Button, or the job with progress and cancel."""
    runner = _runner(str(default_root()))
    job = runner.get(wanted.id)
    if job is not None and job.live:
        st.button("Cancel", icon=":material/cancel:", key="_maps_cancel", on_click=runner.cancel, args=(job.id,))
        _watch(job.id)
        return
    if job is not None and job.state == "failed":
        st.error(f"The last attempt failed: {job.reason}")
    st.button("Compute these maps", icon=":material/play_arrow:", type="primary", key="_maps_compute", on_click=runner.submit, args=(wanted,))


@st.fragment(run_every=0.5)
def _watch(job_id: str) -> None:
    """Progress of a job; the page is drawn again when it ends."""
    job = _runner(str(default_root())).get(job_id)
    if job is None or not job.live:
        st.rerun()
    st.progress(*_progress(job))


def _progress(job: Job) -> tuple[float, str]:
    found = job.progress()
    if found is None:
        return 0.0, "waiting for another job" if job.state == "queued" else "starting"
    return found["share"], f"{found['stage']} {style.label(found['target'])}: {found['tasks']} of {found['of_tasks']} steps, {estimate.duration(found['seconds_left'])} left"
