"""A teacher's link: what it locks and hides, and a tally of a class's predictions.

`?locked=1` shows the setting and lets nobody change it; `hidden=methods,sparsity` leaves controls out; `answers=0`
keeps the lesson from revealing; `room=maple` counts predictions of all who have the same word, `tally=1` shows them.
Nothing is known of who predicted, nothing is stored, and a restart of the server forgets it.
"""

from collections import Counter
from threading import Lock

import pandas as pd
import streamlit as st

from asr_core.report import lesson
from asr_core.report.lesson import STEPS
from pages._frame import state
from pages._frame.text import plain

MOST_ROOMS, MOST_PREDICTIONS = 50, 500  # of a server; of a step in a room


class Tally:
    """Counts per room and step: {(room, step): {prediction: count}}; safe among threads."""

    def __init__(self) -> None:
        self._lock, self._counts = Lock(), dict[tuple[str, int], Counter]()

    def add(self, room: str, step: int, said: str) -> None:
        """One prediction more; the room that was opened first goes once there are too many."""
        with self._lock:
            rooms = list(dict.fromkeys(name for name, _ in self._counts))
            if room not in rooms and len(rooms) >= MOST_ROOMS:
                self._counts = {key: count for key, count in self._counts.items() if key[0] != rooms[0]}
            counts = self._counts.setdefault((room, step), Counter())
            if counts.total() < MOST_PREDICTIONS:
                counts[said] += 1

    def of(self, room: str, step: int) -> dict[str, int]:
        """The counts of one step in one room."""
        with self._lock:
            return dict(self._counts.get((room, step), {}))


@st.cache_resource
def tally() -> Tally:
    """The one of this server."""
    return Tally()


def locked() -> bool:
    """Whether the link keeps the setting as it is."""
    return state.get("locked") == "1"


def hidden(name: str) -> bool:
    """Whether the link leaves out the control `name`."""
    return name in (state.get("hidden") or "").split(",")


def answers() -> bool:
    """Whether the lesson may reveal."""
    return state.get("answers") == "1"


def predicted(step: int, guess: object) -> None:
    """Count a prediction, where the link names a room: from a callback."""
    if room := state.get("room"):
        tally().add(room, step, lesson.said(STEPS[step - 1].question, guess))


def show(step: int) -> None:
    """The counts of a step, renewed every two seconds, where the link asks for them."""
    room = state.get("room")
    if not room or state.get("tally") != "1":
        return

    @st.fragment(run_every=2)
    def counted() -> None:
        counts = tally().of(room, step)
        st.caption(f"Room {plain(room)}: {sum(counts.values())} predictions for this step")
        if counts:
            rows = [(plain(said), n) for said, n in sorted(counts.items(), key=lambda row: (-row[1], row[0]))]
            st.table(pd.DataFrame(rows, columns=["prediction", "how many"]).set_index("prediction"))

    counted()
