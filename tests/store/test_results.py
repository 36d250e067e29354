"""Several stored results of one setting as one."""

import pandas as pd

from asr_core.spec.repairs import RepairSpec
from asr_core.store import results
from asr_core.store.results import Result


def result(name: str, rows: dict[str, float], channels=None) -> Result:
    """A result with an accuracy (by method) and nothing else."""
    same = {"start": "reset", "averaging": "ema", "momentum": 0.1, "calib_batches": 20}
    accuracy = pd.DataFrame([RepairSpec.of(name).columns | {"top1": top1} | same for name, top1 in rows.items()])
    return Result({"name": name}, accuracy, channels, None, None, None, None)


def top1(merged: Result) -> dict[str, float]:
    return dict(zip(merged.accuracy["method"], merged.accuracy["top1"], strict=True))


def test_where_two_results_have_the_same_row_the_first_one_has_it():
    merged = results.merge([result("first", {"bn_only": 0.5, "lw_bn": 0.6}), result("second", {"bn_only": 0.9})])
    assert top1(merged) == {"bn_only": 0.5, "lw_bn": 0.6}
    assert merged.setting == {"name": "first"}


def test_rows_that_only_a_later_result_has_are_added():
    merged = results.merge([result("first", {"bn_only": 0.5}), result("second", {"bn_only": 0.9, "asr_bn": 0.7})])
    assert top1(merged) == {"bn_only": 0.5, "asr_bn": 0.7}


def test_a_table_that_the_first_lacks_comes_from_the_next_that_has_it():
    there = pd.DataFrame({"layer": ["conv1"], "channel": [0]})
    merged = results.merge([result("first", {"bn_only": 0.5}), result("second", {"bn_only": 0.9}, there)])
    assert merged.channels is there
    assert merged.repairs is None
