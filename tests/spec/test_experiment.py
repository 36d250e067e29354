"""The pipeline end to end on real digits: shared stages, counted passes, interruption, damage."""

import os
import signal
import subprocess
import sys
import time
import warnings

import numpy as np
import pandas as pd
import pytest
from counting import Counter
from made_jobs import held

from asr_core import evaluate, recalibrate
from asr_core.errors import AsrError, DataError, ModelError
from asr_core.images import data
from asr_core.jobs.jobs import Wanted
from asr_core.measure import confidence
from asr_core.pipeline import asked, lab, plan
from asr_core.pipeline import run as experiment
from asr_core.runtime import Runtime
from asr_core.spec.dense import DenseSpec
from asr_core.spec.experiment import ExperimentSpec
from asr_core.spec.keys import Keys
from asr_core.spec.model import ModelSpec
from asr_core.spec.parts import DataSpec, PruneSpec
from asr_core.spec.recalibration import NO_STATE, BatchNormState, default_states
from asr_core.spec.repairs import DENSE, NO_REPAIR, RepairSpec
from asr_core.spec.samples import CalibrationSpec, EvalSpec
from asr_core.store import Store, answers, results
from asr_core.store.tables import is_of, networks
from benchmarks import setting

SMALL = ExperimentSpec(
    data=DataSpec(image_size=32),
    model=ModelSpec(architecture="resnet18"),
    dense=DenseSpec(epochs=1),
    prune=PruneSpec.of("global_l1", sparsity=0.9),
    calibration=CalibrationSpec(stat_images=32, calib_batch_size=32),
    evaluation=EvalSpec(eval_images=60),
    repairs=(
        RepairSpec.of("bn_only"),
        RepairSpec.of("lw_bn", "simultaneous"),
        RepairSpec.of("asr_bn", "sequential"),
    ),
    states=default_states((1, 2)),
)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def first(root):
    """The first run of SMALL, with what it counted."""
    counter = Counter()
    return experiment.run(SMALL, Store(root), counter), counter


def test_a_run_does_exactly_the_passes_of_its_plan(first):
    _, counter = first
    planned = plan.count_images(counter.listed).groupby("stage")["images"].sum()
    done = {stage: images for stage, images in counter.images.items() if stage != "images"}
    assert done == {stage: images for stage, images in planned.items() if images}
    # dense and 3 repairs record 2 batches of 32; 2 sequential statistics passes would be quadratic, one is enough
    assert done["recalibration"] == (1 + 3) * 2 * 32 and done["repair"] == 32


def test_the_second_run_computes_nothing(first, root):
    counter = Counter()
    again = experiment.run(SMALL, Store(root), counter)
    assert counter.images == {}
    pd.testing.assert_frame_equal(again.accuracy, first[0].accuracy)


def test_another_pruning_shares_the_dense_network_and_its_statistics(first, root):
    counter = Counter()
    other = SMALL.with_(prune=PruneSpec.of("n_m"), repairs=(RepairSpec.of("bn_only"),))
    found = experiment.run(other, Store(root), counter)
    assert "dense" not in counter.images and found.setting["dense_id"] == first[0].setting["dense_id"]
    assert counter.images["stats"] == 32  # of the pruned network; those of the dense one are shared


def test_another_budget_within_the_recorded_pass_costs_only_its_evaluation(first, root):
    counter = Counter()
    more = (*SMALL.states, BatchNormState.of("reset", "ema", 0.3, 2))
    experiment.run(SMALL.with_(states=more), Store(root), counter)
    assert counter.images == {"evaluation": (1 + 3) * 60}


def test_a_damaged_stage_is_computed_again_and_only_that(first, root):
    store = Store(root)
    store.clear(["result"])
    entry = store.find("evaluation", Keys(SMALL, first[0].setting["dense_id"]).evaluation(NO_REPAIR, NO_STATE))
    (entry.folder / "predictions.npz").write_bytes(b"broken")
    counter = Counter()
    with pytest.warns(UserWarning, match=r"predictions\.npz has changed"):
        experiment.run(SMALL, Store(root), counter)
    assert counter.images == {"evaluation": 60}


def test_rows_name_every_choice_and_hold_one_dense_network(first):
    accuracy = first[0].accuracy
    assert len(accuracy) == 1 + (1 + 3) * len(SMALL.states) and accuracy["dense_id"].nunique() == 1
    assert accuracy.loc[accuracy["calib_batches"] == 0, "start"].isna().all()
    assert accuracy.loc[accuracy["averaging"] == "cumulative", ["start", "momentum"]].isna().all().all()
    assert ((accuracy["top1_low"] <= accuracy["top1"]) & (accuracy["top1"] <= accuracy["top1_high"])).all()
    assert (
        accuracy.loc[accuracy["method"] == "bn_only", "top1"].iloc[0]
        == accuracy.set_index("method")["top1"]["no_repair"]
    )
    assert accuracy["distinct_images"].dropna().isin([32, 64]).all()


def test_the_dense_network_has_a_row_for_every_recalibration_that_the_repairs_have(first):
    accuracy, state = first[0].accuracy, ["start", "averaging", "momentum", "calib_batches"]
    dense, plain = (accuracy.loc[accuracy["method"] == method, state].astype(str) for method in ("dense", "bn_only"))
    assert dense.to_numpy().tolist() == plain.to_numpy().tolist()
    assert (networks(accuracy)[accuracy["method"] == "dense"] == DENSE).all()
    assert is_of(accuracy, DENSE).sum() == len(dense)
    assert accuracy["method"].tolist()[: len(SMALL.states) + 1] == ["dense"] * len(SMALL.states) + ["no_repair"]


