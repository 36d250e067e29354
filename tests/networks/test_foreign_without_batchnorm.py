"""Networks of somebody else's code without BatchNorm: the network is asked, and nothing is recalibrated of it."""

import json
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from asr_core.cli.main import main
from asr_core.errors import ModelError
from asr_core.jobs import jobs, worker
from asr_core.jobs.jobs import Wanted
from asr_core.jobs.queue import Limits
from asr_core.jobs.runner import Runner
from asr_core.networks import models, named, own
from asr_core.pipeline import asked, run
from asr_core.pipeline.lab import Lab, Report
from asr_core.runtime import Runtime
from asr_core.spec.model import ModelSpec
from asr_core.spec.recalibration import NO_STATE, NOTHING
from asr_core.spec.repairs import BN_ONLY
from asr_core.store import results
from asr_core.store.entries import PROJECT
from asr_core.store.tables import networks

QUICK = {
    "epochs": 1,
    "batch_size": 256,
    "eval_images": 20,
    "stat_images": 8,
    "sparsity": 0.5,
    "orders": ("sequential",),
}
OPTIONS = "--epochs 1 --batch-size 256 --eval-images 20 --stat-images 8 --sparsity 0.5 --orders sequential --threads 1"

pytestmark = pytest.mark.usefixtures("nobody_named_any")


@pytest.fixture
def timm(monkeypatch, file):
    """A timm of two networks: `normed` without BatchNorm, `small` with it; what of it was built."""
    built, code = [], {}
    exec(file.read_text(), code)

    def create_model(name, pretrained, num_classes):
        built.append(name)
        return code[name](num_classes)

    there = {"normed", "small"}
    found = SimpleNamespace(
        __version__="1", is_model=there.__contains__, list_models=lambda like: [], create_model=create_model
    )
    monkeypatch.setitem(sys.modules, "timm", found)
    return built


@pytest.mark.parametrize("function", ["normed", "patches"])
def test_the_command_line_runs_it_with_the_usual_options_and_says_that_nothing_is_recalibrated(function, file, store):
    given = f"--cache-dir {store.root} run --architecture {file}:{function} {OPTIONS} --methods bn_only,asr_bn"
    found = CliRunner().invoke(main, given.split(), catch_exceptions=False)
    assert found.exit_code == 0 and NOTHING in found.output
    assert "b=0" in found.output and "b=10" not in found.output and "BN only" not in found.output


def test_a_network_is_asked_whether_it_has_batchnorm(file, store):
    models_ = [asked.setting(store, architecture=f"{file}:{name}").model for name in ("normed", "patches", "small")]
    assert [model.batchnorm for model in models_] == [False, False, True]
    assert [model.without_batchnorm for model in models_] == [True, True, False]


def test_of_a_notebooks_network_without_it_nothing_is_recalibrated(file, store):
    model = asked.setting(store, architecture=f"{file}:normed").model
    name = named.hold("normed", models.build(model, 10, 32))
    spec = asked.experiment(store, architecture=name)
    assert spec.states == (NO_STATE,) and BN_ONLY not in spec.repairs


def test_of_timms_networks_too_and_the_others_keep_what_is_asked(timm, store):
    one, other = (asked.experiment(store, architecture=f"timm:{name}") for name in ("normed", "small"))
    assert one.states == (NO_STATE,) and BN_ONLY not in one.repairs
    assert len(other.states) > 1 and BN_ONLY in other.repairs
    assert one.model.network_digest is None


def test_a_stored_network_of_timms_is_not_built_to_look_at_it(timm, store):
    values = {"architecture": "timm:normed", "methods": ("lw_bn",), **QUICK}
    run.run(asked.experiment(store, **values), store)
    timm.clear()
    spec = asked.experiment(store, **values)
    assert results.find(spec, store) is not None and timm == []


def test_what_it_says_of_itself_goes_with_it(file, store):
    model = asked.setting(store, architecture=f"{file}:normed").model
    assert ModelSpec.pick(**model.values()) == model
    assert not ModelSpec.pick(**model.values() | {"architecture": "resnet18"}).without_batchnorm


@pytest.mark.parametrize(
    ("function", "said", "why"),
    [
        (
            "normed",
            False,
            "network nets.py:normed has no BatchNorm to recalibrate, and was asked as one with; choose it",
        ),
        ("small", True, "network nets.py:small has BatchNorm to recalibrate, and was asked as one without; choose it"),
    ],
)
def test_a_network_that_says_otherwise_than_it_was_asked_is_refused_before_anything_is_computed(
    function, said, why, file, store
):
    spec = asked.experiment(store, architecture=f"{file}:{function}")
    other = spec.with_(model=replace(spec.model, without_batchnorm=said))
    with pytest.raises(ModelError, match=why):
        run.check(Lab(other, store, Report(), Runtime()))


def test_a_process_of_its_own_says_it(file):
    done = subprocess.run(
        [sys.executable, "-m", "asr_core.networks.identify", "nets.py:normed", "10", "32"],
        env={"PYTHONPATH": str(PROJECT), named.ENVIRONMENT: f"{file}:normed", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
        cwd=PROJECT,
    )
    found = json.loads(done.stdout.splitlines()[-1])
    named.admit(f"{file}:normed")
    assert found == own.identity("nets.py:normed", 10, 32) and found["without_batchnorm"] is True


@pytest.mark.parametrize("function", ["normed", "patches"])
def test_a_job_of_it_ends_well_and_its_result_is_without_recalibration(function, file, store, monkeypatch):
    monkeypatch.setattr(Runner, "tend", lambda self: None)  # no worker process: this one computes
    wanted = Wanted(asked.experiment(store, architecture=f"{file}:{function}", methods=("bn_only", "lw_bn"), **QUICK))
    Runner(store).submit(wanted)
    assert worker.compute_next(store.root, Limits(), "dask mine")
    assert jobs.read(store, wanted.id).state == "finished"
    found = results.find(wanted.experiment, store)
    assert not found.batchnorm and set(found.accuracy["calib_batches"]) == {0}
    assert "bn_only" not in {network.method for network in networks(found.accuracy)}
