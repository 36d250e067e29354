"""The experiment after the dense network is there: ours, the straightforward script, the bare passes."""

import copy
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from asr_core.images import data
from asr_core.measure import evaluation
from asr_core.pipeline import plan
from asr_core.pipeline import run as experiment
from asr_core.pipeline.lab import Report
from asr_core.pruning import masks
from asr_core.spec.experiment import ExperimentSpec
from asr_core.spec.keys import Keys
from asr_core.store import Store
from benchmarks import limit, setting, straightforward
from benchmarks.report import Line

TOLERANCE = 1e-4  # relative, of factors


class StageTimes(Report):
    """Seconds by stage, each from its start to the moment it is stored."""

    def __init__(self):
        self.seconds = defaultdict(float)

    def started(self, task):
        self.start = time.perf_counter()

    def finished(self, task):
        self.seconds[task.stage] += time.perf_counter() - self.start


@dataclass
class Times:
    """Each repeat's seconds: ours, ours by stage, straightforward (with `workers`), and each kind of bare pass."""

    workers: int
    ours: list[float] = field(default_factory=list)
    stages: list[dict] = field(default_factory=list)
    other: list[float] = field(default_factory=list)
    bare: dict = field(default_factory=lambda: defaultdict(list))

    def bare_of(self, counted: Counter) -> float:
        """Seconds of the counted passes by the medians."""
        return float(sum(number * np.median(self.bare[kind]) for kind, number in counted.items()))


@dataclass
class Bench:
    """One experiment, its dense network and images, and a place for stores that come and go."""

    spec: ExperimentSpec
    store: Store
    dense_id: str
    folder: str | None
    scratch: Path

    def __post_init__(self):
        self.images = data.load(self.spec.data, self.store)
        self.eval_indices = self.images.eval_indices(self.spec.evaluation.eval_images, self.spec.evaluation.subset)
        self.model = setting.dense_network(self.spec, self.store, self.dense_id)
        counts = len(self.images.train_labels), len(self.images.test_labels)
        self.tasks = plan.tasks(self.spec, self.dense_id, *counts)
        self.passes = sum((limit.passes(task, self.spec) for task in self.tasks), Counter())

    def measure(self, repeats: int) -> tuple[Times, Store, straightforward.Outcome]:
        """Interleaved: bare passes, ours, straightforward, `repeats` times, and bare passes at the end."""
        other_dense = copy.deepcopy(self.model).to(memory_format=torch.contiguous_format)
        asked = self._with_workers(setting.straightforward_setting(self.spec, self.images, self.folder), other_dense)
        times = Times(asked.workers)
        for turn in range(repeats):
            self._bare(times)
            store = setting.with_dense_only(self.store, self.scratch / f"ours-{turn}", self.dense_id)
            report = StageTimes()
            times.ours.append(limit.timed(experiment.run, self.spec, store, report))
            times.stages.append(dict(report.seconds))
            start = time.perf_counter()
            outcome = straightforward.run(other_dense, asked)
            times.other.append(time.perf_counter() - start)
        self._bare(times)
        return times, store, outcome

    def _bare(self, times: Times) -> None:
        largest = max(count for _, count in self.passes)
        chosen = np.arange(largest) % len(self.images.train_labels)
        images = self.images.train_batch(chosen)
        for kind in self.passes:
            times.bare[kind].append(limit.bare_forward(self.model, kind, images))

    def _with_workers(self, asked: straightforward.Setting, model) -> straightforward.Setting:
        """The number of loader workers that evaluates fastest here: none or two."""

        def second_pass(workers):  # the first one starts the workers
            batches = straightforward.loader(
                asked.test, asked.eval_indices[:2048], asked.eval_batch_size, workers, keep=True
            )
            straightforward.predict(model, batches)
            return limit.timed(straightforward.predict, model, batches)

        return replace(asked, workers=min((0, 2), key=second_pass))


