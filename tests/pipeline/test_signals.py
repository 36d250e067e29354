"""The stage that stores signal tables: only when asked, right, once per network, read without torch."""

import numpy as np
import pytest
from click.testing import CliRunner
from counting import Counter
from made_maps import RECALIBRATED, SPEC, copy

from asr_core import signal
from asr_core.cli.main import main
from asr_core.jobs.jobs import Wanted
from asr_core.measure import errorparts
from asr_core.pipeline import plan, run, signal_stage, signals
from asr_core.pipeline.lab import Lab, Report
from asr_core.report import signaltext
from asr_core.runtime import Runtime
from asr_core.spec.recalibration import NO_STATE
from asr_core.spec.repairs import DENSE, NO_REPAIR
from asr_core.store import results
from asr_core.store.tables import networks, rows_of


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return copy(tmp_path_factory.mktemp("signals"))


@pytest.fixture(scope="module")
def counter(store):
    counter = Counter()
    run.signal(SPEC, store, RECALIBRATED, report=counter)
    return counter


@pytest.fixture(scope="module")
def table(store, counter):
    found, absent = signals.read(SPEC, store, results.dense_here(store, SPEC), RECALIBRATED)
    assert absent == []
    return found


def test_the_default_plan_holds_no_signal():
    assert "signal" not in {task.stage for task in plan.tasks(SPEC, "1" * 16, 1437, 360)}


def test_every_network_is_there_before_and_after_recalibration_on_both_kinds_of_images(table):
    assert set(networks(table)) == {NO_REPAIR, *SPEC.repairs}
    assert set(table["images"]) == {"calibration", "test"}
    assert set(rows_of(table, NO_REPAIR)["state"]) == {"repaired"}
    for repair in SPEC.repairs:
        assert set(rows_of(table, repair)["state"]) == {"repaired", "recalibrated"}


def test_the_numbers_are_those_of_the_public_function(store, table):
    dense_id = results.dense_here(store, SPEC)
    lab = Lab(SPEC, store, Report(), Runtime())
    lab.dense_id = dense_id
    dense = signal_stage.copy.deepcopy(lab.network(DENSE))
    repair = SPEC.repairs[1]
    expected = signal(dense, lab.network(repair), lab.stat_batch)
    rows = rows_of(table, repair).query("state == 'repaired' and images == 'calibration'")
    np.testing.assert_allclose(rows["rho"], expected["rho"], rtol=1e-4)
    np.testing.assert_allclose(rows["error_decorrelation"], expected["error_decorrelation"], rtol=1e-3, atol=1e-6)


def test_the_dense_network_runs_once_for_all_networks(counter):
    """16 statistics and 16 test images: no repair, which bn_only is before recalibration, and 5 more networks."""
    assert counter.images["signal"] == 32 * (1 + 6)
    listed = [task for task in counter.listed if task.stage == "signal"]
    assert sum(task.images for task in listed) == counter.images["signal"]


def test_what_is_stored_is_not_computed_again(store, table):
    counter = Counter()
    run.signal(SPEC, store, RECALIBRATED, report=counter)
    assert counter.images == {}
    wanted = Wanted(SPEC, signal=RECALIBRATED)
    assert wanted.tasks(store) == [] and wanted.stored(store)


def test_large_outputs_are_made_anew_for_each_network(tmp_path, monkeypatch, table):
    monkeypatch.setattr(signal_stage, "KEPT_BYTES", 0)
    store = copy(tmp_path)
    dense_id = run.signal(SPEC, store, NO_STATE)
    found, _ = signals.read(SPEC, store, dense_id, NO_STATE)
    rows = table[table["state"] == "repaired"]
    np.testing.assert_allclose(found[list(errorparts.PARTS)], rows[list(errorparts.PARTS)], rtol=1e-3, atol=1e-6)


def test_what_is_not_stored_is_named(tmp_path):
    store = copy(tmp_path)
    found, absent = signals.read(SPEC, store, results.dense_here(store, SPEC), RECALIBRATED)
    assert found is None
    assert absent[0] == (NO_REPAIR, NO_STATE)
    assert len(absent) == 7


def test_a_job_of_signal_reads_itself_back(tmp_path):
    wanted = Wanted(SPEC, signal=RECALIBRATED)
    assert wanted.id != Wanted(SPEC).id
    assert wanted.as_dict()["signal"]["calib_batches"] == 1


def test_a_repair_brings_error_that_a_factor_could_mend_to_an_end_never_above_the_whole(table):
    found = signaltext.summary(table)
    assert ((found["mendable"] >= 0) & (found["mendable"] <= 1)).all()
    assert "median over layers" in signaltext.text(table)


def test_the_command_line_stores_and_prints_them(tmp_path):
    store, values = copy(tmp_path), {name: value for name, value in SPEC.setting.values().items() if value is not None}
    names = ("architecture", "stem", "epochs", "sparsity", "stat_images", "calib_batch_size", "eval_images")
    options = [part for name in names for part in (f"--{name.replace('_', '-')}", str(values[name]))]
    grid = ["--methods", "lw_bn", "--orders", "simultaneous", "--biases", "off", "--calib-batches", "1"]
    found = CliRunner().invoke(
        main, ["--cache-dir", str(store.root), "signal", *options, *grid], catch_exceptions=False
    )
    assert found.exit_code == 0, found.output
    assert "decorrelation" in found.stdout and "LW (eq. 1)" in found.stdout