def test_a_recalibrated_dense_row_is_what_recalibrating_the_dense_network_gives(first, root):
    where = lab.Lab(SMALL, Store(root), lab.Report(), Runtime())
    batches = where.data.calibration_batches(2, 32, SMALL.calibration.draw)
    found = recalibrate(where.network(DENSE), batches, (2,), averaging="cumulative")[2]
    indices = where.data.eval_indices(60, SMALL.evaluation.subset)
    scored = evaluate(found, where.data.test_batch(indices), where.data.test_labels[indices])
    rows = first[0].accuracy.query("method == 'dense' and averaging == 'cumulative' and calib_batches == 2")
    assert rows["top1"].tolist() == [scored.top1]


def test_json_rows_have_null_where_a_field_does_not_apply(first):
    found = results.as_json(first[0])
    dense = found["accuracy"][0]
    assert list(dense) == list(results.ROW_FIELDS)
    assert [name for name, value in dense.items() if value is None] == [
        "order",
        "bias",
        "prior",
        "start",
        "averaging",
        "momentum",
        "pseudo_count",
        "stat_images",
        "distinct_images",
    ]
    assert dense["calib_batches"] == 0 and dense["n_eval"] == 60


def test_stored_correctness_is_that_of_the_rows(first):
    stored = first[0].entry.arrays("correct")
    correct = np.unpackbits(stored["bits"], axis=1, count=int(stored["n"]))
    np.testing.assert_allclose(correct.mean(1), first[0].accuracy["top1"])


def test_stored_answers_and_confidences_are_those_of_the_rows(first):
    result, found = first[0], answers.read(first[0].entry)
    np.testing.assert_allclose(found.correct.mean(1), result.accuracy["top1"])
    assert found.labels.shape == (60,)
    np.testing.assert_allclose([confidence.ece(bins) for bins in found.bins], result.accuracy["ece"], atol=1e-6)
    np.testing.assert_allclose(found.bins[:, :, 1].sum(1) / 60, result.accuracy["confidence"], rtol=1e-5)


def test_every_table_covers_the_network(first):
    result, channels = first[0], 4800
    assert len(result.channels) == channels and len(result.repairs) == 3 * channels
    assert len(result.convs) == 20 and result.convs["depth"].tolist() == list(range(20))
    assert set(networks(result.layers)) == {NO_REPAIR, *SMALL.repairs}
    assert not result.channels[["v_dense", "v_pruned"]].isna().any().any()
    assert result.setting["sparsity_achieved"] == pytest.approx(0.9, abs=1e-6)


def test_a_network_trained_twice_is_two_identities(root, first):
    other = SMALL.with_(
        dense=DenseSpec(epochs=1, seed=1), repairs=(RepairSpec.of("bn_only"),), states=default_states((1,))
    )
    second = experiment.run(other, Store(root)).setting["dense_id"]
    assert second != first[0].setting["dense_id"]
    Store(root).clear(["result"])
    (root / "dense" / second / "weights.safetensors").write_bytes(b"broken")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        experiment.run(other.with_(dense=DenseSpec(epochs=1, seed=1, learning_rate=0.04)), Store(root))
    known = {m["facts"]["dense_id"] for m in Store(root).manifests("dense")}
    assert len(known) == 3


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"evaluation": EvalSpec(eval_images=361)}, DataError, "361 test images asked, .* has 360"),
        ({"calibration": CalibrationSpec(stat_images=1438)}, DataError, "1438 statistics images asked, .* has 1437"),
        ({"model": ModelSpec.of("vgg16_bn", stem="half")}, ModelError, "cannot run on 32x32 images"),
        ({"dense": DenseSpec(source="file", weights_digest="0" * 24)}, AsrError, "--weights FILE"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_expensive(root, change, error, message):
    counter = Counter()
    with pytest.raises(error, match=message):
        experiment.run(SMALL.with_(**change), Store(root), counter)
    assert counter.images == {}


def test_ctrl_c_keeps_finished_stages_and_leaves_no_debris(first, root, tmp_path):
    store = setting.with_dense_only(Store(root), tmp_path, first[0].setting["dense_id"])
    wanted = Wanted(asked.experiment(store, epochs=1, eval_images=60, methods=("bn_only",)))
    run = [sys.executable, "-m", "asr_core", "--cache-dir", str(tmp_path), "run"]
    run += ["--epochs", "1", "--eval-images", "60", "--methods", "bn_only"]
    heard = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}  # a background shell ignores Ctrl-C
    with held(wanted, store):
        worker = subprocess.Popen(run, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **heard)
        while not list(tmp_path.glob("evaluation/*")) and worker.poll() is None:
            time.sleep(0.05)
        os.kill(worker.pid, signal.SIGINT)
        _, said = worker.communicate()
    assert worker.returncode == 130 and "what was finished is stored" in said
    assert list(tmp_path.glob("dense/*")) and not list(tmp_path.glob(".tmp/*"))
    assert Store(tmp_path).verify() == []


def test_the_decoded_images_are_not_read_for_a_stored_result(first, root, monkeypatch):
    experiment.run(SMALL, Store(root))
    monkeypatch.setattr(data, "load", lambda *_: pytest.fail("images were loaded"))
    assert len(experiment.run(SMALL, Store(root)).accuracy)
