"""Margins: wide enough for what stands in them, never narrower than they were. That browsers agree is seen in
tests/browser."""

import json

import numpy as np
import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as st
from traces import KINDS, figure_of

from asr_core.figures import style
from asr_core.figures.room import CHARACTER, LONGEST, PAD, make_room

WIDTH = 1000
SHORT, LONG = "fc", "layer4.0.downsample.0"


def margins(y=("a",), names=("one",), x_title="", y_title="", axis=None, width=WIDTH, **layout) -> dict:
    """Margins of a figure with a line per name, categories or numbers `y` upwards."""
    figure = go.Figure([go.Scatter(x=[1] * len(y), y=list(y), name=name) for name in names])
    style.finish(figure, 300, x_title, y_title, **layout).update_xaxes(axis or {})
    if isinstance(y[0], str):
        figure.update_yaxes(type="category")
    return make_room(figure, width).layout.margin.to_plotly_json()


@given(st.text(min_size=1, max_size=30), st.text(max_size=30))
def test_a_longer_label_never_gets_less_room(label, more):
    assert margins(y=(label + more,))["l"] >= margins(y=(label,))["l"] >= len(label)


def test_a_label_of_one_capital_gets_the_room_of_two_letters():
    assert margins(y=("W",))["l"] == margins(y=("fc",))["l"] - round(CHARACTER) > CHARACTER + PAD


@given(st.lists(st.text("abcdefgh ", min_size=1, max_size=40), min_size=2, max_size=9), st.integers(300, 1200))
def test_a_narrower_place_never_gets_fewer_lines_of_legend(names, width):
    assert margins(names=names, width=width)["t"] >= margins(names=names, width=2 * width)["t"]


def test_a_title_takes_room_and_two_lines_take_more():
    none, one, two = (margins(x_title=text, y_title=text) for text in ("", "words", "two<br>lines"))
    assert none["l"] < one["l"] < two["l"] and none["b"] < one["b"] < two["b"]


def test_labels_that_are_turned_take_more_room_the_steeper_they_are():
    found = [
        margins(axis={"tickvals": [1], "ticktext": [LONG], "tickangle": angle})["b"] for angle in (0, -30, -60, -90)
    ]
    assert found == sorted(found) and found[0] < found[-1]
    assert found[-1] > margins(axis={"tickvals": [1], "ticktext": [SHORT], "tickangle": -90})["b"]


def test_names_too_long_for_the_figure_make_it_higher_not_its_plot_lower():
    name = "features.denseblock1.denselayer10.conv1"
    figure = go.Figure(go.Scatter(x=[1], y=[1]))
    style.finish(figure, 300, "conv layers", "").update_xaxes(tickvals=[1], ticktext=[name], tickangle=-60)
    make_room(figure, WIDTH)
    assert figure.layout.height - figure.layout.margin.b == pytest.approx(300 - LONGEST, abs=1)


def test_an_axis_that_is_not_shown_takes_none():
    assert (
        margins(axis={"visible": False}, x_title="words")["b"]
        == margins(axis={"visible": False})["b"]
        < margins(x_title="words")["b"]
    )


def test_a_legend_stands_above_or_below_and_one_name_needs_none():
    two = ("one", "another")
    assert margins(names=two)["t"] > margins()["t"]
    below = margins(names=two) | {}
    figure = go.Figure([go.Scatter(x=[1], y=[1], name=name) for name in two])
    style.finish(figure, 300, "", "").update_layout(legend={"yanchor": "top", "y": -0.2})
    assert make_room(figure, WIDTH).layout.margin.b > below["b"]
    assert figure.layout.margin.t == margins()["t"]


@pytest.mark.parametrize("where", ["marker", "trace", "layout"])
def test_a_colour_bar_takes_room_at_the_right(where):
    bar = {"thickness": 12}
    marker = {"color": [1, 2], "colorbar": bar}
    trace = (
        go.Heatmap(z=[[1, 2]], colorbar=bar)
        if where == "trace"
        else go.Scatter(x=[1, 2], y=[1, 2], marker=marker if where == "marker" else {})
    )
    figure = style.finish(
        go.Figure(trace), 300, "", "", **({"coloraxis": {"colorbar": bar}} if where == "layout" else {})
    )
    before = figure.layout.margin.r
    assert make_room(figure, WIDTH).layout.margin.r > before


def test_margins_are_never_made_narrower():
    figure = style.finish(go.Figure(go.Scatter(x=[1], y=[1])), 300, "", "").update_layout(
        margin={"l": 400, "r": 400, "t": 400, "b": 400}
    )
    assert set(make_room(figure, WIDTH).layout.margin.to_plotly_json().values()) == {400}


def test_a_figure_for_the_screen_is_the_figure_itself_without_a_look():
    figure = go.Figure(
        [
            go.Scatter(x=np.arange(5, dtype="int32"), y=np.linspace(0, 1, 5, dtype="float32"), customdata=np.eye(5)),
            go.Bar(x=["a", "b"], y=[1, None]),
        ]
    )
    sent, own = json.loads(style.for_screen(style.finish(figure, 300, "x", "y"))), json.loads(figure.to_json())
    own["layout"]["legend"].pop("title")  # empty
    assert own["layout"].pop("template")["layout"] and "layout" not in sent["layout"].pop("template")
    assert sent == own and sent["data"][0]["x"]["dtype"] == "i4"


@pytest.mark.parametrize("axis", ["linear", "category", "log"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_trace_gets_room(kind, axis):
    figure = figure_of(kind).update_layout(xaxis={"type": axis}, yaxis={"type": axis}, showlegend=True)
    assert make_room(figure, WIDTH).layout.margin.l >= 0
    assert json.loads(style.for_screen(figure))["data"][0]["type"] == kind


def test_a_box_has_a_place_in_the_legend_and_a_heatmap_has_none():
    def top(*kinds):
        traces = [figure_of(kind).data[0] for kind in kinds]
        return make_room(style.finish(go.Figure(traces), 300, "", "", showlegend=True), WIDTH).layout.margin.t

    assert top("box") == top("scatter")
    assert top("box") > top("heatmap")
