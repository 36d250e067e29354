"""Follows an experiment while it runs: progress lines with the time left, and the speeds it teaches."""

import json
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from asr_core.jobs import estimate, load, logs
from asr_core.jobs.jobs import Wanted
from asr_core.pipeline.lab import Report
from asr_core.pipeline.plan import Task
from asr_core.runtime import clock
from asr_core.store import Store

PAUSE = 0.25  # seconds between two lines, except where a stage begins
TRUSTED = 0.5  # seconds of work that say more than what was expected


class Tracker(Report):
    """Appends JSON lines to `path`: time (Unix), stage, target, images and tasks done, of_images and of_tasks in all,
    view (tasks that are left of what is shown), seconds_left, share of the expected time in [0, 1], which goes on from
    that of an earlier run, slowdown (seconds that a second of work takes beside other programs). importing: seconds
    that this worker took before it could build a network; None for one that was warm, which teaches nothing of it.
    stopped: whether to stop here, by KeyboardInterrupt, where no signal can say so."""

    def __init__(
        self,
        wanted: Wanted,
        store: Store,
        speed: estimate.Speed,
        path: Path,
        importing: float | None,
        stopped: Callable[[], bool] = lambda: False,
    ):
        self.stopped = stopped
        self.wanted, self.store, self.speed, self.path = wanted, store, dict(speed), path
        self.cold = importing is not None
        if importing is not None:
            self.speed["start"] = importing
        tasks = wanted.tasks(store)
        self.view = {_name(t) for t in tasks if wanted.first and wanted.first.shows(t)}
        self.left = {_name(t): (t, cost) for t, cost in zip(tasks, estimate.costs(tasks, speed), strict=True)}
        self.of = len(tasks), sum(task.images for task in tasks)
        self.total = sum(cost for _, cost in self.left.values()) + wanted.tables * speed["assemble"]
        self.done = (logs.last(path) or {"share": 0.0})["share"]  # by an earlier run of this job, which was sent back
        self.load = load.slowdown()
        self.expected: dict[str, float] = defaultdict(float)  # seconds by rate
        self.actual: dict[str, float] = defaultdict(float)
        self.own: dict[str, float] = defaultdict(float)  # undisturbed
        self.begun, self.written = time.perf_counter(), 0.0
        self.task: Task | Any = None
        self._begin(None)

    def count(self, stage: str, images: int) -> None:
        if stage == "images" and self.task is None:
            self.started(Task("images", "", 0))
        super().count(stage, images)

    def started(self, task: Task) -> None:
        self._obey()
        self._close()
        if not self.written and self.cold:  # until now networks were built and checked
            self.speed["start"] += clock() - self.since_own
        self._begin(task)
        self._write()

    def _begin(self, task: Task | None) -> None:
        self.task, self.images, self.before = task, 0, 0  # before: images of an earlier run, which took no time now
        self.since, self.since_own = time.perf_counter(), clock()

    def _obey(self) -> None:
        if self.stopped():
            raise KeyboardInterrupt

    def advance(self, images: int) -> None:
        self._obey()
        self.images += images
        if time.perf_counter() - self.written > PAUSE:
            self._write()

    def resumed(self, images: int) -> None:
        self.before += images
        self.advance(images)

    def finished(self, task: Task) -> None:
        self._close()

    def _close(self) -> None:
        """Book the seconds of the present stage; one that another process computed teaches nothing."""
        if self.task is None:
            return
        task, cost = self.left.pop(_name(self.task), (self.task, 0.0))
        if self.images > self.before and cost:
            cost *= 1 - self.before / max(task.images, self.images)
            rate = estimate.rate_of(task)
            self.actual[rate] += time.perf_counter() - self.since
            self.own[rate] += clock() - self.since_own
            self.expected[rate] += cost
        self._begin(None)

    def _slowdown(self, task: Task) -> float:
        """Measured over expected seconds: of the task's own rate, or of all that was measured, or by the load."""
        own = estimate.rate_of(task)
        for actual, expected in (
            (self.actual[own], self.expected[own]),
            (sum(self.actual.values()), sum(self.expected.values())),
        ):
            if min(actual, expected) > TRUSTED:
                return actual / expected
        return self.slowdown()

    def slowdown(self) -> float:
        """Seconds that one of this thread's own took, of all that was measured; by the machine's load before that."""
        actual, own = sum(self.actual.values()), sum(self.own.values())
        return max(1.0, actual / own) if own > TRUSTED else self.load

    def _part(self, task: Task) -> float:
        """How much of a task is done, in [0, 1]."""
        present = self.task is not None and _name(task) == _name(self.task)
        return min(1.0, self.images / task.images) if present and task.images else 0.0

    def seconds_left(self) -> float:
        """From the speed so far, where there is one; training by its own."""
        left = self.slowdown() * self.wanted.tables * self.speed["assemble"]
        for task, cost in self.left.values():
            part, spent = self._part(task), time.perf_counter() - self.since
            now = part - self.before / task.images if part else 0.0  # done in this run
            measured = spent > TRUSTED and now > 0.02
            left += spent * (1 - part) / now if measured else cost * self._slowdown(task) * (1 - part)
        return left

    def share(self) -> float:
        """Part of the expected seconds that is done, in [0, 1]: it never falls."""
        left = sum(cost * (1 - self._part(task)) for task, cost in self.left.values())
        now = 1 - (left + self.wanted.tables * self.speed["assemble"]) / self.total
        return self.done + (1 - self.done) * now

    def _write(self) -> None:
        self.written = time.perf_counter()
        todo = sum(task.images for task, _ in self.left.values())
        present = self.left.get(_name(self.task), (self.task, 0))[0].images if self.task else 0
        line = {
            "time": round(time.time(), 2),
            "stage": self.task.stage,
            "network": self.task.network.columns,
            "images": self.of[1] - todo + min(self.images, present),
            "of_images": self.of[1],
            "tasks": self.of[0] - len(self.left),
            "of_tasks": self.of[0],
            "view": len(self.view & self.left.keys()),
            "seconds_left": round(self.seconds_left(), 1),
            "share": round(self.share(), 4),
            "slowdown": round(self.slowdown(), 2),
        }
        with open(self.path, "a") as file:
            file.write(json.dumps(line) + "\n")

    def learn(self, published: bool) -> None:
        """Remember this machine's speeds as this run found them, without what other programs took of it.

        Call it once, after the run; published: whether it came to its end.
        """
        learned = estimate.corrected(self.speed, self.own, self.expected, TRUSTED)
        if published and self.wanted.tables:  # what followed the last stage made them
            learned["assemble"] = (clock() - self.since_own) / self.wanted.tables
        estimate.remember(self.wanted.experiment, self.store, learned)


def _name(task: Task) -> tuple:
    """What a task is, also while the dense network and with it the keys are unknown."""
    return task.stage, task.network, task.state
