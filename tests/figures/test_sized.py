"""Figures for a column of a paper and for a stage: one size of text, room for legend and caption, nothing changed."""

import json

import pytest
from made_results import store_result

from asr_core.figures import curves, heatmaps, overview, style, variance
from asr_core.figures.cells import IN_CELLS
from asr_core.figures.room import make_room
from asr_core.figures.sized import CM, POINT, STAGE, for_paper, for_stage
from asr_core.spec.repairs import BN_ONLY
from asr_core.store import Store
from asr_core.studies import taught

REPAIRS = (BN_ONLY, *taught.REPAIRS)
CAPTION = "resnet18 on made-up digits, 32 pixels, dense 00000000; global L1 90 %: 90.00 % of conv weights removed"
WHAT = {
    overview.ACCURACY: {"repairs": REPAIRS},
    overview.STRIP: {},
    variance.SCATTER: {"layer": "layer2.0.conv1", "repairs": REPAIRS},
    curves.CURVES: {"repairs": REPAIRS, "ways": ("reset", "cumulative")},
    heatmaps.CELLS: {"repairs": REPAIRS},
}


@pytest.fixture(scope="module", params=WHAT, ids=lambda chart: chart.name)
def figure(request, tmp_path_factory):
    """A figure as a page has it."""
    result = store_result(Store(tmp_path_factory.mktemp("sized")))
    table = request.param.table(result, **WHAT[request.param])
    return make_room(request.param.figure(table, **request.param.limits([table])), 1140)


def fonts(part) -> list[float]:
    """Every size of a font in a figure."""
    if isinstance(part, list):
        return [size for item in part for size in fonts(item)]
    if not isinstance(part, dict):
        return []
    own = [part[name]["size"] for name in part if name.endswith("font") and "size" in (part[name] or {})]
    return own + [size for name, item in part.items() if name != "template" for size in fonts(item)]


@pytest.mark.parametrize(("width", "points"), [(8.5, 8), (17, 9), (12, 7)])
def test_a_picture_is_as_wide_as_asked_and_all_its_text_of_one_size(figure, width, points):
    made = for_paper(figure, width, points, CAPTION)
    assert made.layout.width == round(width * CM)
    assert set(fonts(json.loads(made.to_json()))) == {points * POINT}


def test_the_setting_stands_below_in_lines_that_fit(figure):
    made = for_paper(figure, 8.5, 8, CAPTION)
    lines = made.layout.annotations[-1].text.split("<br>")
    assert CAPTION in " ".join(lines)
    assert max(map(len, lines)) * 0.58 * 8 * POINT <= made.layout.width


def test_what_the_networks_share_moves_into_the_caption(figure):
    made = for_paper(figure, 8.5, 8, "")
    shared = figure.layout.title.text
    texts = [note.text for note in made.layout.annotations]
    assert not made.layout.title.text
    assert not shared or any(shared[1:] in text.replace("<br>", " ") for text in texts)


def test_there_is_room_for_the_plot_the_legend_and_the_caption(figure):
    layout = for_paper(figure, 17, 8, CAPTION).layout
    assert layout.width - layout.margin.l - layout.margin.r > 100
    assert layout.height - layout.margin.t - layout.margin.b >= 100


def test_marks_are_drawn_one_by_one_and_numbers_stay_as_they_are(figure):
    made = for_paper(figure, 8.5, 8, CAPTION)
    assert [trace.type for trace in made.data] == [trace.type for trace in figure.data]
    assert "scattergl" not in {trace.type for trace in made.data}
    before, after = (json.loads(one.to_json())["data"] for one in (figure, made))
    assert [trace.get("y") for trace in before] == [trace.get("y") for trace in after]


def test_the_figure_of_the_page_is_left_alone(figure):
    before = figure.to_json()
    for_paper(figure, 8.5, 8, CAPTION)
    for_stage(figure, 1780)
    assert figure.to_json() == before


def test_no_text_on_a_stage_is_smaller_than_a_hall_can_read(figure):
    assert min(fonts(json.loads(for_stage(figure, 1780).to_json()))) >= STAGE


@pytest.mark.parametrize(("low", "high"), [(0.2, 0.8), (0.5, 30.0), (1e-6, 1e2), (3.0, 3.0)])
def test_a_logarithmic_axis_has_at_least_two_whole_powers_and_ticks_at_no_others(low, high):
    axis = style.log_axis(low, high)
    first, last = axis["range"]
    assert isinstance(axis["dtick"], int)
    assert len([power for power in range(-60, 60) if first - 1e-9 <= power <= last + 1e-9]) >= 2
    assert 10**first <= low * 1.0001 and 10**last >= high * 0.9999


def test_numbers_stand_in_cells_only_where_they_fit(figure):
    wide, narrow = (for_paper(figure, width, 8, CAPTION) for width in (60, 8.5))
    shown = [[trace.visible is not False for trace in made.data if trace.meta == IN_CELLS] for made in (wide, narrow)]
    written = [trace for trace in figure.data if trace.meta == IN_CELLS]
    assert shown[0].count(True) == len(written)
    assert not any(shown[1])


def test_the_first_of_turned_names_is_not_cut(figure):
    made = for_paper(figure, 17, 8, CAPTION)
    turned = [axis for axis in made.select_xaxes() if axis.tickangle and axis.ticktext is not None]
    for axis in turned:
        reach = 0.5 * 8 * POINT * len(axis.ticktext[0])  # about half of its length goes to the left
        assert made.layout.margin.l >= reach
