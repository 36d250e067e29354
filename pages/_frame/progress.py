"""How far a job is: its bar in words, and when the page has enough news to be drawn again."""

import streamlit as st

from asr_core.jobs import estimate
from asr_core.jobs.jobs import Job
from asr_core.jobs.runner import Runner
from asr_core.spec import labels
from asr_core.spec.repairs import RepairSpec
from pages._frame.text import plain

REDRAWS = 20  # times, at most, that the whole page is drawn again for what a job has added
REST = 4.0  # seconds, at least, between two of them
QUICK = 1.0  # the same while the rows that the page asked for come
FIRST = ("images", "dense", "prune", "stats")  # stages without which there is nothing to draw
STAGES = {
    "images": "decoding images",
    "dense": "training the dense network",
    "prune": "pruning",
    "stats": "channel statistics",
    "repair": "repair factors",
    "recalibration": "BatchNorm recalibration",
    "evaluation": "accuracy",
    "maps": "spatial maps",
    "repairability": "relative repairability",
    "signal": "signal",
}


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
    """Where a living job stands: bar, stage, images done, time left."""
    line = job.progress()
    if job.state == "queued" and (words := waiting(crew, job)):
        st.progress(0.0, text=words)
    elif line is None:
        st.progress(0.0, text="Starting …")
    else:
        left = estimate.duration(line["seconds_left"])
        network = labels.label(RepairSpec.from_columns(**line["network"]))
        of = f" ({plain(network)})" if line["stage"] not in ("images", "dense", "prune") else ""
        st.progress(
            line["share"],
            text=(
                f"{STAGES[line['stage']]}{of} · {line['images']:,} of {line['of_images']:,} image passes · about "
                f"{left} left"
            ),
        )


def waiting(crew: Runner, job: Job) -> str | None:
    """What a queued job waits for, in words; None where its worker is about to start."""
    before = sum(other.state == "running" for other in crew.all()) + crew.ahead(job)
    if not before:
        return None
    many = crew.limits.workers
    first = "1 computation comes" if before == 1 else f"{before} computations come"
    at_once = "one runs at a time" if many == 1 else f"{many} run at a time"
    return f"Waiting: {first} first; {at_once}, and browsers take turns."
