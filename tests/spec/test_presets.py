"""Published ways of recalibration beside the paper's: pseudo-count, forgetting, tuning."""

import json
from dataclasses import asdict

import numpy as np
import pytest
import torch
from tiny_networks import TinyResNet, noise, seeded

from asr_core import recalibrate
from asr_core.errors import SpecError
from asr_core.networks import models
from asr_core.pipeline import asked
from asr_core.repairs import batchnorm
from asr_core.spec.digests import canonical, key
from asr_core.spec.labels import recalibration
from asr_core.spec.recalibration import BatchNormState, default_states
from asr_core.store import Store
from asr_core.studies import leftover

BATCHES = [noise(8, seed) for seed in range(15)]


def statistics(state):
    """Running mean of the first BatchNorm, and what it is made of: kept, and the batches' means."""
    model = seeded(TinyResNet)
    recorded = batchnorm.record(model, BATCHES, 15)
    kept = batchnorm.running_of(model)
    return batchnorm.running_statistics(recorded, state, kept)["bn1"], kept["bn1"], recorded["bn1"]


def test_pseudo_count_is_a_mean_with_the_kept_statistics_as_further_batches():
    found, kept, batches = statistics(BatchNormState.of(averaging="pseudo", calib_batches=3, pseudo_count=6))
    for part in (0, 1):
        np.testing.assert_allclose(found[part], (6 * kept[part] + batches[:3, part].sum(0)) / 9, rtol=1e-6)


def test_forgetting_is_fifteen_real_batches_in_train_mode():
    model = seeded(TinyResNet)
    expected = seeded(TinyResNet).train()
    with torch.no_grad():
        for number, batch in enumerate(BATCHES):
            for bn in models.batchnorms(expected).values():
                bn.momentum = 0.9 if number < 5 else 0.1
            expected(batch)
    found = recalibrate(model, BATCHES, averaging="forgetting")
    assert list(found) == [15]
    torch.testing.assert_close(found[15].bn3.running_var, expected.bn3.running_var, rtol=1e-4, atol=1e-6)


def test_tuning_is_an_ema_of_a_hundred_batches_from_reset():
    assert BatchNormState.of(averaging="tuning") == BatchNormState.of("reset", "ema", 0.1, 100)


@pytest.mark.parametrize("averaging", ["ema", "cumulative", "pseudo", "forgetting"])
def test_weights_of_batches_and_of_the_start_add_up_to_1(averaging):
    weights, left = BatchNormState.of(averaging=averaging).weights
    assert sum(weights) + left == pytest.approx(1)


def test_what_is_left_of_the_start():
    assert leftover.share_left(BatchNormState.of(averaging="pseudo", calib_batches=4, pseudo_count=12)) == 0.75
    assert leftover.share_left(BatchNormState.of(averaging="forgetting")) == pytest.approx(0.1**5 * 0.9**10)


def test_keys_of_before_stay_what_they_were():
    state = BatchNormState.of("keep", "ema", 0.2, 5)
    assert json.loads(canonical(state)) == {"start": "keep", "averaging": "ema", "momentum": 0.2, "calib_batches": 5}
    counts = {key("stats", BatchNormState.of(averaging="pseudo", pseudo_count=n)) for n in (1, 2)}
    assert len(counts) == 2


@pytest.mark.parametrize("averaging", ["ema", "cumulative", "pseudo", "forgetting"])
def test_a_state_comes_back_from_its_fields(averaging):
    state = BatchNormState.of(averaging=averaging)
    assert BatchNormState.of(**asdict(state)) == state


def test_presets_are_computed_only_when_asked():
    assert {state.averaging for state in default_states()} == {None, "ema", "cumulative"}
    found = asked.experiment(Store(), budgets=(10, 20), presets=("pseudo", "forgetting", "tuning")).states
    named = [recalibration(state) for state in found[-4:]]
    assert named == ["pseudo-count 16", "pseudo-count 16", "forgetting", "ema 0.1 from reset"]
    assert found[-1].calib_batches == 100


def test_a_pseudo_count_of_nothing_is_refused():
    with pytest.raises(SpecError, match="pseudo_count"):
        BatchNormState.of(averaging="pseudo", pseudo_count=0)
