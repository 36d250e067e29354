"""Every page with every repair method, in every order, with and without mean correction, before and after
recalibration."""

import pytest
from made_results import store_result
from paged import PAGES, clean, opened, turned, words

from asr_core.spec import labels
from asr_core.spec.repairs import BIASES, ORDERS, RepairSpec, repairs
from pages._frame.picked import text_of

STATES = {
    "before": {"mapped": "before", "stage": "repaired", "stage_cells": "repaired", "calib_batches": 0},
    "after an ema": {"mapped": "after", "stage": "recalibrated", "stage_cells": "recalibrated"},
    "after cumulative averaging": {"mapped": "after", "stage": "recalibrated", "averaging": "cumulative"},
    "predicted": {"stage": "predicted"},
}
ADDRESS = {"dataset": "digits", "sparsity": "0.8", "methods": ",".join(labels.methods())}


@pytest.fixture
def stored(store):
    return store_result(store, sparsity=0.8, repairs=repairs(labels.methods(), ORDERS, tuple(BIASES)))


@pytest.mark.parametrize(("state", "order", "bias"), list(zip(STATES, 2 * ORDERS, 2 * ("on", "off"), strict=True)))
def test_every_page_shows_every_method_and_lacks_nothing(store, stored, state, order, bias):
    app = clean(opened("overview", **ADDRESS | STATES[state], orders=order, biases=bias))
    for page in PAGES:
        app = turned(app, page)
        assert "Not stored for this setting" not in words(app), page


@pytest.mark.parametrize(("first", "second"), [("mls_bn", "asr_bn"), ("ls_bn", "mean_bn"), ("norm_bn", "dfq_bn")])
def test_why_two_of_them_differ_is_told(store, stored, first, second):
    names = {
        "first": text_of(RepairSpec.of(first, "sequential")),
        "second": text_of(RepairSpec.of(second, "sequential")),
    }
    told = words(opened("overview", "_open_why", **ADDRESS, orders="sequential", biases="on", **names))
    assert "Before recalibration" in told
    assert ("one of both has new weights" in told) == ("mls_bn" in (first, second))
