"""A stopped run whose dense network was in training: what is told of it, and that the next run goes on from there."""

import pytest

from asr_core.jobs import estimate, load, tracking
from asr_core.jobs.jobs import Wanted
from asr_core.networks import resume
from asr_core.pipeline import run as experiment
from asr_core.pipeline.lab import Lab, Report, ensure_dense
from asr_core.pipeline.plan import Task
from asr_core.report import textreport
from asr_core.runtime import Runtime
from asr_core.spec.dense import DenseSpec
from asr_core.spec.experiment import ExperimentSpec
from asr_core.spec.keys import recipe_key
from asr_core.spec.model import ModelSpec
from asr_core.spec.parts import DataSpec
from asr_core.spec.recalibration import BatchNormState
from asr_core.spec.repairs import RepairSpec
from asr_core.spec.samples import CalibrationSpec, EvalSpec
from asr_core.store import Store

SPEC = ExperimentSpec(
    data=DataSpec(image_size=16),
    model=ModelSpec(architecture="cifar_resnet20"),
    dense=DenseSpec(epochs=2, batch_size=256, average=True),
    calibration=CalibrationSpec(stat_images=16, calib_batch_size=32),
    evaluation=EvalSpec(eval_images=64),
    repairs=(RepairSpec.of("bn_only"), RepairSpec.of("asr_bn")),
    states=(BatchNormState(), BatchNormState.of(averaging="cumulative", calib_batches=1)),
)
EPOCH = 1437  # images
SPEED = {"start": 1.0, "build": 0.5, "assemble": 0.2, "decode": 1e-4, "train": 0.01}
SPEED |= dict.fromkeys(("evaluation", "recalibration", "stats", "repair"), 0.003)


class Stopped(Exception):
    """Raised in the middle of a training."""


class Heard(Report):
    """Counts the images trained on; stops after `most` of them."""

    def __init__(self, most=float("inf")):
        self.most, self.trained, self.before, self.training = most, 0, 0, False

    def started(self, task):
        self.training = task.stage == "dense"

    def advance(self, images):
        self.trained += images * self.training
        if self.trained > self.most:
            raise Stopped

    def resumed(self, images):
        self.before += images


@pytest.fixture
def store(tmp_path, monkeypatch):
    """A store in which each epoch is kept."""
    monkeypatch.setattr(resume, "PAUSE", 0)
    monkeypatch.setattr(resume, "COST", float("inf"))
    return Store(tmp_path / "broken")


def test_a_stopped_run_goes_on_with_the_dense_network_that_it_trained(store, tmp_path):
    with pytest.raises(Stopped):
        experiment.run(SPEC, store, Heard(most=EPOCH + 500))
    assert f"training {recipe_key(SPEC)}: 1 of 2 epochs, loss " in textreport.stored(store)
    rest = Heard()
    result = experiment.run(SPEC, store, rest)
    assert (rest.before, rest.trained) == (EPOCH, EPOCH)
    assert set(result.convs["absorbed"]) == {"yes"}
    assert "training" not in textreport.stored(store)
    assert result.setting["dense_id"] == ensure_dense(Lab(SPEC, Store(tmp_path / "whole"), Report(), Runtime()))


def test_epochs_of_an_earlier_run_teach_no_speed_and_leave_less_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(load, "slowdown", lambda: 1.0)
    store = Store(tmp_path)
    tracker = tracking.Tracker(Wanted(SPEC), store, SPEED, tmp_path / "progress.jsonl", importing=1.0)
    (training,) = [task for task in Wanted(SPEC).tasks(store) if task.stage == "dense"]
    before = tracker.seconds_left()
    tracker.started(training)
    tracker.count("resumed", EPOCH)
    assert tracker.seconds_left() == pytest.approx(before - EPOCH * SPEED["train"], rel=0.1)
    tracker.count("train", EPOCH)
    tracker.finished(training)
    (cost,) = estimate.costs([training], SPEED)
    assert tracker.expected["train"] == pytest.approx(cost / 2)


def test_a_stage_that_was_done_before_as_a_whole_teaches_nothing(tmp_path):
    store = Store(tmp_path)
    tracker = tracking.Tracker(Wanted(SPEC), store, SPEED, tmp_path / "progress.jsonl", importing=1.0)
    training = Task("dense", recipe_key(SPEC), 2 * EPOCH, kind="train")
    tracker.started(training)
    tracker.resumed(2 * EPOCH)
    tracker.finished(training)
    assert not tracker.expected["train"]
