"""How far a job is: its bar in words, and when the page has enough news to be drawn again."""

import streamlit as st

from asr_core.jobs import estimate
from asr_core.jobs.jobs import Job
from asr_core.jobs.runner import Runner
from asr_core.spec import labels
from asr_core.spec.repairs import RepairSpec
from pages._frame import pricing
from pages._frame.text import plain

REDRAWS = 20  # times, at most, that the whole page is drawn again for what a job has added
REST = 4.0  # seconds, at least, between two of them
QUICK = 1.0  # the same while the rows that the page asked for come
FIRST = ("images", "dense", "prune", "stats")  # stages without which there is nothing to draw


def news(drawn: dict | None, now: dict | None, rest: float) -> bool:
    """Whether enough came since `drawn`, `rest` seconds ago, to draw the page again: the first statistics, a row that
    the page asked for, the last of them, or a part of all stages."""
    if now is None:
        return False
    before = {"stage": "images", "tasks": 0, "view": now["view"]} | (drawn or {})
    if before["stage"] in FIRST and now["stage"] not in FIRST:
        return True
    if now["stage"] not in FIRST and now["view"] < before["view"] and (rest >= QUICK or now["view"] == 0):
        return True
    enough = now["tasks"] - before["tasks"] >= max(1, now["of_tasks"] / REDRAWS)
    return enough and rest >= REST and now["stage"] not in FIRST


def progress(crew: Runner, job: Job) -> None:
    """Where a living job stands: one fraction, as a bar and in percent, the stage, and one time."""
    line = job.progress()
    share = line["share"] if line else 0.0
    if job.state == "queued":
        st.progress(share, text=waiting(crew, job))
    elif line is None:
        st.progress(0.0, text="Checking what is there …")
    else:
        left = estimate.duration(line["seconds_left"])
        network = labels.label(RepairSpec.from_columns(**line["network"]))
        of = f" ({plain(network)})" if line["stage"] not in ("images", "dense", "prune") else ""
        st.progress(share, text=f"{int(100 * share)} % · {labels.STAGES[line['stage']]}{of} · about {left} left")


def waiting(crew: Runner, job: Job) -> str:
    """What a queued job waits for, in words."""
    if not (ahead := pricing.ahead(crew, job)):
        if crew.trouble:
            return f"Waiting: {plain(crew.trouble)}"
        return "Starting …" if crew.ready() else "Starting a worker …"
    many = crew.limits.workers
    at_once = "one runs at a time" if many == 1 else f"{many} run at a time"
    return f"Waiting for {ahead}; {at_once}, and browsers take turns."
