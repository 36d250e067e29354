"""The chosen channel: ringed in every figure of channels, and reached from the one before or after it."""

import numpy as np
import plotly.graph_objects as go
import pytest
from drawn import charts, numbers
from paged import faultless

from asr_core.figures.chosen import chosen

LAYER = "layer1.0.conv1"
OF_ONE_LAYER = 3  # figures of the page Channel variance: against dense, sorted, weights kept


def rings(figure: dict, channel: int) -> list[dict]:
    return [trace for trace in figure["data"] if trace.get("name") == f"channel {channel}"]


def page(**address):
    return faultless("variance", dataset="digits", sparsity=0.9, layer=LAYER, **address)


def test_every_mark_of_a_channel_has_a_ring_and_no_other():
    made = chosen(go.Figure([go.Scatter(x=[1, 2, 3], y=[4, 5, 6], customdata=[[7, 1], [8, 2], [7, 3]])]), 7)
    assert made.data[-1].x == (1, 3)
    assert made.data[-1].y == (4, 6)


def test_a_key_of_several_parts_is_matched_as_a_whole():
    made = chosen(go.Figure([go.Scatter(x=[1, 2], y=[4, 5], customdata=[[0, 7], [1, 7]])]), 1, 7)
    assert made.data[-1].x == (2,)


def test_a_figure_without_the_channel_stays_as_it_is():
    figure = go.Figure([go.Scatter(x=[1], y=[4], customdata=[["name"]]), go.Scatter(x=[1], y=[1])])
    assert len(chosen(figure, 7).data) == 2


def test_the_chosen_channel_is_ringed_in_every_figure_of_its_layer_and_of_all_layers():
    marked = [figure for figure in charts(page(channel=3)) if rings(figure, 3)]
    assert len(marked) == OF_ONE_LAYER + 1


def test_rings_lie_on_marks_of_the_channel():
    figure = charts(page(channel=3))[0]
    marks = [trace for trace in figure["data"] if trace.get("customdata") and trace["mode"] == "markers"]
    places = {float(numbers(trace["y"])[3]) for trace in marks}
    found = {float(np.ravel(trace["y"])[0]) for trace in rings(figure, 3)}
    assert found
    assert {np.float32(y) for y in found} <= {np.float32(y) for y in places}


def test_without_a_channel_nothing_is_ringed():
    names = [str(trace.get("name")) for figure in charts(page()) for trace in figure["data"]]
    assert not [name for name in names if name.startswith("channel ")]


@pytest.mark.parametrize("where", ["variance", "signal", "maps"])
def test_next_and_previous_reach_the_neighbours_of_a_channel(where):
    app = faultless(where, dataset="digits", sparsity=0.9, layer=LAYER, channel=3, ranked="channel")
    app.button(key="_next").click().run()
    assert app.query_params["channel"] == "4"
    app.button(key="_previous").click().run()
    assert app.query_params["channel"] == "3"


def test_next_from_no_channel_is_the_first_and_previous_the_last():
    app = page()
    app.button(key="_next").click().run()
    assert app.query_params["channel"] == "0"
    app = page()
    app.button(key="_previous").click().run()
    assert app.query_params["channel"] == "15"
