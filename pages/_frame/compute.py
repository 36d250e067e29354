"""Compute on demand: what is missing and how long it takes, a button, and the job while it runs."""

import time
from typing import Any

import pandas as pd
import streamlit as st

from asr_core.errors import AsrError, ImagesAbsent
from asr_core.jobs import estimate
from asr_core.jobs.jobs import Job, Wanted
from asr_core.jobs.runner import Runner
from asr_core.pipeline.plan import Task
from asr_core.runtime import Runtime
from asr_core.spec import labels
from asr_core.spec.experiment import ExperimentSpec
from asr_core.store import Store
from pages._frame import fetching, follow, pricing, state, visitor
from pages._frame.progress import news, progress
from pages._frame.text import plain, problem

WATCH = 0.5  # seconds between two looks at a job


@st.cache_resource(max_entries=2)
def _runner(root: str) -> Runner:
    return Runner(Store(root))


def runner(store: Store) -> Runner:
    """The runner of this process for a store."""
    return _runner(str(store.root))


def compute_panel(
    experiment: ExperimentSpec,
    store: Store,
    *,
    layer_maps: Any = None,
    where: Runtime | None = None,
    looked_at: bool = False,
    **part: Any,
) -> None:
    """What of `experiment` is missing, with its time and a button; while it runs, progress and Cancel.

    With `layer_maps` only these maps; part: `dense_id`, and what else `Wanted` can ask for alone. where: data_dir and
    weights, if the worker needs them. looked_at: it is what the sidebar chooses, which `follow` computes by itself and
    which goes before what the same browser asked for earlier. While the job runs the whole page is drawn again whenever
    there is more to show (`assembly.partial`). Draw it once per page and thing wanted.
    """
    wanted = Wanted(experiment, layer_maps, **part)
    with st.container(key=f"compute_{wanted.id}"):
        if visitor.demo():
            visitor.admitted("")  # says so
            return
        crew = runner(store)
        job = crew.get(wanted.id)
        if job is not None and job.live:
            if looked_at:
                follow.look(crew, job)
            _running(crew, job)
        else:
            if job is not None and job.state == "finished":
                _once_more(job)
            _offer(crew, wanted, where, job, looked_at)


def _once_more(job: Job) -> None:
    """Draw the page again, once: the job may have ended after this page took its tables."""
    end, drawn = (job.id, job.finished), time.monotonic()
    if st.session_state.get("_ended") == end:
        return
    st.session_state["_ended"] = end

    def look():
        if time.monotonic() - drawn > WATCH / 2:  # not in the run that draws it: that one goes on to its end
            st.rerun()

    st.fragment(look, run_every=WATCH)()


def _offer(crew: Runner, wanted: Wanted, where: Runtime | None, job: Job | None, looked_at: bool) -> None:
    """How the last attempt ended, what is missing, its time, and the button."""
    if job is not None:
        ending(job)
    retry = job is not None and job.state in ("failed", "cancelled")
    try:
        tasks = pricing.missing(crew.store, wanted)
        speed = crew.speed(wanted.experiment)
        _listing(crew, tasks, speed, wanted)
        if not visitor.admitted(f"_password_{wanted.id}"):
            return
        if tasks and state.touched():
            crew.warm(wanted.experiment)
        if tasks and speed is None:
            _offer_to_measure(crew, wanted)
        label = fetching.offer(wanted.experiment.data, crew.store, wanted.id) or ("Retry" if retry else "Compute")
        if st.button(
            label,
            key=f"_compute_{wanted.id}",
            type="primary",
            icon=":material/play_arrow:",
            help="Runs beside the dashboard and goes on when you move on or close this tab. What you asked for before "
            "waits meanwhile.",
        ):
            crew.submit(wanted, where, visitor.owner())
            st.rerun()
        if looked_at:
            follow.begin(crew, wanted, tasks, speed, job)
    except ImagesAbsent as error:
        st.info(f"It cannot be computed here: {plain(error)}", icon=":material/image_not_supported:")
    except AsrError as error:
        problem(error)


def ending(job: Job) -> None:
    """One box about a job that did not finish."""
    if job.state == "failed":
        st.error(f"The computation failed: {plain(job.reason)}")
    elif job.state == "cancelled":
        st.caption("Cancelled; finished stages stay stored, so a retry goes on from there.")
    elif job.state == "dropped":
        st.caption("Followed, and dropped when its view moved on; finished stages stay stored.")


