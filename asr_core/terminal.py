"""Run an experiment in a terminal: a progress bar with time left on stderr."""

import sys

from tqdm import tqdm

from asr_core import experiment
from asr_core import maps as channel_maps
from asr_core.plan import Task
from asr_core.results import Result
from asr_core.runtime import Runtime
from asr_core.spec import ExperimentSpec
from asr_core.store import Store

TRAIN_COST = 4  # a training pass costs about four forward passes


class Bar(experiment.Report):
    """One bar over the whole run, in forward passes of one image."""

    def __init__(self):
        pause = 0.1 if sys.stderr.isatty() else 10  # seconds between lines; a log file gets few
        self.bar = tqdm(unit="img", unit_scale=True, dynamic_ncols=True, mininterval=pause, file=sys.stderr)
        self.cost = 1

    def planned(self, missing: list[Task]) -> None:
        self.bar.reset(total=sum(t.images * (TRAIN_COST if t.kind == "train" else 1) for t in missing))

    def started(self, task: Task) -> None:
        self.cost = TRAIN_COST if task.kind == "train" else 1
        self.bar.set_description(f"{task.stage} {task.target}"[:40], refresh=False)

    def advance(self, images: int) -> None:
        self.bar.update(images * self.cost)


def run(spec: ExperimentSpec, store: Store, where: Runtime) -> Result:
    """Run `spec` with a progress bar."""
    report = Bar()
    try:
        return experiment.run(spec, store, report, where)
    finally:
        report.bar.close()


def maps(spec: ExperimentSpec, store: Store, wanted: channel_maps.MapSpec, where: Runtime) -> channel_maps.Maps:
    """Compute and store the wanted maps with a progress bar."""
    report = Bar()
    try:
        return channel_maps.run(spec, store, wanted, report=report, where=where)
    finally:
        report.bar.close()
