"""Channel variance: how far a channel's factors move with the calibration draw, or that it is not stored."""

import pytest
from made_results import store_result
from paged import faultless, words

from asr_core.pipeline import factors
from asr_core.spec.experiment import ExperimentSpec, Setting
from asr_core.spec.recalibration import default_states
from asr_core.spec.repairs import RepairSpec

ADDRESS = {"dataset": "digits", "sparsity": 0.8, "layer": "layer2.0.conv1", "channel": 7}
NOT_STORED = "moves with the calibration draw is not stored"
LW, RAW, ASR = (RepairSpec.of(method, bias=False) for method in ("lw_bn", "raw_bn", "asr_bn"))


def without_factors(tables):
    """As shipped draws are: accuracies and layers."""
    tables["repairs"] = tables["repairs"].iloc[:0]


def said() -> str:
    return words(faultless("variance", **ADDRESS))


def test_of_one_draw_the_spread_is_not_stored(store):
    store_result(store, sparsity=0.8)
    assert f"factor γ of LW (eq. 1), raw and ASR {NOT_STORED}" in said()


def test_no_channel_no_word_of_it(store):
    store_result(store, sparsity=0.8)
    assert NOT_STORED not in words(faultless("variance", dataset="digits", sparsity=0.8))


def test_draws_that_are_stored_whole_are_spread(store):
    for draw in range(3):
        store_result(store, sparsity=0.8, draw=draw, dense_id="d" * 16)
    told = said()
    assert NOT_STORED not in told
    assert told.count("(3 draws)") == 3


def test_two_results_of_one_draw_have_no_spread(store):
    store_result(store, sparsity=0.8, dense_id="d" * 16)
    store_result(store, sparsity=0.8, dense_id="d" * 16, repairs=(LW, ASR))
    assert NOT_STORED in said()


def test_draws_without_factors_have_no_spread(store):
    store_result(store, sparsity=0.8, dense_id="d" * 16)
    store_result(store, sparsity=0.8, dense_id="d" * 16, draw=1, change=without_factors)
    assert NOT_STORED in said()


@pytest.mark.parametrize("of", [(LW, RAW, ASR), (ASR,)])
def test_a_stored_spread_is_said_and_what_it_lacks_is_named(store, of):
    found = store_result(store, sparsity=0.8, dense_id="d" * 16)
    spec = ExperimentSpec.of_setting(Setting.of(sparsity=0.8), of, default_states())
    repairs = found.repairs[found.repairs["method"].isin([repair.method for repair in of])]
    table = factors.spread([repairs.assign(gamma=1.0 + draw) for draw in range(3)])
    facts = {"setting": factors.setting_key(spec, "d" * 16)}
    store.put("factors", factors.key_of(spec, "d" * 16, 3), {"spread.parquet": table}, facts)
    told = said()
    assert told.count("2 ± 1 (3 draws)") == len(of)
    assert ("It is not stored of LW (eq. 1) and raw" in told) == (len(of) == 1)


def test_a_conv_that_is_not_repaired_has_no_factor_to_speak_of(store):
    def first_alone(tables):
        rows = tables["repairs"]["layer"] == "conv1"
        tables["repairs"].loc[rows, "gamma"] = float("nan")

    store_result(store, sparsity=0.8, change=first_alone)
    told = words(faultless("variance", **ADDRESS | {"layer": "conv1"}))
    assert NOT_STORED not in told
    assert "No network that is shown has a factor here." in told
