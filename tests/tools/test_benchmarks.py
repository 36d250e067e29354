"""The benchmark's two sides compute the same thing, so that their times can be compared."""

import copy
import os
import subprocess
import sys
from importlib import import_module
from types import ModuleType

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from tiny_networks import fingerprint
from torch import nn
from torch.utils.data import DataLoader

from asr_core.images import data
from asr_core.measure import guards
from asr_core.pipeline import plan, signal_plan
from asr_core.pipeline.lab import Lab, Report
from asr_core.runtime import Runtime
from asr_core.spec.dense import DenseSpec
from asr_core.store import Store, results
from asr_core.store.entries import PROJECT
from benchmarks import __main__ as command
from benchmarks import dashboard, limit, live, repairability, setting, signals, speed, straightforward
from benchmarks.apart import apart
from benchmarks.report import Line, as_json, table

ASKED = setting.Asked(
    {
        "dataset": "digits",
        "image_size": 16,
        "architecture": "resnet18",
        "epochs": 1,
        "sparsity": 0.8,
        "eval_images": 40,
        "stat_images": 16,
        "calib_batch_size": 16,
        "budgets": (2,),
    }
)


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    """Everything measured once on a network of one epoch."""
    root = tmp_path_factory.mktemp("bench")
    store = Store(root / "cache")
    spec = ASKED.spec(store)
    lab = Lab(spec, store, Report(), Runtime())
    return speed.Bench(spec, store, lab.dense_id, None, root)


@pytest.fixture(scope="module")
def measured(bench):
    """(times, our store, the straightforward outcome) of one turn."""
    return bench.measure(1)


def test_both_sides_keep_the_same_weights(bench, measured):
    _, store, outcome = measured
    assert speed.same_masks(bench, store, outcome)
    removed = sum(int((~mask).sum()) for mask in outcome.masks.values())
    assert removed == round(0.8 * sum(mask.numel() for mask in outcome.masks.values()))


def test_factors_agree_for_every_method_order_and_bias(bench, measured):
    _, store, outcome = measured
    assert len(outcome.factors) == 3 * 2 * 2
    assert speed.factor_differences(bench, store, outcome).max() < speed.TOLERANCE


def test_predictions_agree_in_every_row(bench, measured):
    _, store, outcome = measured
    rows = speed.accuracy_differences(bench, store, outcome)
    assert len(rows) == len(outcome.predictions) == 1 + (1 + 13) * 4
    assert rows["within"].all() and rows["equal"].min() >= 0.9 and rows["equal"].mean() > 0.99


def test_our_run_in_the_benchmark_trains_nothing(bench, measured):
    _, store, _ = measured
    assert results.dense_ids(store, bench.spec) == [bench.dense_id]
    assert len(measured[0].ours) == len(measured[0].other) == 1


def test_the_straightforward_side_leaves_the_dense_network_as_it_was(bench):
    dense = copy.deepcopy(bench.model).to(memory_format=torch.contiguous_format)
    pruned, _ = straightforward.prune_globally(dense, 0.5)
    straightforward.recalibrated(pruned, [(torch.rand(4, 3, 16, 16), None)], "reset", "ema", 0.1)
    assert all(torch.equal(tensor, bench.model.state_dict()[name]) for name, tensor in dense.state_dict().items())


def test_a_bare_pass_stands_beside_each_pass_of_the_plan(bench, measured):
    counts = len(bench.images.train_labels), len(bench.images.test_labels)
    signals = signal_plan.tasks(bench.spec, bench.store, None, bench.state, counts)
    for stages, tasks in ((measured[0].ours[0], bench.tasks), (measured[0].signal[0], signals)):
        planned = {task.stage: 0 for task in tasks} | {limit.WHOLE: sum(task.images for task in tasks)}
        for task in tasks:
            planned[task.stage] += task.images
        assert {stage: spent.images for stage, spent in stages.items()} == planned
        assert all((spent.bare > 0) == (spent.images > 0) for spent in stages.values())


class Slowing(nn.Module):
    """A network on a machine that slows down: each pass takes a hundredth more than the one before."""

    def __init__(self):
        super().__init__()
        self.now, self.next = 0.0, 1.0

    def forward(self, x):
        self.now, self.next = self.now + self.next, 1.01 * self.next
        return x


@pytest.mark.parametrize("overhead", [0.0, 0.5])
def test_the_ratio_is_what_an_experiment_does_beside_its_passes_however_the_machine_changes(monkeypatch, overhead):
    network = Slowing()
    monkeypatch.setattr(limit, "clock", lambda: network.now)

    def experiment(report):
        report.started(task := plan.Task("evaluation", "k", 100))
        for _ in range(100):
            guards.forward(network, torch.zeros(1, 3, 2, 2))
            network.now += overhead * network.next
        report.finished(task)

    found = limit.InTurn().run(experiment)
    assert found["evaluation"].ratio == found[limit.WHOLE].ratio == pytest.approx(1 + overhead, rel=0.02)
    assert found["evaluation"].images == 100


def test_a_bare_pass_changes_no_tensor_and_no_mode_and_calls_no_hook(bench):
    network = copy.deepcopy(bench.model)
    network.bn1.train()
    network.conv1.register_forward_hook(lambda *_: pytest.fail("called"))
    before = fingerprint(network)
    assert limit.bare_forward(network, torch.rand(4, 3, 16, 16)) > 0
    assert fingerprint(network) == before
    assert network.bn1.training


