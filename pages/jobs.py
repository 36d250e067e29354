"""Jobs: what is computed, waits, is done or failed."""

import time

import pandas as pd
import streamlit as st

from asr_core.errors import AsrError
from asr_core.jobs import estimate
from asr_core.jobs.jobs import Job
from pages._frame import common, compute, progress, visitor
from pages._frame.text import problem


def title(job: Job) -> str:
    """What a job computes, in a few words."""
    try:
        wanted, _ = job.asked()
    except AsrError as error:
        return f"unreadable: {error}"
    found = wanted.experiment
    network, seed = f"{found.model.architecture} · {found.data.dataset}", f"seed {found.dense.seed}"
    if wanted.repairability:
        return f"{network} · {seed} · repairability of each layer"
    if wanted.signal:
        return f"{network} · {found.prune.words} · {seed} · signal of each channel"
    what = (
        f"maps of {wanted.maps.layer}"
        if wanted.maps
        else f"{len(found.repairs)} repairs, {len(found.states)} recalibrations"
    )
    return f"{network} · {found.prune.words} · {seed} · {what}{'' if job.owners else ' · followed'}"


def ago(moment: float | None) -> str:
    """How long ago, in words."""
    return f"{estimate.duration(time.time() - moment)} ago" if moment else ""


def took(job: Job) -> str:
    """How long a job has been computing, in words."""
    return estimate.duration((job.finished or time.time()) - job.started) if job.started else ""


def overview(found: list[Job]) -> pd.DataFrame:
    """One row per job."""
    rows = [(job.state, title(job), ago(job.submitted), took(job), job.reason or "") for job in found]
    return pd.DataFrame(rows, columns=["state", "what", "submitted", "took", "reason"])


def details(job: Job) -> None:
    """Reason, progress, log and buttons of one job."""
    compute.ending(job)
    if (job.live or job.state != "finished") and not visitor.admitted("_password_jobs"):
        pass
    elif job.live:
        st.button(
            "Cancel",
            key=f"_cancel_job_{job.id}",
            on_click=crew.cancel,
            args=(job.id,),
            icon=":material/stop:",
            help="Stops within a second. Finished stages stay stored.",
        )
    elif job.state != "finished":
        retry(job)
    st.fragment(follow, run_every=compute.WATCH if job.live else None)(job.id)


def retry(job: Job) -> None:
    """The button that runs an ended job again."""
    if not st.button(
        "Retry", key=f"_retry_job_{job.id}", icon=":material/replay:", help="Goes on from what is stored."
    ):
        return
    try:
        crew.retry(job.id, visitor.owner())
    except AsrError as error:
        problem(error)
    else:
        st.rerun()


def follow(job_id: str) -> None:
    """Progress and log, as they are now."""
    job = crew.get(job_id)
    if job is None:
        return
    if job.live:
        progress.progress(crew, job)
    st.caption(f"Log of job {job.id}")
    st.code(job.log() or "(nothing was printed)", language=None, wrap_lines=True)


def chosen(found: list[Job]) -> Job:
    """The job picked below the table: the running or the newest one unless another is picked."""
    by_id = {job.id: job for job in found}
    first = next((job.id for job in found if job.state == "running"), found[0].id)
    picked = st.selectbox(
        "Job",
        list(by_id),
        index=list(by_id).index(first),
        key="_job",
        format_func=lambda i: f"{title(by_id[i])} · {i[:6]}",
        help="Whose progress, log and buttons are shown.",
    )
    return by_id[picked]


def watch(seen: list[tuple]) -> None:
    """The table, kept up to date; the whole page again when a job changes its state."""
    found = crew.all()
    st.dataframe(overview(found), hide_index=True, width="stretch")
    if [(job.id, job.state) for job in found] != seen:
        st.rerun()


def listing() -> None:
    """All jobs, and one of them closer."""
    limits = crew.limits
    some = "One computation runs" if limits.workers == 1 else f"{limits.workers} computations run"
    st.caption(
        f"{some} at a time; up to {limits.waiting} more wait, {limits.each} of one browser, and browsers take turns. "
        "Of one browser goes first what it looks at: what ran for it alone waits meanwhile. Whoever asks for the same "
        "thing shares a job. What was asked for by a click goes on when its tab is closed; what was followed is "
        "dropped when one moves on."
    )
    jobs = crew.all()
    if jobs:
        live = any(job.live for job in jobs)
        st.fragment(watch, run_every=1.0 if live else None)([(job.id, job.state) for job in jobs])
        details(chosen(jobs))
    else:
        st.info(
            "Nothing was computed here yet. Choose a setting that is not stored, and its page offers to compute it."
        )


if visitor.demo():
    visitor.admitted("")  # says so
else:
    crew = compute.runner(common.store())
    listing()
