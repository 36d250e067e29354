"""Progress in a terminal: a bar with time left on stderr."""

import sys
from contextlib import contextmanager

from tqdm import tqdm

from asr_core.pipeline.lab import Report
from asr_core.pipeline.plan import Task
from asr_core.spec import labels

TRAIN_COST = 4  # a training pass costs about four forward passes


class Bar(Report):
    """One bar over the whole run, in forward passes of one image."""

    def __init__(self):
        pause = 0.1 if sys.stderr.isatty() else 10  # seconds between lines; a log file gets few
        self.bar = tqdm(unit="img", unit_scale=True, dynamic_ncols=True, mininterval=pause, file=sys.stderr)
        self.cost = 1

    def planned(self, missing: list[Task]) -> None:
        self.bar.reset(total=sum(t.images * (TRAIN_COST if t.kind == "train" else 1) for t in missing))

    def started(self, task: Task) -> None:
        self.cost = TRAIN_COST if task.kind == "train" else 1
        self.bar.set_description(f"{task.stage} {labels.label(task.network)}"[:40], refresh=False)

    def advance(self, images: int) -> None:
        self.bar.update(images * self.cost)


@contextmanager
def shown():
    """A Bar, closed at the end whatever happens."""
    report = Bar()
    try:
        yield report
    finally:
        report.bar.close()