def _listing(crew: Runner, tasks: list[Task], speed: estimate.Speed | None, wanted: Wanted) -> None:
    """The estimated time in words, and the stages behind it."""
    if not tasks:
        st.markdown("All stages are stored; only the tables have to be made.")
        return
    if speed is None:
        passes = sum(task.images for task in tasks)
        st.markdown(f"To compute: **{passes:,} image passes**, {beginnings(tasks)}; not measured on this machine.")
    else:
        st.markdown(f"To compute: {_about(crew, tasks, speed, wanted)}, {beginnings(tasks)}.")
    with st.expander(f"{len(tasks)} stages, {sum(task.images for task in tasks):,} image passes"):
        st.dataframe(listing_table(tasks, speed), hide_index=True, width="stretch")


def _about(crew: Runner, tasks: list[Task], speed: estimate.Speed, wanted: Wanted) -> str:
    """How long it takes beside what else runs, the rows of this view first; and what comes before it."""
    shown, whole = map(estimate.duration, pricing.seconds(crew, wanted, tasks, speed))
    words = f"**about {whole}** on this machine"
    if shown != whole and wanted.first:
        words += f" (what this view shows: {shown})"
    if ahead := pricing.ahead(crew, pricing.as_if(crew, wanted)):
        words += f", after {ahead}"
    return words


def beginnings(tasks: list[Task]) -> str:
    """Whether training and decoding are among the tasks, in words."""
    stages = {task.stage for task in tasks}
    included = [word for stage, word in (("dense", "training"), ("images", "decoding")) if stage in stages]
    return f"{' and '.join(included)} included" if included else "on a dense network and images that are stored"


def listing_table(tasks: list[Task], speed: estimate.Speed | None) -> pd.DataFrame:
    """Stages in words, with how many, image passes and seconds."""
    table = estimate.table(tasks, speed)
    table["stage"] = table["stage"].map(labels.STAGES)
    table["seconds"] = table["seconds"].round(1)
    return table.rename(columns={"tasks": "how many", "images": "image passes"})


def _offer_to_measure(crew: Runner, wanted: Wanted) -> None:
    """A button that measures this machine's speed. Drawing it starts no process, so that an address alone cannot."""
    if crew.measuring(wanted.experiment):
        st.caption("Measuring how fast this machine is …")
        _await_speed(crew, wanted.experiment)
        return
    st.button(
        "How long would it take?",
        key=f"_measure_{wanted.id}",
        on_click=_measure,
        args=(crew, wanted),
        icon=":material/timer:",
        help="Runs this network for some seconds beside the dashboard, on made-up images. One is measured at a time.",
    )
    if refused := st.session_state.pop(f"_refused_{wanted.id}", None):
        st.caption(plain(refused))


def _measure(crew: Runner, wanted: Wanted) -> None:
    """A callback: start measuring, or remember why not."""
    try:
        crew.measure(wanted.experiment)
    except AsrError as error:
        st.session_state[f"_refused_{wanted.id}"] = str(error)


def _await_speed(crew: Runner, experiment: ExperimentSpec) -> None:
    """Draw the page again as soon as measuring has ended, well or not."""

    def look():
        if not crew.measuring(experiment):
            st.rerun()

    st.fragment(look, run_every=WATCH)()


def _running(crew: Runner, job: Job) -> None:
    """Progress of a living job, and its Cancel button."""
    drawn, since = job.progress(), time.monotonic()

    def look():
        now = crew.get(job.id)
        if now is None or not now.live or news(drawn, now.progress(), time.monotonic() - since):
            st.rerun()
        else:
            progress(crew, now)

    st.fragment(look, run_every=WATCH)()
    if not visitor.admitted(f"_password_{job.id}"):
        return
    # outside the fragment: inside, the next look could swallow the click
    if not job.owners and follow.followed() == job.id:
        st.caption("Followed: it is dropped when you move on.")
    st.button(
        "Cancel",
        key=f"_cancel_{job.id}",
        on_click=crew.cancel,
        args=(job.id,),
        icon=":material/stop:",
        help="Stops within a second. Finished stages stay stored.",
    )
