"""Several figures as one picture: lettered panels within the frame, one legend, one caption."""

import pytest
from made_results import store_result

from asr_core.errors import AsrError
from asr_core.figures import curves, overview, spread, variance
from asr_core.figures.room import make_room
from asr_core.figures.sheet import Panel, caption, sheet
from asr_core.figures.sized import CM, POINT
from asr_core.spec.repairs import BN_ONLY
from asr_core.store import Store
from asr_core.studies import taught

REPAIRS = (BN_ONLY, *taught.REPAIRS)
SETTING = "resnet18 on made-up digits, global L1 90 %"
WHAT = {
    overview.ACCURACY: {"repairs": REPAIRS},
    variance.SCATTER: {"layer": "layer2.0.conv1", "repairs": REPAIRS},
    curves.CURVES: {"repairs": REPAIRS, "ways": ("reset",)},
    spread.SPREAD: {},
}


@pytest.fixture(scope="module")
def panels(tmp_path_factory):
    result = store_result(Store(tmp_path_factory.mktemp("sheet")))
    tables = {chart: chart.table(result, **what) for chart, what in WHAT.items()}
    drawn = {chart: make_room(chart.figure(t, **chart.limits([t])), 560) for chart, t in tables.items()}
    return [Panel(chart.name, figure, SETTING) for chart, figure in drawn.items()]


@pytest.mark.parametrize("across", [1, 2, 3])
def test_every_panel_lies_within_the_sheet_and_beside_the_others(panels, across):
    made = sheet(panels, 17, 8, across)
    boxes = [(p.x, p.y, p.x + p.figure.layout.width, p.y + p.figure.layout.height) for p in made.parts]
    assert made.width == round(17 * CM)
    assert all(x0 >= 0 and y0 >= 0 and x1 <= made.width + 1 and y1 <= made.height + 1 for x0, y0, x1, y1 in boxes)
    apart = [
        one[2] <= other[0] + 1 or other[2] <= one[0] + 1 or one[3] <= other[1] + 1 or other[3] <= one[1] + 1
        for place, one in enumerate(boxes)
        for other in boxes[:place]
    ]
    assert all(apart)


def test_panels_are_lettered_and_those_of_a_row_are_of_one_height(panels):
    made = sheet(panels, 17, 8, 2)
    assert [part.letter for part in made.parts] == ["(a)", "(b)", "(c)", "(d)", ""]
    heights = [part.figure.layout.height for part in made.parts]
    assert heights[0] == heights[1] and heights[2] == heights[3]


def test_a_single_panel_has_no_letter(panels):
    assert {part.letter for part in sheet(panels[:1], 8.5, 8).parts} == {""}


def test_there_is_one_legend_with_each_look_once(panels):
    scatter = panels[1]
    made, alone = sheet([scatter, scatter], 17, 8), sheet([scatter], 17, 8)
    assert all(part.figure.layout.showlegend is False for part in made.parts[:-1])
    names = [trace.name for trace in made.parts[-1].figure.data]
    assert names == [trace.name for trace in alone.parts[-1].figure.data] == list(dict.fromkeys(names))
    assert {"no repair", "ASR"} <= set(names)


def test_the_legend_has_what_each_panel_has(panels):
    names = {trace.name for trace in sheet(panels[1:3], 17, 8).parts[-1].figure.data}
    for panel in panels[1:3]:
        shown = {trace.name for trace in panel.figure.data if trace.name and trace.showlegend is not False}
        assert shown <= names


def test_no_entry_of_the_legend_draws_a_mark(panels):
    assert all(list(trace.x) == [None] for trace in sheet(panels, 17, 8).parts[-1].figure.data)


def test_the_caption_names_each_panel_and_the_setting_once(panels):
    text = caption(panels)
    assert text.startswith("(a) overview.ACCURACY: ") and "(d) spread.SPREAD" in text
    assert text.count(SETTING) == 1 and text.endswith(f"{SETTING}.")


def test_panels_of_two_settings_each_name_their_own(panels):
    text = caption([panels[0], Panel("pinned", panels[0].figure, "another setting")])
    assert text.index(SETTING) < text.index("(b) pinned") < text.index("another setting")


def test_the_caption_stands_below_in_lines_that_fit(panels):
    made = sheet(panels, 8.5, 8, 1)
    lines = made.parts[-1].figure.layout.annotations[-1].text.split("<br>")
    assert " ".join(lines) == caption(panels)
    assert max(map(len, lines)) * 0.58 * 8 * POINT <= made.width


def test_figures_of_the_page_are_left_alone(panels):
    before = [panel.figure.to_json() for panel in panels]
    sheet(panels, 17, 8)
    assert [panel.figure.to_json() for panel in panels] == before


def test_no_picture_of_no_figure():
    with pytest.raises(AsrError, match="0 panels"):
        sheet([], 17, 8)
