"""Follow: what is chosen is computed by itself.

It is a state of the session, off when that begins and never in the address: an address starts no computation. What is
computed like this is dropped once the session has moved on (`Runner.leave`), unless somebody asked for it by a click.
"""

import time
from typing import Any

import streamlit as st

from asr_core.errors import AsrError
from asr_core.images import data
from asr_core.jobs import estimate
from asr_core.jobs.jobs import Job, Wanted
from asr_core.jobs.runner import Runner
from asr_core.pipeline.plan import Task
from pages._frame import arrival, classroom, pricing, state, visitor
from pages._frame.text import plain

ON, JOB, LOOKED = "_following", "_followed", "_looked"  # whether; the ID of what it computes; what was turned to last
PAUSE = 0.5  # seconds that a choice must last
MOST = 60.0  # seconds until the view has its rows, at most, that are taken without a click
HELP = (
    f"Computes what you choose and is not stored, once a choice has lasted {PAUSE:g} s, where its rows take at most "
    f"{MOST:g} s on this machine. Moving on, or turning this off, drops what it began: finished stages stay stored. "
    "What you ask for by a click goes on."
)


def offered() -> bool:
    """Whether this visitor may have choices computed by themselves, here."""
    return visitor.may_compute() and state.get("present") != "1" and not classroom.locked()


def toggle() -> None:
    """The switch."""
    if offered():
        st.session_state["_follow"] = on()
        st.toggle("Follow: compute as I choose", key="_follow", on_change=_turn, help=HELP)


def _turn() -> None:
    st.session_state[ON] = st.session_state["_follow"]
    arrival.chosen()  # by this click, wherever an address led


def on() -> bool:
    """Whether this session follows."""
    return bool(st.session_state.get(ON)) and offered()


def followed() -> str | None:
    """The ID of the job that this session follows."""
    return st.session_state.get(JOB)


def move(crew: Runner, wanted_id: str | None) -> None:
    """This session looks at what `wanted_id` computes: leave what it followed before."""
    if (before := followed()) and (before != wanted_id or not on()):
        st.session_state[JOB] = None
        crew.leave(before, visitor.session())


def look(crew: Runner, job: Job) -> None:
    """Tell, once, that this session turned to a living job of its browser's; what others asked for it only watches."""
    if st.session_state.get(LOOKED) != job.id:
        st.session_state[LOOKED] = job.id
        if visitor.owner() in job.browsers:
            crew.look(job.id)


def submit(crew: Runner, wanted: Wanted) -> None:
    """Have it computed as long as this session looks at it. Raises QueueFull, StoreError."""
    crew.submit(wanted, owner=visitor.owner(), follower=visitor.session())
    st.session_state[JOB] = st.session_state[LOOKED] = wanted.id


def begin(crew: Runner, wanted: Wanted, tasks: list[Task], speed: estimate.Speed | None, job: Job | None) -> None:
    """Where this session follows: ask for `wanted` as soon as the choice has lasted, or say why a click is needed."""
    if not on() or not tasks:
        return
    if reason := refusal(crew, wanted, tasks, speed, job):
        st.caption(f"Follow: {reason}")
        return
    drawn = time.monotonic()

    def wait() -> None:
        st.caption("Follow: computed in a moment …")
        if time.monotonic() - drawn < 0.8 * PAUSE:  # a later choice draws the page, and this wait, anew
            return
        try:
            submit(crew, wanted)
        except AsrError as error:
            st.caption(plain(error))
        else:
            st.rerun()

    st.fragment(wait, run_every=PAUSE)()


def refusal(crew: Runner, wanted: Wanted, tasks: list[Task], speed: Any, job: Job | None) -> str | None:
    """Why what is wanted is not computed without a click; None where it is."""
    if arrival.arrived():
        return "an address computes nothing; it begins with your next choice."
    if job is not None and job.state in ("cancelled", "failed"):
        return f"left alone, as it was {job.state}." if job.state == "cancelled" else "left alone, as it failed."
    if data.to_download(wanted.experiment.data, crew.store):
        return "a download needs your click."
    if speed is None:
        return "how long it takes is not measured on this machine, so it needs your click."
    seconds = pricing.seconds(crew, wanted, tasks, speed)[0]
    if seconds > MOST:
        return f"about {estimate.duration(seconds)} until this view has its rows, so it needs your click."
    return None
