"""Which methods BatchNorm absorbs: scales and shifts, not new weights; measured and predicted."""

import pandas as pd
from made_results import store_result

from asr_core.figures import absorption, style, variance
from asr_core.report.sentences import absorbed
from asr_core.spec.repairs import BN_ONLY, RepairSpec
from asr_core.store import Store
from asr_core.store.tables import networks, rows_of, typed
from asr_core.studies import leftover


def full(**gaps):
    """Rows of a gap table after full re-estimation: largest logit difference by method."""
    rows = [
        {"way": "cumulative", "b": 50, "a": 0.0, "logit_gap": gap, "top1_gap": 0.01 * (gap > 1), "predicted": 0.0}
        | RepairSpec.of(method, "sequential", True).columns
        for method, gap in gaps.items()
    ]
    return style.labelled(typed(pd.DataFrame(rows)))


def test_scales_are_absorbed_and_new_weights_are_not():
    table = absorption.methods_table(full(raw_bn=0.001, mls_bn=4.0))
    assert table["predicted"].tolist() == ["absorbed, where every conv is", "not absorbed"]
    assert table["measured"].tolist() == ["absorbed", "not absorbed"]
    assert table["changes"].tolist() == ["a factor and a shift per channel", "the kept weights themselves"]


def test_the_verdict_tells_scales_from_new_weights():
    said = absorbed.gaps(full(raw_bn=0.001, asr_bn=0.002, mls_bn=4.0))
    assert "the 2 repairs that scale and shift and BN only are one network" in said
    assert "set new weights (masked least squares): logits differ by up to 4, top-1 by up to 1.0 points" in said


def test_the_verdict_on_new_weights_alone():
    said = absorbed.gaps(full(mls_bn=4.0))
    assert said.startswith("Under cumulative averaging methods that set new weights (masked")
    assert "BN only" not in said


def test_without_full_recalibration_no_method_is_said_to_be_absorbed():
    assert absorption.methods_table(full(raw_bn=0.1).assign(way="reset")).empty
    assert absorption.methods_table(full(raw_bn=float("nan")))["measured"].tolist() == ["not measured"]


def test_nothing_is_predicted_of_new_weights(tmp_path):
    repairs = (BN_ONLY, RepairSpec.of("raw_bn", bias=True), RepairSpec.of("mls_bn", bias=True))
    result = store_result(Store(tmp_path), repairs=repairs)
    assert set(networks(leftover.factors(result, repairs))) == set(repairs[:2])
    table = absorption.gap_table(result, repairs)
    assert rows_of(table, repairs[2])["predicted"].isna().all()
    assert rows_of(table, repairs[1]).query("b > 0")["predicted"].notna().all()


def test_no_variance_is_predicted_of_new_weights(tmp_path):
    repairs = (RepairSpec.of("raw_bn", bias=True), RepairSpec.of("mls_bn", bias=True))
    result = store_result(Store(tmp_path), repairs=repairs)
    layer = result.convs["layer"].iloc[1]
    assert repairs[1] not in set(networks(variance.points_table(result, layer, repairs, "predicted")))
    assert repairs[1] in set(networks(variance.points_table(result, layer, repairs, "repaired")))
