"""Follows an experiment while it runs: progress lines with the time left, and the speeds it teaches."""

import json
import time
from collections import Counter
from pathlib import Path

from asr_core import estimate, experiment
from asr_core.plan import Task
from asr_core.spec import ExperimentSpec
from asr_core.store import Store

PAUSE = 0.25  # seconds between two lines, except where a stage begins
TRUSTED = 0.5  # seconds of measured work that correct what was expected


class Tracker(experiment.Report):
    """Writes one JSON line per step: time, stage, target, images and `of` (done and total passes),
    tasks and `of_tasks`, seconds_left, share (of the whole time, in [0, 1])."""

    def __init__(self, spec: ExperimentSpec, store: Store, speed: estimate.Speed, path: Path):
        self.spec, self.store, self.speed, self.path = spec, store, speed, path
        self.start = self.since = time.perf_counter()
        self.written = 0.0
        self.total = estimate.work(spec, store)
        self.left = dict(zip(((t.stage, t.key) for t in self.total), estimate.costs(self.total, speed), strict=True))
        self.task, self.done = None, Counter()  # the present task and its images; images by task
        self.actual, self.expected = Counter(), Counter()  # seconds by rate
        self.write()

    def started(self, task: Task) -> None:
        self.close()
        self.task = next((t for t in self.total if (t.stage, t.key) == (task.stage, task.key)), task)
        self.write()
