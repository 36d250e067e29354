"""A teacher's link: the setting is locked, chosen controls and answers are left out, predictions are counted."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import streamlit as st
from made_results import store_result
from paged import faultless as opened

from asr_core.store import Store
from pages._frame import classroom
from pages._frame.classroom import Tally


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("ASR_CACHE_DIR", str(tmp_path))
    st.cache_resource.clear()
    return Store(tmp_path)


def test_a_locked_setting_cannot_be_changed_and_offers_nothing_to_compute(store):
    store_result(store)
    app = opened("overview", dataset="digits", sparsity="0.93", locked="1")
    boxes = [*app.sidebar.selectbox, *app.sidebar.select_slider, *app.sidebar.number_input]
    assert boxes and all(box.disabled for box in boxes)
    assert not any(button.label == "Compute" for button in app.button)
    assert app.query_params["locked"] == "1"


def test_hidden_controls_are_left_out_and_keep_their_value(store):
    store_result(store, sparsity=0.9)
    app = opened("overview", dataset="digits", sparsity="0.9", hidden="sparsity,orders")
    assert "sparsity" not in {slider.key for slider in app.sidebar.select_slider}
    assert app.query_params["sparsity"] == "0.9"


def test_without_answers_a_prediction_is_sent_and_nothing_revealed(store):
    store_result(store)
    app = opened("lesson", step="3", answers="0", room="maple")
    app.button(key="_reveal").click().run()
    assert not app.success and "Sent: 50 %" in app.info[0].value
    assert classroom.tally().of("maple", 3) == {"50 %": 1}


def test_the_teacher_sees_the_counts_of_the_room(store):
    store_result(store)
    classroom.tally().add("maple", 3, "40 %")
    app = opened("lesson", step="3", room="maple", tally="1")
    assert any("Room maple: 1 predictions" in item.value for item in app.caption)
    assert app.table[0].value["how many"].to_dict() == {"40 %": 1}


def test_thirty_students_at_once_are_all_counted():
    tally = Tally()
    with ThreadPoolExecutor(30) as class_:
        list(class_.map(lambda number: tally.add("maple", 1, f"{number % 3}"), range(300)))
    assert tally.of("maple", 1) == {"0": 100, "1": 100, "2": 100}


def test_rooms_and_predictions_are_bounded():
    tally = Tally()
    for number in range(classroom.MOST_ROOMS + 1):
        tally.add(f"room{number}", 1, "x")
    assert tally.of("room0", 1) == {} and tally.of(f"room{classroom.MOST_ROOMS}", 1) == {"x": 1}
    for _ in range(2 * classroom.MOST_PREDICTIONS):
        tally.add("full", 1, "x")
    assert tally.of("full", 1) == {"x": classroom.MOST_PREDICTIONS}
