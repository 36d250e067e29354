"""What a figure's table says once it has left its page: a mean, its interval, how many images, and of which setting."""

import io
from types import SimpleNamespace

import pandas as pd
import pytest
from made_results import store_result
from paged import PAGES, opened

from asr_core.figures import ablation, curves, noise, overview, paper
from asr_core.spec.recalibration import NO_STATE, REPORTED_STATE
from asr_core.spec.repairs import repairs
from asr_core.store import Store, catalogue
from pages._frame import export

REPAIRS = repairs(orders=("simultaneous",), biases=("off",))
ESTIMATES = {"top1", "gain", "recall"}
MEAN = ["top1", "top1_low", "top1_high", "n_eval"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """(result, store) of a made-up setting."""
    store = Store(tmp_path_factory.mktemp("export"))
    return store_result(store, repairs=REPAIRS), store


def drawn(chart, result, table, **what) -> export.Drawn:
    """A figure as a page would hold it."""
    look = SimpleNamespace(recalibration="ema 0.1 from reset, b = 20")
    view = SimpleNamespace(result=result, title="resnet18 · digits · global L1 90 %", look=look, keys=("0" * 24,))
    return export.Drawn("figure", chart, view, table, None, "", what, {})


def saved(item: export.Drawn) -> pd.DataFrame:
    return pd.read_csv(io.BytesIO(export.csv(item.table, item.signature)))


def tables(result, store):
    """(chart, table, what) of every figure of accuracies of one setting."""
    keys = tuple(item.key for item in catalogue.stored(store))
    state = {"repairs": REPAIRS, "state": REPORTED_STATE}
    asked = {
        overview.ACCURACY: state,
        curves.CURVES: {"repairs": REPAIRS},
        noise.METHODS: state | {"store": store, "keys": keys},
        ablation.TABLE2: {"state": REPORTED_STATE},
    }
    return [(chart, chart.table(result, **what), what) for chart, what in asked.items()]


def test_a_table_of_accuracies_has_mean_interval_and_number_of_images(made):
    for chart, table, what in tables(*made):
        found = saved(drawn(chart, made[0], table, **what))
        stored = found.dropna(subset="top1")
        assert len(stored) and stored[MEAN].notna().all().all(), chart.name
        assert ((stored["top1_low"] <= stored["top1"]) & (stored["top1"] <= stored["top1_high"])).all(), chart.name


@pytest.mark.parametrize("page", PAGES)
def test_no_estimate_leaves_a_page_without_its_interval_and_number_of_images(page):
    app = opened(page)
    for item in app.session_state.get("_drawn", ()):
        found = saved(item)
        for value in ESTIMATES & {*found}:
            rows = found.dropna(subset=value)
            low, high = (f"{value}_{end}" if f"{value}_{end}" in found else end for end in ("low", "high"))
            assert rows[low].le(rows[value]).all() and rows[value].le(rows[high]).all(), (item.key, value)
        if ESTIMATES & {*found}:
            assert {"n", "n_eval"} & {*found} or found["setting"].str.contains(r"n = [\d,]+ ").all(), item.key


def test_every_row_names_the_setting_that_it_is_of(made):
    for chart, table, what in tables(*made):
        said = saved(drawn(chart, made[0], table, **what))["setting"]
        assert said.str.startswith("resnet18 · digits · global L1 90 %").all(), chart.name
        assert said.str.contains("n = ").all(), chart.name


def test_a_recalibration_is_named_where_the_numbers_belong_to_one(made):
    named = {chart: drawn(chart, made[0], table, **what).signature for chart, table, what in tables(*made)}
    assert "ema 0.1 from reset, b = 20" in named[overview.ACCURACY]
    assert "b = 20" not in named[curves.CURVES]


@pytest.mark.parametrize("what", [{"when": "repaired", "state": REPORTED_STATE}, {"state": NO_STATE}])
def test_what_is_measured_before_recalibration_does_not_name_the_chosen_one(made, what):
    said = drawn(overview.ACCURACY, made[0], pd.DataFrame(), **what).signature
    assert "before recalibration" in said and "b = 20" not in said


def test_of_a_network_without_batchnorm_that_is_said_in_place_of_a_recalibration(tmp_path):
    result = store_result(Store(tmp_path), repairs=REPAIRS, architecture="small_convnext")
    said = drawn(overview.ACCURACY, result, pd.DataFrame(), state=NO_STATE).signature
    assert "no BatchNorm" in said and "recalibration" not in said


def test_what_was_achieved_is_said_where_it_is_not_what_was_asked(made):
    result, _ = made
    asked = drawn(overview.ACCURACY, result, pd.DataFrame())
    exact = asked.signature
    setting = result.setting | {"sparsity_asked": 0.96, "sparsity_achieved": 0.955}
    other = drawn(overview.ACCURACY, SimpleNamespace(setting=setting, accuracy=result.accuracy), pd.DataFrame())
    assert "achieved" not in exact and "asked 96 %, achieved 95.50 %" in other.signature


def test_medians_over_settings_do_not_name_one_of_them(made):
    item = drawn(paper.STEPS, made[0], pd.DataFrame(), rows=())
    assert "resnet18" not in item.signature and "settings" in item.signature


def test_several_settings_are_counted(made):
    item = drawn(overview.ACCURACY, made[0], pd.DataFrame(), groups=(("a",), ("b",)))
    assert item.signature.startswith("2 stored settings, among them resnet18")


@pytest.mark.parametrize(
    "table", [{"point": [0, 0, 3]}, {"rule": ["ERK", "ERK", "LAMP"], "sparsity": [0.9, 0.9, 0.9], "layer": [0, 1, 0]}]
)
def test_settings_without_a_mark_are_not_counted(made, table):
    item = drawn(overview.ACCURACY, made[0], pd.DataFrame(table), groups=(("a",), ("b",), ("c",), ("d",)))
    assert item.signature.startswith("2 stored settings, among them resnet18")
