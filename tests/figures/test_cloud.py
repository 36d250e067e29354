"""Very many marks as one picture: every mark is a dot at its place, and can still be hovered and clicked."""

import base64
import re

import numpy as np
import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_core.figures import cloud, style

BOTH = {"x": (1e-4, 1e2), "y": (1e-6, 1e3)}


def drawn(x, y, colour="#0072B2", names=("LW",)) -> go.Figure:
    """A log-log figure with one trace per name, condensed."""
    figure = go.Figure()
    for name in names:
        marker = {"color": colour, "symbol": "square", "size": 4, "opacity": 0.5, "colorscale": "Cividis"}
        figure.add_scatter(x=x, y=y, mode="markers", name=name, marker=marker, customdata=np.arange(len(x))[:, None])
    figure.update_xaxes(style.log_axis(*BOTH["x"]))
    figure.update_yaxes(style.log_axis(*BOTH["y"]))
    return cloud.condensed(figure)


def dots(figure: go.Figure) -> dict[str, np.ndarray]:
    """Colour -> the picture's dots in the axes' own units (log10), columns x and y."""
    (image,) = figure.layout.images
    svg = base64.b64decode(image.source.partition(",")[2]).decode()
    found = {}
    for colour, paths in re.findall(r'<g stroke="([^"]+)"[^>]*>(.*?)</g>', svg):
        each = [
            np.array(re.findall(r"m(-?\d+) (-?\d+)h0", path), float).reshape(-1, 2).cumsum(0)
            for path in re.findall(r'd="([^"]*)"', paths)
        ]
        places = np.concatenate([np.empty((0, 2)), *each]) / cloud.SIDE
        found[colour] = np.stack([image.x + places[:, 0] * image.sizex, image.y - places[:, 1] * image.sizey], 1)
    return found


@given(st.integers(0, 2**32 - 1), st.integers(cloud.MANY + 1, 3 * cloud.MANY))
def test_every_mark_is_a_dot_at_its_place(seed, count):
    random = np.random.default_rng(seed)
    x, y = (10 ** random.uniform(*np.log10(BOTH[axis]), count) for axis in ("x", "y"))
    (found,) = dots(drawn(x, y)).values()
    gaps = np.abs(found[:, None] - np.log10(np.stack([x, y], 1))).max(-1)
    assert len(found) == count and max(gaps.min(0).max(), gaps.min(1).max()) < 10 / cloud.SIDE


def test_few_marks_are_drawn_one_by_one_with_their_shapes():
    figure = drawn(np.ones(cloud.MANY), np.ones(cloud.MANY))
    assert not figure.layout.images and len(figure.data) == 1
    assert figure.data[0].marker.symbol == "square" and figure.data[0].marker.maxdisplayed is None


def test_many_marks_are_not_drawn_but_keep_what_a_click_and_a_hover_need_and_their_names_stay():
    figure = drawn(np.ones(1000), np.ones(1000), names=("a", "b"))
    marks, named = figure.data[:2], figure.data[2:]
    assert all(
        t.marker.maxdisplayed == 1 and t.marker.opacity == 0 and len(t.customdata) == 1000 and not t.showlegend
        for t in marks
    )
    assert [(t.name, t.marker.color, t.hoverinfo) for t in named] == [
        ("a", "#0072B2", "skip"),
        ("b", "#0072B2", "skip"),
    ]
    assert figure.layout.legend.itemclick is False


def test_dots_outside_the_axes_and_without_a_place_are_left_out():
    x = np.full(1000, 1.0)
    y = np.where(np.arange(1000) % 4 == 0, [np.nan, 1.0, 0.0, 1e9] * 250, 1.0)
    (found,) = dots(drawn(x, np.where(np.arange(1000) < 3, [np.nan, 0.0, 1e9] * 333 + [1.0], y))).values()
    assert 700 < len(found) < 1000 and np.isfinite(found).all()


def test_marks_with_colours_of_their_own_are_shades_of_their_scale():
    shares = np.linspace(0, 1, 2000)
    found = dots(drawn(np.ones(2000), np.ones(2000), colour=shares))
    assert len(found) == cloud.SHADES and sum(map(len, found.values())) == 2000


@pytest.mark.parametrize("value", [0.3, np.nan])
def test_marks_of_one_value_have_one_shade(value):
    assert len(dots(drawn(np.ones(2000), np.ones(2000), colour=np.full(2000, value)))) == 1
