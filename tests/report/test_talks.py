"""Talks: shipped ones are whole and lead to real views, others are read with care, scenes follow each other."""

import json

import pytest
from drawn import charts, shown
from hypothesis import given
from hypothesis import strategies as st
from made_results import store_result
from paged import faultless as opened

from asr_core.errors import AsrError, SpecError, UnknownName
from asr_core.report import talks
from asr_core.report.talks import Scene, Talk
from asr_core.store import Store
from asr_core.store.catalogue import stored
from asr_core.store.entries import PROJECT
from asr_core.studies import taught
from pages._frame import address

TALK = Talk("Ours", 3, (Scene("One", "idea", "say this"), Scene("Two", "variance?stage=predicted")))
PAGES = {path.stem for path in (PROJECT / "pages").glob("[!_]*.py")}


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("ASR_CACHE_DIR", str(tmp_path))
    return Store(tmp_path)


@pytest.mark.parametrize(("name", "minutes"), [("five", 5), ("fifteen", 15)])
def test_a_shipped_talk_has_its_minutes_and_every_scene_names_a_page_and_its_own_parameters(store, name, minutes):
    talk = talks.find(name, store)
    assert talk.minutes == minutes and all(scene.title and scene.notes for scene in talk.scenes)
    for scene in talk.scenes:
        assert scene.page in PAGES
        for parameter, text in scene.parameters.items():
            address.read(parameter, text)  # raises if the page would not understand it


def test_a_talk_is_the_same_from_a_file_the_store_and_an_address(store):
    assert Talk.read(TALK.text) == TALK
    assert talks.find(talks.keep(TALK, store), store) == TALK
    assert talks.find(TALK.packed, store) == TALK
    address.read("talk", TALK.packed)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"title": "t"}',
        '{"title": "t", "minutes": 1, "scenes": []}',
        '{"title": "t", "minutes": 1, "scenes": [{"title": "s", "view": "../etc"}]}',
        '{"title": "t", "minutes": 1, "scenes": [{"title": "s", "view": "http://x"}]}',
        '{"title": "t", "minutes": 1, "scenes": [{"title": "s", "view": "idea", "more": 1}]}',
        " " * 30_000,
    ],
)
def test_what_is_no_talk_is_refused_in_one_line(text):
    with pytest.raises(SpecError) as error:
        Talk.read(text)
    assert "\n" not in str(error.value)


@given(st.text(alphabet="zabcXYZ019_-", max_size=80))
def test_a_name_from_an_address_finds_a_talk_or_says_that_there_is_none(name):
    with pytest.raises(AsrError):
        talks.find(f"q{name}", Store("/nonexistent"))
    with pytest.raises(AsrError):
        talks.find(f"z{name}", Store("/nonexistent"))


def test_an_unknown_talk_names_the_known_ones(store):
    with pytest.raises(UnknownName, match="five"):
        talks.find("fifty", store)


def test_a_stage_shows_the_view_large_with_its_setting_and_nothing_to_press(store):
    store_result(store, sparsity=0.9)
    app = opened("overview", dataset="digits", sparsity="0.9", present="1")
    sizes = [size for chart in charts(app) for size in fonts(chart["layout"])]
    assert sizes and min(sizes) >= 20
    assert not app.sidebar.selectbox and not app.get("popover") and not app.get("download_button")
    assert any("corner" in item.proto.body and "global L1 90 %" in item.proto.body for item in app.get("html"))


def fonts(layout) -> list[float]:
    """Every size of a font in a figure's layout."""
    if isinstance(layout, list):
        return [size for item in layout for size in fonts(item)]
    if not isinstance(layout, dict):
        return []
    own = [layout[name]["size"] for name in layout if name.endswith("font") and "size" in layout[name]]
    return own + [size for item in layout.values() for size in fonts(item)]


def test_what_is_not_stored_offers_nothing_to_compute_on_a_stage(store):
    app = opened("overview", present="1")
    assert not [button for button in app.button if button.label == "Compute"]


def test_a_talk_begins_at_any_scene_in_the_setting_that_lessons_show(store):
    store_result(store, sparsity=0.9)
    store_result(store, sparsity=0.5)
    app = opened("talk", dataset="digits", sparsity="0.5", methods="bn_only")
    app.button(key="_scene_2").click().run()
    assert not app.exception and app.title[0].value == "Channel variance"
    assert app.query_params["stage"] == "predicted" and app.query_params["scene"] == "2"
    assert app.query_params["talk"] == "five" and app.query_params["present"] == "1"
    (chosen,) = {item.setting.prune.parameters["sparsity"] for item in taught.chosen(store, stored(store))}
    assert app.query_params["sparsity"] == f"{chosen}"


def test_the_talks_page_lists_the_scenes_of_the_chosen_talk(store):
    app = opened("talk")
    text = shown("\n".join(item.value for item in app.markdown))
    for one in json.loads((PROJECT / "asr_core/report/talks/five.json").read_text())["scenes"]:
        assert one["title"] in text
