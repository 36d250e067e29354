"""What somebody looks at is computed first, and the result is the same."""

import numpy as np
import pytest
from made_maps import SETTING, copy

from asr_core.pipeline import plan
from asr_core.pipeline import run as experiment
from asr_core.pipeline.lab import Lab, Report
from asr_core.pipeline.order import Sooner, sooner
from asr_core.pipeline.stages import perform
from asr_core.runtime import Runtime
from asr_core.spec.experiment import ExperimentSpec
from asr_core.spec.keys import Keys
from asr_core.spec.recalibration import NO_STATE, BatchNormState, default_states
from asr_core.spec.repairs import BN_ONLY, DENSE, NO_REPAIR, RepairSpec

SPEC = ExperimentSpec.of_setting(
    SETTING.but(sparsity=0.6),
    (BN_ONLY, RepairSpec.of("lw_bn"), RepairSpec.of("asr_bn"), RepairSpec.of("asr_bn", "sequential")),
    default_states((1, 2, 3)),
)
SHOWN = RepairSpec.of("asr_bn")
STATE = BatchNormState.of("reset", "ema", 0.1, 1)
FIRST = Sooner((SHOWN, BN_ONLY), STATE)


def planned(first: Sooner | None = None) -> list[plan.Task]:
    every = plan.tasks(SPEC, "dense", 100, 20)
    return every if first is None else sooner(every, first, SPEC, "dense")


def place(found: list[plan.Task], stage: str, network: RepairSpec, state: BatchNormState = NO_STATE) -> int:
    return next(n for n, task in enumerate(found) if (task.stage, task.network, task.state) == (stage, network, state))


def test_the_first_number_needs_masks_statistics_and_one_evaluation():
    assert [(task.stage, task.network) for task in planned(FIRST)][:5] == [
        ("prune", NO_REPAIR),
        ("stats", NO_REPAIR),
        ("stats", DENSE),
        ("evaluation", BN_ONLY),  # what no repair is before recalibration
        ("evaluation", DENSE),
    ]


def test_what_is_shown_comes_before_all_else():
    found = planned(FIRST)
    shown = [FIRST.shows(task) for task in found]
    assert shown == sorted(shown, reverse=True)
    needed = {(task.network, task.state) for task in found[: sum(shown)] if task.stage == "evaluation"}
    assert needed == {
        *((network, NO_STATE) for network in (DENSE, BN_ONLY, SHOWN)),
        *((network, STATE) for network in (SHOWN, BN_ONLY)),
    }


def test_each_task_comes_after_what_it_is_built_from():
    found = planned(FIRST)
    for network in (repair for repair in SPEC.repairs if repair.order):
        repaired = place(found, "repair", network)
        assert place(found, "stats", NO_REPAIR) < repaired < place(found, "evaluation", network)
        assert place(found, "recalibration", network) < place(found, "evaluation", network, SPEC.states[-1])
    assert place(found, "recalibration", SHOWN, STATE) < place(found, "evaluation", SHOWN, STATE)
    assert place(found, "recalibration", SHOWN, STATE) < place(found, "recalibration", SHOWN)


def test_nothing_is_lost_and_no_pass_is_added():
    before, after = planned(), planned(FIRST)
    assert sum(task.images for task in before) == sum(task.images for task in after)
    added = {task.key for task in after} - {task.key for task in before}
    keys = Keys(SPEC, "dense")
    assert added == {keys.recalibration(network, 1) for network in FIRST.repairs}
    assert {task.key for task in before} <= {task.key for task in after}


def test_a_state_that_takes_all_batches_splits_nothing():
    whole = Sooner((SHOWN,), BatchNormState.of(averaging="cumulative", calib_batches=3))
    assert {task.key for task in planned(whole)} == {task.key for task in planned()}
    assert whole.shows(planned(whole)[place(planned(whole), "recalibration", SHOWN, whole.state)])


def test_a_state_that_is_not_computed_changes_only_the_order():
    other = Sooner((SHOWN,), BatchNormState.of(calib_batches=9))
    assert sorted(planned(other), key=str) == sorted(planned(), key=str)


def test_a_view_survives_json():
    assert Sooner.from_dict(FIRST.as_dict()) == FIRST
    assert Sooner.from_dict(Sooner((), NO_STATE).as_dict()).state == NO_STATE


def test_the_result_is_the_same_in_either_order(tmp_path):
    one, other = copy(tmp_path / "one"), copy(tmp_path / "other")
    plain, hurried = experiment.run(SPEC, one), experiment.run(SPEC, other, first=FIRST)
    assert plain.accuracy.equals(hurried.accuracy)
    assert plain.repairs.equals(hurried.repairs)
    keys = Keys(SPEC, plain.setting["dense_id"])
    name = "recalibration", keys.recalibration(SHOWN)
    records = [store.find(*name).arrays("record") for store in (one, other)]
    assert all(np.array_equal(records[0][layer], records[1][layer]) for layer in records[0])


@pytest.mark.parametrize("batches", [1, 2])
def test_a_record_goes_on_from_a_shorter_one(tmp_path, batches):
    store = copy(tmp_path)
    report = Counted()
    lab = Lab(SPEC, store, report, Runtime(threads=1))
    first = Sooner((BN_ONLY,), BatchNormState.of(averaging="cumulative", calib_batches=batches))
    todo = sooner(plan.missing(SPEC, store, lab.dense_id, 1437, 360), first, SPEC, lab.dense_id)
    masks, *_ = todo
    short, whole = (t for t in todo if t.stage == "recalibration" and t.network == BN_ONLY)
    perform(lab, [masks, short, whole])
    assert report.images == [16 * batches, 16 * (3 - batches)]
    assert (short.images, whole.images) == tuple(report.images)


class Counted(Report):
    """Images of each recorded pass."""

    def __init__(self):
        self.images, self.stage = [], ""

    def started(self, task):
        self.stage = task.stage
        if self.stage == "recalibration":
            self.images.append(0)

    def advance(self, images):
        if self.stage == "recalibration":
            self.images[-1] += images