def test_after_a_bare_pass_hooks_are_called_again_and_can_be_removed(bench):
    network, calls = copy.deepcopy(bench.model), []
    handle = network.conv1.register_forward_hook(lambda *_: calls.append(1))
    limit.bare_forward(network, torch.rand(4, 3, 16, 16))
    network(torch.rand(4, 3, 16, 16))
    handle.remove()
    network(torch.rand(4, 3, 16, 16))
    assert calls == [1]


def test_a_folder_gives_both_sides_the_same_images_in_the_same_order(tmp_path):
    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        for name in ("cat", "Dog"):
            (tmp_path / "images" / split / name).mkdir(parents=True)
            for i in (10, 2, 1):
                pixels = rng.integers(0, 256, (32, 32, 3), np.uint8)
                Image.fromarray(pixels).save(tmp_path / "images" / split / name / f"{i}.png")
    store = Store(tmp_path / "cache")
    images = data.load(data.resolve(f"folder:{tmp_path / 'images'}", store), store)
    for ours, labels, theirs in zip(
        (images.train_images, images.test_images),
        (images.train_labels, images.test_labels),
        setting.image_sets(images, str(tmp_path / "images")),
        strict=True,
    ):
        batch, classes = next(iter(DataLoader(theirs, 6)))
        torch.testing.assert_close(images.batch(ours), batch, rtol=1e-5, atol=1e-5)
        assert classes.tolist() == labels.tolist()


def test_a_store_with_the_dense_network_only_needs_everything_else(bench, tmp_path):
    store = setting.with_dense_only(bench.store, tmp_path / "fresh", bench.dense_id)
    assert store.local_stages() == ["dense", "images"]
    left = plan.missing(bench.spec, store, bench.dense_id, 1437, 360)
    assert len(left) == len(bench.tasks)
    assert ASKED.spec(store).dense == DenseSpec(epochs=1)


@pytest.mark.parametrize("words", [[], ["--quick"], ["--architecture", "resnet18", "--stem", "half"]])
def test_what_the_benchmark_asks_for_is_what_a_run_takes(words, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(command, "measured", lambda asked, *_: [seen.append(asked), Line("nothing")][1:])
    assert CliRunner().invoke(command.main, words, catch_exceptions=False).exit_code == 0
    assert seen[0].spec(Store(tmp_path)).data.dataset == "digits"


def test_numbers_are_kept_with_their_commit_or_not_at_all(tmp_path, monkeypatch):
    monkeypatch.setattr(command, "versions", lambda: {"commit": None})
    monkeypatch.setattr(command, "measured", lambda *_: pytest.fail("measured first"))
    found = CliRunner().invoke(command.main, ["--quick", "--json", str(tmp_path / "kept.json")])
    assert found.exit_code == 2
    assert "git tells no commit here" in found.output


def test_options_become_words_of_the_command_line():
    words = setting.Asked({"dataset": "digits", "eval_images": 60, "budgets": (1, 2)}).command()
    assert words == ["--dataset", "digits", "--eval-images", "60", "--budgets", "1,2"]


def test_a_peak_counts_what_was_allocated_and_let_go():
    # in a process of its own: one that has let go of memory before takes it from there
    code = (
        "import torch; from benchmarks import memory; torch.ones(9).sum(); print(memory.peak_over_now(lambda: None), "
    )
    code += "memory.peak_over_now(lambda: torch.ones(64 * 2**18).sum()))"
    run = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    before, peak = map(float, run.stdout.split())
    assert before < 16 and 60 < peak < 96


def test_a_line_knows_whether_its_target_is_met():
    lines = [
        Line("fast", 1.0, 4.0, factor=4.0, target=">= 3"),
        Line("large", 2.0, 1.0, factor=2.0, target="<= 1.2"),
        Line("plain", 1.0),
    ]
    assert [line.met for line in lines] == [True, False, None]
    assert "yes" in table(lines) and "NO" in table(lines)
    assert [line["met"] for line in as_json(lines)] == [True, False, None]


def test_the_naive_way_to_repairability_gives_the_same_ratios():
    line = repairability.line(images=8, size=32, repeats=1)
    assert line.factor > 0 and line.target == ">= 8", line.what


@pytest.mark.parametrize(
    "name", sorted(path.stem for path in (PROJECT / "benchmarks").glob("*.py") if path.stem != "__main__")
)
def test_every_benchmark_can_be_imported(name):
    assert import_module(f"benchmarks.{name}")


def test_the_bare_passes_behind_a_view_grow_with_its_images(tmp_path):
    where = Store(dashboard.cache_with_shipped(tmp_path / "cache"))
    (base,) = live.bases(where, None)
    wanted = live.experiment(base, 0.61)
    tasks = plan.missing(wanted, where, results.dense_here(where, wanted), *data.counts(base.data, where))
    forward = [task for task in tasks if task.kind == "forward"]
    assert {"evaluation", "recalibration", "stats"} <= {task.stage for task in forward}
    assert 0 < live.bare(base, where, forward[:2]) < live.bare(base, where, forward)


def test_masked_least_squares_is_timed_beside_a_bare_pass(monkeypatch):
    monkeypatch.setattr(signals, "IMAGES", 4)
    line = signals.repair_line("cifar_resnet20", 1)
    assert line.measured > line.against > 0
    assert line.target == "<= 3" and line.factor == line.measured


def test_another_process_does_not_begin_with_a_page_that_ran_here(monkeypatch):
    page = ModuleType("__main__")
    page.__file__ = str(PROJECT / "pages" / "_frame" / "main.py")
    monkeypatch.setitem(sys.modules, "__main__", page)
    assert apart(os.getpid) != os.getpid()
    assert sys.modules["__main__"] is page
