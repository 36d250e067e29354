"""The experiment after the dense network is there: ours, with bare passes in turn, and the straightforward script."""

import copy
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn

from asr_core.images import data
from asr_core.measure import evaluation
from asr_core.pipeline import plan
from asr_core.pipeline import run as experiment
from asr_core.pruning import masks
from asr_core.runtime import clock
from asr_core.spec.experiment import ExperimentSpec
from asr_core.spec.keys import Keys
from asr_core.spec.recalibration import NO_STATE, REPORTED_STATE
from asr_core.store import Store
from benchmarks import limit, setting, straightforward
from benchmarks.apart import apart
from benchmarks.report import Line, ratios

TOLERANCE = 1e-4  # relative, of factors


@dataclass
class Times:
    """Each repeat's seconds: ours with the bare passes in turn, by stage, of the experiment and of its signal tables;
    and straightforward, with `workers`."""

    workers: int
    ours: list[dict[str, limit.Spent]] = field(default_factory=list)
    signal: list[dict[str, limit.Spent]] = field(default_factory=list)
    other: list[float] = field(default_factory=list)

    @property
    def bare(self) -> float:
        """Seconds of the experiment's bare passes, median."""
        return float(np.median([stages[limit.WHOLE].bare for stages in self.ours]))


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
        self.state = REPORTED_STATE if REPORTED_STATE in self.spec.states else NO_STATE  # of the signal tables

    def measure(self, repeats: int) -> tuple[Times, Store, straightforward.Outcome]:
        """Ours with bare passes in turn, its signal tables likewise, and straightforward, `repeats` times."""
        other_dense = copy.deepcopy(self.model).to(memory_format=torch.contiguous_format)
        asked = self._with_workers(setting.straightforward_setting(self.spec, self.images, self.folder), other_dense)
        times, found = Times(asked.workers), []
        for turn in range(repeats):
            store = setting.with_dense_only(self.store, self.scratch / f"ours-{turn}", self.dense_id)
            times.ours.append(limit.InTurn().run(experiment.run, self.spec, store))
            times.signal.append(limit.InTurn().run(experiment.signal, self.spec, store, self.state))
            seconds, outcome = apart(straightforward_run, other_dense, asked)
            times.other.append(seconds)
            found.append(outcome)
        return times, store, found[-1]

    def _with_workers(self, asked: straightforward.Setting, model) -> straightforward.Setting:
        """The number of loader workers that evaluates fastest here: none or two."""

        def second_pass(workers):  # the first one starts the workers
            batches = straightforward.loader(
                asked.test, asked.eval_indices[:2048], asked.eval_batch_size, workers, keep=True
            )
            straightforward.predict(model, batches)
            return limit.timed(straightforward.predict, model, batches)

        return replace(asked, workers=min((0, 2), key=second_pass))


def straightforward_run(dense: nn.Module, asked: straightforward.Setting) -> tuple[float, straightforward.Outcome]:
    """Seconds of the straightforward script, and what it found."""
    began = clock()
    outcome = straightforward.run(dense, asked)
    return clock() - began, outcome


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
    differences = factor_differences(bench, store, outcome)
    rows = accuracy_differences(bench, store, outcome)
    what = (
        f"experiment vs straightforward ({len(bench.eval_indices):,} test images, its loader with {times.workers} "
        "workers)"
    )
    ours = [stages[limit.WHOLE].ours for stages in times.ours]
    return [
        ratios(what, times.other, ours, ">= 3", measured=ours, against=times.other),
        Line("- masks identical (1: yes)", factor=float(same_masks(bench, store, outcome)), unit="", target=">= 1"),
        Line(
            "- factors, largest relative difference", unit="", factor=float(differences.max()), target=f"<= {TOLERANCE}"
        ),
        Line("- top-1, largest difference", unit="", factor=float(rows["difference"].abs().max())),
        Line("- share of rows with top-1 in our interval", unit="", factor=float(rows["within"].mean()), target=">= 1"),
        Line("- share of equal predictions, lowest row", unit="", factor=float(rows["equal"].min())),
        against_bare("experiment", times.ours, limit.WHOLE, "<= 1.15"),
        *stage_lines(times.ours),
        against_bare("signal of all its networks", times.signal, "signal", "<= 1.2"),
    ]


def against_bare(name: str, turns: list[dict[str, limit.Spent]], stage: str, target: str = "") -> Line:
    """Ours against the bare passes in turn, of one stage."""
    one, spent = turns[0][stage], [stages[stage] for stages in turns]
    what = f"{name} vs bare forwards in turn: {one.tasks} tasks, {one.images:,} image-forwards"
    ours, bare = [each.ours for each in spent], [each.bare for each in spent]
    return ratios(what, ours, bare, target, measured=ours, against=bare)


def stage_lines(turns: list[dict[str, limit.Spent]]) -> list[Line]:
    """Ours and the bare passes in turn, by stage."""
    stages = [stage for stage in turns[0] if stage != limit.WHOLE]
    found = [against_bare(f"- {stage}", turns, stage) for stage in stages]
    beside = [each[limit.WHOLE].ours - sum(each[stage].ours for stage in stages) for each in turns]
    return [*found, Line(f"- {limit.BESIDE} (loading, check, tables)", float(np.median(beside)))]
