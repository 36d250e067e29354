"""Sweeps: a file is checked whole, its cost printed, each setting computed once, wherever it runs."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from made_maps import SETTING, copy, root

from asr_core import runtime
from asr_core.cli import costs
from asr_core.cli.main import main
from asr_core.errors import AsrError, SpecError, UnknownName
from asr_core.jobs import executors, sweeps
from asr_core.pipeline import run as experiment
from asr_core.pipeline import stages
from asr_core.spec.experiment import setting_fields
from asr_core.store import Store, catalogue
from asr_core.store.entries import PROJECT

SHARED = "methods: [bn_only, lw_bn]\norders: [simultaneous]\nbiases: [off]\nbudgets: [1]\n"


def setting(**changes) -> str:
    """The lines of a matrix around the setting whose untrained network is stored."""
    own = {n: v for n, v in SETTING.values().items() if n in sweeps.fields() and v is not None}
    return "".join(
        f"{name}: {str(value).lower() if isinstance(value, bool) else value}\n"
        for name, value in (own | changes).items()
    )


def read(tmp_path, text: str) -> list[sweeps.Run]:
    path = tmp_path / "sweep.yaml"
    path.write_text(text)
    return sweeps.read(path, Store(tmp_path / "cache"))


def test_every_combination_of_values_is_a_setting_and_the_first_name_varies_slowest(tmp_path):
    found = read(tmp_path, "seed: [0, 1]\nsparsity: [0.8, 0.9]\n" + SHARED)
    values = [(run.experiment.dense.seed, run.experiment.prune.parameters["sparsity"]) for run in found]
    assert values == [(0, 0.8), (0, 0.9), (1, 0.8), (1, 0.9)]
    assert {repair.method for repair in found[0].experiment.repairs} == {"bn_only", "lw_bn"}


def test_the_same_setting_twice_is_one(tmp_path):
    assert len(read(tmp_path, "- sparsity: [0.9, 9.0e-1]\n- sparsity: 0.9\n")) == 1


def test_several_matrices_are_their_union(tmp_path):
    found = read(tmp_path, "- {pruning: n_m, keep_n: [1, 2]}\n- {pruning: global_l1, sparsity: 0.5}\n")
    assert [run.experiment.prune.words for run in found] == ["1:4", "2:4", "global L1 50 %"]


def test_on_and_off_are_words_and_numbers_may_be_written_as_on_the_command_line(tmp_path):
    (run,) = read(tmp_path, "biases: [on]\nmethods: lw_bn\neps: 1e-5\ninclude_linear: true\n")
    assert {repair.bias for repair in run.experiment.repairs} == {True}
    assert run.experiment.repairs[0].parameters["eps"] == 1e-5
    assert run.experiment.prune.parameters["include_linear"] is True


def test_every_field_of_a_setting_may_be_named(tmp_path):
    assert sweeps.fields().keys() >= {name for name, field in setting_fields().items() if not field.derived}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sparsity: 90\n", "sparsity is 90"),
        ("sparsity: [0.9, 90]\n", "sparsity is 90"),
        ("sparsity: []\n", "sparsity has no values"),
        ("sparsity: [[0.9]]\n", "give one value"),
        ("sparsity: 0.9\nsparsity: 0.8\n", "sparsity is given twice"),
        ("pruning: [global_l1, n_m]\nsparsity: 0.9\n", "sparsity"),
        ("budgets: [many]\n", "whole numbers of batches"),
        ("- 3\n", "holds no matrix"),
        ("", "holds no matrix"),
        ("sparsity: [0.9\n", "is no YAML"),
        (
            "seed: [" + ",".join(map(str, range(101))) + "]\ndraw: [" + ",".join(map(str, range(100))) + "]\n",
            "more than",
        ),
    ],
)
def test_what_is_no_sweep_is_refused_whole(tmp_path, text, words):
    with pytest.raises(SpecError, match=words):
        read(tmp_path, text)


@pytest.mark.parametrize("text", ["sparsty: 0.9\n", "methods: magic\n", "presets: magic\n", "architecture: resnet19\n"])
def test_a_name_that_nobody_knows_is_refused_with_the_choices(tmp_path, text):
    with pytest.raises(UnknownName):
        read(tmp_path, text)


def test_a_file_that_is_not_there_is_said(tmp_path):
    with pytest.raises(SpecError, match="cannot read"):
        sweeps.read(tmp_path / "none.yaml", Store(tmp_path))


@pytest.fixture
def threads(monkeypatch):
    """Computations run in threads of this process, so that they can be counted."""

    @contextmanager
    def opened(*_):
        with ThreadPoolExecutor(2) as pool:
            yield pool

    monkeypatch.setattr(executors, "opened", opened)
    monkeypatch.setattr(costs, "MEASURED", 0.05)


@pytest.fixture
def computed(monkeypatch):
    """(stage, key) of what is computed beside what `copy` holds."""
    root()
    found = []
    for stage, function in dict(stages.COMPUTE).items():

        def counted(lab, task, function=function):
            found.append((task.stage, task.key))
            return function(lab, task)

        monkeypatch.setitem(stages.COMPUTE, stage, counted)
    return found


def asr(root: Path, text: str, *options: str):
    path = root.parent / "sweep.yaml"
    path.write_text(text)
    return CliRunner().invoke(main, ["--cache-dir", str(root), "sweep", str(path), *options])


def test_a_sweep_prints_its_cost_computes_each_stage_once_and_can_be_started_again(tmp_path, threads, computed):
    store = copy(tmp_path)
    text = setting(sparsity=0.5, eval_images=[20, 40]) + SHARED
    result = asr(store.root, text)
    lines = result.output.splitlines()
    assert result.exit_code == 0, result.output
    assert lines[0] == "2 settings, 0 of them stored"
    assert sum("image passes" in line for line in lines) == 2
    assert any(line.startswith("2 settings to compute, about") for line in lines)
    assert lines[-1].startswith("2 of 2 after") and lines[-1].endswith("stored")
    assert len(computed) == len(set(computed))
    done = len(computed)
    again = asr(store.root, text)
    assert again.output.splitlines() == ["2 settings, 2 of them stored"]
    assert len(computed) == done
    here = [item for item in catalogue.stored(store) if item.setting.prune.parameters["sparsity"] < 0.7]
    assert len(here) == 2


def test_what_can_be_refused_is_refused_before_anything_is_computed(tmp_path, threads, computed):
    result = asr(copy(tmp_path).root, setting(sparsity=[0.5], eval_images=[20, 400_000]) + SHARED)
    assert result.exit_code == 2 and "400000 test images asked" in result.output
    assert computed == []


def test_a_setting_that_fails_is_said_and_the_others_are_computed(tmp_path, threads, monkeypatch):
    store, compute = copy(tmp_path), experiment.compute

    def fail(spec, root, where):
        if spec.prune.parameters["sparsity"] == 0.5:
            raise SpecError("no luck")
        compute(spec, root, where)

    monkeypatch.setattr(experiment, "compute", fail)
    result = asr(store.root, setting(sparsity=[0.5, 0.6]) + SHARED)
    assert result.exit_code == 1
    assert (
        "failed: no luck" in result.output
        and "stored" in result.output.splitlines()[-1] + result.output.splitlines()[-2]
    )


def test_local_processes_compute_a_sweep(tmp_path):
    store, path = copy(tmp_path), tmp_path / "sweep.yaml"
    path.write_text(setting(sparsity=0.5) + SHARED)
    # A process of its own: those that it starts begin with its main module, which in a test may be anything.
    command = [sys.executable, "-m", "asr_core", "--cache-dir", store.root, "sweep", path, "--threads", "1"]
    found = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    assert found.stdout.splitlines()[-1].endswith("stored")


@pytest.fixture
def cluster():
    """The address of a scheduler with two workers of one thread, in this process."""
    distributed = pytest.importorskip("distributed", reason="Dask is optional: pip install distributed")
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": False, "dashboard_address": None}
    with distributed.LocalCluster(**options, protocol="tcp://") as found:
        yield found.scheduler_address


def test_a_dask_cluster_computes_a_sweep(tmp_path, cluster, monkeypatch):
    monkeypatch.setattr(costs, "MEASURED", 0.05)
    monkeypatch.setenv(runtime.SCHEDULER, cluster)
    store = copy(tmp_path)
    result = asr(store.root, setting(sparsity=[0.5, 0.6]) + SHARED, "--executor", "dask")
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[-1].startswith("2 of 2")


def lost() -> list[Exception]:
    """What a pool raises whose worker is gone."""
    try:
        from distributed import KilledWorker
    except ImportError:
        return [BrokenProcessPool("gone")]
    return [BrokenProcessPool("gone"), KilledWorker("a task", SimpleNamespace(address="tcp://gone"), 3)]


@pytest.mark.parametrize("error", lost(), ids=lambda error: type(error).__name__)
def test_a_lost_worker_is_one_line_with_the_remedy(error):
    with pytest.raises(AsrError, match="run again to go on"), executors._ending_well(ThreadPoolExecutor(1), True):
        raise error


def test_what_has_not_begun_is_given_up_after_an_error():
    ran = []
    with pytest.raises(ZeroDivisionError), executors._ending_well(ThreadPoolExecutor(1), True) as pool:
        pool.submit(time.sleep, 0.2)
        pool.submit(ran.append, 1)
        raise ZeroDivisionError
    assert ran == []


def test_a_cluster_that_is_not_named_or_not_there_is_said(monkeypatch):
    monkeypatch.delenv(runtime.SCHEDULER, raising=False)
    with pytest.raises(SpecError, match="--scheduler"), executors.opened("dask"):
        pass
    pytest.importorskip("distributed", reason="Dask is optional: pip install distributed")
    monkeypatch.setattr(executors, "PATIENCE", 0.2)
    with (
        pytest.raises(SpecError, match="no Dask scheduler answers"),
        executors.opened("dask", scheduler="tcp://127.0.0.1:9"),
    ):
        pass
