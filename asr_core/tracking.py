"""Follows an experiment while it runs: progress lines with the time left, and the speeds it teaches."""

import json
import time
from collections import Counter
from pathlib import Path

from asr_core import estimate, experiment
from asr_core.jobs import Wanted
from asr_core.plan import Task
from asr_core.store import Store

PAUSE = 0.25  # seconds between two lines, except where a stage begins
TRUSTED = 0.5  # seconds of work that say more than what was expected


class Tracker(experiment.Report):
    """Appends JSON lines to `path`: time (Unix), stage, target, images and tasks done, of_images and
    of_tasks in all, seconds_left, share of the whole time in [0, 1]. importing: seconds that this
    worker took before it could build a network."""

    def __init__(self, wanted: Wanted, store: Store, speed: estimate.Speed, path: Path, importing: float):
        self.wanted, self.store, self.speed, self.path = wanted, store, speed | {"start": importing}, path
        tasks = wanted.tasks(store)
        self.left = {_name(t): (t, cost) for t, cost in zip(tasks, estimate.costs(tasks, speed), strict=True)}
        self.of = len(tasks), sum(task.images for task in tasks)
        self.actual, self.expected = Counter(), Counter()  # seconds by rate
        self.begun, self.written = time.perf_counter(), 0.0
        self.task: Task | None = None
        self.images, self.since = 0, self.begun  # of the present stage

    def count(self, stage: str, images: int) -> None:
        if stage == "images" and self.task is None:
            self.started(Task("images", "", 0))
        self.advance(images)

    def started(self, task: Task) -> None:
        self._close()
        self.task, self.images, self.since = task, 0, time.perf_counter()
        if not self.written:  # until now networks were built and checked
            self.speed["start"] += self.since - self.begun
        self._write()

    def advance(self, images: int) -> None:
        self.images += images
        if time.perf_counter() - self.written > PAUSE:
            self._write()

    def finished(self, task: Task) -> None:
        self._close()

    def _close(self) -> None:
        """Book the seconds of the present stage; one that another process computed teaches nothing."""
        if self.task is None:
            return
        task, cost = self.left.pop(_name(self.task), (self.task, 0.0))
        if self.images and cost:
            rate = estimate.rate_of(task)
            self.actual[rate] += time.perf_counter() - self.since
            self.expected[rate] += cost
        self.task, self.images, self.since = None, 0, time.perf_counter()

    def _slowdown(self, task: Task) -> float:
        """Measured over expected seconds: of the task's own rate, or of all that was measured, or 1."""
        own = estimate.rate_of(task)
        for actual, expected in ((self.actual[own], self.expected[own]), (self.actual.total(), self.expected.total())):
            if min(actual, expected) > TRUSTED:
                return actual / expected
        return 1.0

    def seconds_left(self) -> float:
        """From the speed so far, where there is one; training by its own."""
        left = self.wanted.tables * self.speed["assemble"]
        for name, (task, cost) in self.left.items():
            expected = cost * self._slowdown(task)
            if self.task and name == _name(self.task) and task.images:
                part, spent = min(1.0, self.images / task.images), time.perf_counter() - self.since
                expected = spent * (1 - part) / part if spent > TRUSTED and part > 0.02 else expected * (1 - part)
            left += expected
        return left

    def _write(self) -> None:
        self.written = time.perf_counter()
        left, spent = self.seconds_left(), self.written - self.begun
        todo = sum(task.images for task, _ in self.left.values())
        present = self.left.get(_name(self.task), (self.task, 0))[0].images if self.task else 0
        line = {
            "time": round(time.time(), 2), "stage": self.task.stage, "target": self.task.target,
            "images": self.of[1] - todo + min(self.images, present), "of_images": self.of[1],
            "tasks": self.of[0] - len(self.left), "of_tasks": self.of[0],
            "seconds_left": round(left, 1), "share": round(spent / (spent + left), 4) if spent + left else 1.0,
        }  # fmt: skip
        with open(self.path, "a") as file:
            file.write(json.dumps(line) + "\n")

    def learn(self, published: bool) -> None:
        """Remember this machine's speeds as this run found them; call it once, after the run."""
        learned = estimate.corrected(self.speed, self.actual, self.expected, TRUSTED)
        if published and self.wanted.tables:  # what followed the last stage made them
            learned["assemble"] = (time.perf_counter() - self.since) / self.wanted.tables
        estimate.remember(self.wanted.experiment, self.store, learned)


def _name(task: Task) -> tuple:
    """What a task is, also while the dense network and with it the keys are unknown."""
    return task.stage, task.target, task.state