def same_masks(bench: Bench, store: Store, outcome: straightforward.Outcome) -> bool:
    """Whether both sides keep exactly the same weights."""
    keys = Keys(bench.spec, bench.dense_id)
    ours = masks.unpack(store.find("prune", keys.prune).arrays("masks"), bench.model)
    return ours.keys() == outcome.masks.keys() and all(torch.equal(m, outcome.masks[n]) for n, m in ours.items())


def factor_differences(bench: Bench, store: Store, outcome: straightforward.Outcome) -> np.ndarray:
    """|ours - theirs| / theirs of every factor of every repair."""
    keys, found = Keys(bench.spec, bench.dense_id), []
    for repair in (r for r in bench.spec.repairs if r.order):
        table = store.find("repair", keys.network(repair)).table("factors")
        theirs = outcome.factors[repair.method, repair.order, repair.bias]
        for layer, rows in table.groupby("layer", sort=False):
            other = theirs[layer].double().numpy()
            found.append(np.abs(rows["gamma"].to_numpy() - other) / np.abs(other))
    return np.concatenate(found) if found else np.zeros(1)


def accuracy_differences(bench: Bench, store: Store, outcome: straightforward.Outcome) -> pd.DataFrame:
    """Per row of the accuracy table: difference of top1, whether within our interval, share of equal predictions."""
    labels = bench.images.test_labels[bench.eval_indices]
    rows = []
    for name, ours in setting.predictions(bench.spec, store, bench.dense_id).items():
        theirs = outcome.predictions[name].numpy()
        scored, other = evaluation.score(ours, labels), float((theirs == labels).mean())
        rows.append((name, other - scored.top1, scored.low <= other <= scored.high, float((ours == theirs).mean())))
    return pd.DataFrame(rows, columns=["row", "difference", "within", "equal"])


def lines(bench: Bench, times: Times, store: Store, outcome: straightforward.Outcome) -> list[Line]:
    """The comparison with the straightforward script and with the limit."""
    ours, other, bare = float(np.median(times.ours)), float(np.median(times.other)), times.bare_of(bench.passes)
    differences = factor_differences(bench, store, outcome)
    rows = accuracy_differences(bench, store, outcome)
    what = (
        f"experiment vs straightforward ({len(bench.eval_indices):,} test images, its loader with {times.workers} "
        "workers)"
    )
    return [
        Line(what, ours, other, "s", other / ours, ">= 3"),
        Line("- masks identical (1: yes)", factor=float(same_masks(bench, store, outcome)), unit="", target=">= 1"),
        Line(
            "- factors, largest relative difference", unit="", factor=float(differences.max()), target=f"<= {TOLERANCE}"
        ),
        Line("- top-1, largest difference", unit="", factor=float(rows["difference"].abs().max())),
        Line("- share of rows with top-1 in our interval", unit="", factor=float(rows["within"].mean()), target=">= 1"),
        Line("- share of equal predictions, lowest row", unit="", factor=float(rows["equal"].min())),
        Line("experiment vs bare forwards", ours, bare, "s", ours / bare, "<= 1.15"),
        *stage_lines(bench, times),
    ]


def stage_lines(bench: Bench, times: Times) -> list[Line]:
    """Ours and the bare passes by stage, with the plan's count of image-forwards."""
    found, spent = [], 0.0
    for stage in dict.fromkeys(task.stage for task in bench.tasks):
        tasks = [task for task in bench.tasks if task.stage == stage]
        ours = float(np.median([stages.get(stage, 0.0) for stages in times.stages]))
        bare = times.bare_of(sum((limit.passes(task, bench.spec) for task in tasks), Counter()))
        count = sum(task.images for task in tasks)
        what = f"- {stage}: {len(tasks)} tasks, {count:,} image-forwards"
        found.append(Line(what, ours, bare, "s", ours / bare if bare else None))
        spent += ours
    return [*found, Line("- beside the stages (loading, check, tables)", float(np.median(times.ours)) - spent)]
