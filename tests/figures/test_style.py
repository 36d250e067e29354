"""Legends: networks in one order, named by what differs, what they share over the figure; figures open no store."""

import json
import re

import plotly.graph_objects as go
import pytest
from made_results import store_result

from asr_core.figures import curves, overview, style
from asr_core.figures.room import make_room
from asr_core.spec.labels import methods
from asr_core.spec.repairs import BN_ONLY, DENSE, NO_REPAIR, RepairSpec, repairs
from asr_core.store import Store
from asr_core.store.entries import PROJECT
from asr_core.store.tables import networks

ONE_WAY = repairs(orders=("sequential",), biases=("on",))


def test_networks_stand_in_the_order_of_methods_whatever_order_they_come_in():
    given = [*map(RepairSpec.of, reversed(methods())), NO_REPAIR, DENSE]
    assert [network.method for network in style.in_order(given)] == ["dense", "no_repair", *methods()]


def test_a_legend_names_what_differs_and_the_line_over_the_figure_what_is_shared(tmp_path):
    table = overview.ACCURACY.table(store_result(Store(tmp_path)), ONE_WAY)
    assert table["label"].tolist() == ["dense", "no repair", "BN only", "LW (eq. 1)", "raw", "ASR"]
    assert overview.ACCURACY.figure(table).layout.title.text == "sequential, bias on, b = 20"


@pytest.mark.parametrize(
    ("ways", "legend", "over"),
    [
        (("reset",), ["LW (eq. 1)", "ASR"], "sequential, bias on, ema from reset"),
        (
            ("reset", "cumulative"),
            [f"{name} · {way}" for name in ("LW (eq. 1)", "ASR") for way in ("cumulative", "ema from reset")],
            "sequential, bias on",
        ),
    ],
)
def test_a_way_of_recalibration_is_named_where_it_differs_and_over_the_figure_where_all_share_it(
    tmp_path, ways, legend, over
):
    chosen = [RepairSpec.of(method, "sequential", True) for method in ("lw_bn", "asr_bn")]
    table = curves.CURVES.table(store_result(Store(tmp_path)), chosen, ways=ways)
    figure = curves.CURVES.figure(table, **curves.CURVES.limits([table]))
    assert [trace.name for trace in figure.data if trace.mode == "lines+markers"] == legend
    assert figure.layout.title.text == over


@pytest.mark.parametrize("axis", ["xaxis", "yaxis"])
def test_an_axis_without_a_title_keeps_no_room_for_one(axis):
    figure = style.finish(go.Figure(go.Scatter(x=[1], y=[1])), 300, "", "")
    assert "title" not in json.loads(style.for_screen(figure))["layout"][axis]


def test_variants_of_a_method_are_told_apart(tmp_path):
    both = [RepairSpec.of("asr_bn", order, False) for order in ("sequential", "simultaneous")]
    table = overview.ACCURACY.table(store_result(Store(tmp_path)), both)
    assert table["label"].tolist()[2:] == ["ASR · simultaneous", "ASR · sequential"]
    assert overview.ACCURACY.figure(table).layout.title.text == "bias off, b = 20"


def test_references_alone_share_nothing(tmp_path):
    table = overview.ACCURACY.table(store_result(Store(tmp_path)))
    assert overview.ACCURACY.figure(table).layout.title.text is None


@pytest.mark.parametrize(
    ("network", "symbol"),
    [
        (BN_ONLY, "square"),
        (RepairSpec.of("asr_bn", "simultaneous", True), "circle"),
        (RepairSpec.of("asr_bn", "sequential", True), "circle-dot"),
        (RepairSpec.of("asr_bn", "sequential", False), "circle-open-dot"),
    ],
)
def test_marks_are_open_without_mean_correction_and_have_a_dot_where_sequential(network, symbol):
    assert style.look_of(network)[1] == symbol


def test_a_line_over_a_figure_makes_it_higher_and_keeps_clear_of_the_legend():
    def made(shared):
        figure = go.Figure([go.Scatter(x=[1], y=[1], name=name) for name in ("one", "two")])
        return make_room(style.finish(figure, 300, "x", "y", shared), 1000).layout

    plain, with_line = made(""), made("simultaneous")
    assert with_line.height - plain.height == style.SUBTITLE
    assert with_line.margin.t - plain.margin.t == style.SUBTITLE


def test_the_table_says_the_network_of_each_row_as_columns(tmp_path):
    table = overview.ACCURACY.table(store_result(Store(tmp_path)), ONE_WAY)
    assert [*networks(table)] == [DENSE, NO_REPAIR, *ONE_WAY]


def test_no_figure_opens_a_store_or_knows_a_default_place():
    opens = re.compile(r"default_root|\bStore\(")
    files = (PROJECT / "asr_core/figures").glob("*.py")
    assert [path.name for path in files if opens.search(path.read_text())] == []
