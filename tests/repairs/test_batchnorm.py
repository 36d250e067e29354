"""BatchNorm recalibration: arithmetic on one recorded pass equals really running each kind of recalibration."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_networks import TinyVGG, Twice, fingerprint, noise, seeded
from torch import nn
from torch.optim.swa_utils import update_bn

from asr_core import recalibrate
from asr_core.errors import DataError, ModelError, SpecError, UnknownName
from asr_core.networks import models
from asr_core.repairs import batchnorm
from asr_core.spec.recalibration import BatchNormState

BATCHES = [noise(6, seed) for seed in range(5)]
# Few batches from reset: that the start still shows is what these tests are about.
pytestmark = pytest.mark.filterwarnings("ignore:.* is left of the start")


def really(model, batches, start, averaging, momentum):
    """Recalibration as one would write it: BatchNorm in train mode, one forward pass per batch."""
    model = copy.deepcopy(model).eval()
    for bn in models.batchnorms(model).values():
        if start == "reset" or averaging == "cumulative":
            bn.reset_running_stats()
        bn.momentum = momentum if averaging == "ema" else None
        bn.train()
    with torch.no_grad():
        for batch in batches:
            model(batch)
    return model.eval()


def assert_same_running(found, expected, rel=1e-5):
    layers = models.batchnorms(expected)
    assert layers
    for name, bn in layers.items():
        for buffer in ("running_mean", "running_var"):
            wanted = getattr(bn, buffer)
            torch.testing.assert_close(
                getattr(found.get_submodule(name), buffer), wanted, rtol=rel, atol=rel * wanted.abs().max().item()
            )


# --- by hand ---


def recorded(*batches):
    """A record of one BatchNorm with one channel from (mean, variance) pairs."""
    return {"bn": np.array(batches, np.float32)[:, :, None]}


KEPT = {"bn": (np.array([10.0]), np.array([100.0]))}


def running(record, **state):
    mean, variance = batchnorm.running_statistics(record, BatchNormState.of(**state), KEPT)["bn"]
    return mean.item(), variance.item()


def test_ema_from_reset_by_hand():
    """0.9 * (0.9 * 0 + 0.1 * 2) + 0.1 * 4 = 0.58; 0.9 * (0.9 * 1 + 0.1 * 3) + 0.1 * 5 = 1.58."""
    found = running(recorded((2, 3), (4, 5)), start="reset", momentum=0.1, calib_batches=2)
    assert found == pytest.approx((0.58, 1.58))


def test_ema_from_keep_by_hand():
    """From 10 and 100: 0.75 * (0.75 * 10 + 0.25 * 2) + 0.25 * 4 = 7; 0.75 * (75 + 0.75) + 1.25 = 58.0625."""
    found = running(recorded((2, 3), (4, 5)), start="keep", momentum=0.25, calib_batches=2)
    assert found == pytest.approx((7, 58.0625))


def test_cumulative_is_the_mean_over_batches_whatever_the_start():
    record = recorded((2, 3), (4, 5), (600, 700))
    for start in ("reset", "keep"):
        assert running(record, start=start, averaging="cumulative", calib_batches=2) == pytest.approx((3, 4))


def test_momentum_1_keeps_the_last_batch_alone():
    assert running(recorded((2, 3), (4, 5)), start="keep", momentum=1.0, calib_batches=2) == pytest.approx((4, 5))


def test_no_batches_keep_what_was_there():
    assert running(recorded((2, 3)), calib_batches=0) == (10, 100)


@pytest.mark.parametrize("b, left_over", [(10, 0.349), (20, 0.122), (30, 0.042), (50, 0.005)])
def test_what_is_left_of_the_start_at_momentum_a_tenth(b, left_over):
    """Batches of zeros: only the initial variance of 1 remains, (1 - momentum)^b of it."""
    found = running(recorded(*[(0, 0)] * b), start="reset", momentum=0.1, calib_batches=b)
    assert found == (0, pytest.approx(0.9**b)) and found[1] == pytest.approx(left_over, abs=5e-4)


@given(
    values=st.lists(st.tuples(st.floats(-5, 5, width=32), st.floats(0, 9, width=32)), min_size=1, max_size=8),
    momentum=st.floats(0.01, 1),
    start=st.sampled_from(["reset", "keep"]),
)
def test_the_closed_form_equals_the_loop(values, momentum, start):
    mean, variance = (0.0, 1.0) if start == "reset" else (10.0, 100.0)
    for m, v in values:
        mean, variance = (1 - momentum) * mean + momentum * m, (1 - momentum) * variance + momentum * v
    found = running(recorded(*values), start=start, momentum=momentum, calib_batches=len(values))
    assert found == pytest.approx((mean, variance), rel=1e-9, abs=1e-9)


# --- against real runs ---


@pytest.mark.parametrize("momentum", [0.1, 0.37, 1.0])
@pytest.mark.parametrize("averaging", ["ema", "cumulative"])
@pytest.mark.parametrize("start", ["reset", "keep"])
def test_one_recorded_pass_equals_a_real_run_for_each_budget(model, start, averaging, momentum):
    found = recalibrate(model, BATCHES, (0, 1, 3, 5), start, averaging, momentum)
    assert sorted(found) == [0, 1, 3, 5]
    for b in (1, 3, 5):
        assert_same_running(found[b], really(model, BATCHES[:b], start, averaging, momentum))


def test_cumulative_equals_update_bn_of_torch(model):
    expected = copy.deepcopy(model)
    update_bn(BATCHES, expected)
    assert_same_running(recalibrate(model, BATCHES, (5,), averaging="cumulative")[5], expected)


def test_a_float64_network_is_recorded_in_float64(model):
    model = model.double()
    batches = [batch.double() for batch in BATCHES]
    found = recalibrate(model, batches, (5,), "keep", "ema", 0.1)[5]
    assert_same_running(found, really(model, batches, "keep", "ema", 0.1), rel=1e-12)


def test_the_record_holds_each_batchs_mean_and_unbiased_variance():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).eval()
    record = batchnorm.record(model, BATCHES, 3)
    assert record["1"].shape == (3, 2, 4) and record["1"].dtype == np.float32
    with torch.no_grad():
        y = model[0](BATCHES[2]).double()
    np.testing.assert_allclose(record["1"][2, 0], y.mean((0, 2, 3)), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(record["1"][2, 1], y.var((0, 2, 3), correction=1), rtol=1e-5)


def test_a_network_with_momentum_none_is_recalibrated_alike(model):
    expected = recalibrate(model, BATCHES, (3,), "keep", "ema", 0.1)[3]
    for bn in models.batchnorms(model).values():
        bn.momentum = None
    found = recalibrate(model, BATCHES, (3,), "keep", "ema", 0.1)[3]
    assert_same_running(found, expected, rel=0)
    assert all(bn.momentum is None for bn in models.batchnorms(found).values())


def test_recalibrated_twice_from_keep_goes_on_from_the_first(model):
    first = recalibrate(model, BATCHES[:2], (2,), "reset")[2]
    second = recalibrate(first, BATCHES[2:], (3,), "keep")[3]
    assert_same_running(second, recalibrate(model, BATCHES, (5,), "reset")[5])


def test_only_running_statistics_change(model):
    found = recalibrate(model, BATCHES, (2,))[2]
    before, after = fingerprint(model), fingerprint(found)
    changed = {name for name in before["tensors"] if before["tensors"][name] != after["tensors"][name]}
    assert changed == {f"{n}.{b}" for n in models.batchnorms(model) for b in ("running_mean", "running_var")}
    assert before["modules"] == after["modules"]


# --- the given network ---


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("momentum", [0.1, None])
def test_the_given_network_is_unchanged_to_the_bit(model, training, momentum):
    model.train(training)
    for bn in models.batchnorms(model).values():
        bn.momentum = momentum
        bn.num_batches_tracked.fill_(7)
    before = fingerprint(model)
    found = recalibrate(model, BATCHES, (0, 2), "reset")
    assert fingerprint(model) == before
    assert fingerprint(found[0]) == before and found[0] is not model


def test_dropout_stays_off_while_recording():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Dropout(0.5), nn.BatchNorm2d(4)).train()
    first, second = (batchnorm.record(model, BATCHES, 2) for _ in range(2))
    np.testing.assert_array_equal(first["2"], second["2"])


def test_a_forward_pass_that_fails_leaves_everything_as_it_was(model):
    model.train()
    before = fingerprint(model)
    with pytest.raises(ModelError, match=r"cannot run on a batch of shape \(2, 4, 8, 8\)"):
        recalibrate(model, [BATCHES[0], torch.zeros(2, 4, 8, 8)], (2,))
    assert fingerprint(model) == before


def test_the_present_statistics_are_copies():
    for dtype in (torch.float32, torch.float64):
        model = seeded(TinyVGG).to(dtype)
        kept = batchnorm.running_of(model)
        before = fingerprint(model)
        batchnorm.load_running(model, {name: (m + 1, v + 1) for name, (m, v) in kept.items()})
        assert fingerprint(model) != before
        assert fingerprint(batchnorm.load_running(model, kept)) == before


def test_all_budgets_take_one_pass_and_no_batch_too_many(model):
    calls, drawn = [], []
    model.register_forward_hook(lambda *_: calls.append(1))

    def source():
        for i, batch in enumerate(BATCHES):
            drawn.append(i)
            yield batch

    recalibrate(model, source(), (1, 2, 3))
    assert len(calls) == 3 and drawn == [0, 1, 2]


def test_a_batchnorm_outside_the_conv_path_is_recalibrated_too():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.BatchNorm1d(4)).eval()
    assert_same_running(recalibrate(model, BATCHES, (3,))[3], really(model, BATCHES[:3], "reset", "ema", 0.1))


def test_a_network_that_runs_a_conv_twice_is_recalibrated():
    model = seeded(Twice)
    assert_same_running(recalibrate(model, BATCHES, (4,))[4], really(model, BATCHES[:4], "reset", "ema", 0.1))


# --- bad input ---


def test_too_few_batches_are_refused_with_both_numbers(model):
    with pytest.raises(DataError, match="needs 10 batches but only 5 were given; give more images or a smaller budget"):
        recalibrate(model, BATCHES, (2, 10))


def test_networks_without_batchnorm_or_convs_are_refused():
    for norm in (nn.GroupNorm(1, 4), nn.BatchNorm2d(4, track_running_stats=False)):
        with pytest.raises(
            ModelError, match=r"no BatchNorm layer that keeps running statistics.*or skip recalibration"
        ):
            recalibrate(nn.Sequential(nn.Conv2d(3, 4, 3), norm), BATCHES)
    with pytest.raises(ModelError, match="no Conv2d"):
        recalibrate(nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3)), BATCHES)


@pytest.mark.parametrize(
    "choices, message",
    [
        ({"start": "kept"}, "unknown start 'kept'. Did you mean 'keep'.*Choices: keep, reset"),
        ({"averaging": "mean"}, "unknown averaging 'mean'.*Choices: cumulative, ema"),
        ({"momentum": 0}, r"momentum is 0; give a number in \(0, 1\]"),
        ({"momentum": 1.5}, r"momentum is 1.5; give a number in \(0, 1\]"),
        ({"momentum": float("nan")}, r"momentum is nan; give a number in \(0, 1\]"),
        ({"momentum": None}, r"momentum is None; give a number in \(0, 1\]"),
        ({"budgets": (-1,)}, "calib_batches is -1; give a whole number of at least 0"),
        ({"budgets": (2.5,)}, "calib_batches is 2.5; give a whole number of at least 0"),
        ({"budgets": (float("nan"),)}, "calib_batches is nan; give a whole number of at least 0"),
        ({"budgets": ()}, r"budgets is \[\]; give a list of numbers of batches"),
        ({"budgets": 20}, r"budgets is 20; give a list of numbers of batches, for example \(10, 20\)"),
    ],
)
def test_bad_choices_are_refused_before_any_pass(choices, message):
    model = seeded()
    model.register_forward_hook(lambda *_: pytest.fail("ran"))
    with pytest.raises(SpecError, match=message):
        recalibrate(model, BATCHES, **choices)


def test_an_unknown_start_is_an_unknown_name():
    with pytest.raises(UnknownName):
        BatchNormState.of("halfway")


def test_a_batchnorm_that_runs_twice_in_a_forward_pass_is_refused_by_name():
    shared = nn.BatchNorm2d(3)
    with pytest.raises(ModelError, match="the BatchNorm 1 runs 2 times in one forward pass"):
        recalibrate(nn.Sequential(nn.Conv2d(3, 3, 1), shared, nn.Conv2d(3, 3, 1), shared).eval(), BATCHES, (2,))


def test_one_tensor_in_place_of_batches_is_refused_with_the_remedy(model):
    with pytest.raises(
        DataError, match=r"one tensor of shape \(6, 3, 8, 8\); give several batches, for example images.split"
    ):
        recalibrate(model, BATCHES[0], (2,))
