"""The lesson: steps as data, numbers from the store, prediction before the reveal, the user's setting untouched."""

import re

import paged
import pytest
from drawn import charts
from made_results import store_result
from paged import turned, words
from streamlit.testing.v1 import AppTest

from asr_core.report import glossary, lesson
from asr_core.report.lesson import STEPS, Question
from asr_core.store import Store
from asr_core.store.entries import PROJECT
from asr_core.studies import lessonnumbers, taught
from pages._frame import lessonviews
from pages._frame.address import PARAMS

NUMBERS = range(1, len(STEPS) + 1)


@pytest.fixture(scope="module")
def numbers(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("lesson"))
    results = [store_result(store, sparsity=sparsity) for sparsity in (0.5, 0.9)]
    return lessonnumbers.numbers(results[1], results[:1])


def opened(step: int = 1, **address) -> AppTest:
    return turned(paged.arrived(**{"step": step} | address), "lesson")


def test_there_are_at_most_ten_steps_and_the_address_knows_them():
    assert len(STEPS) <= 10 and PARAMS["step"].high == len(STEPS)


def test_no_term_is_used_before_it_is_introduced():
    assert glossary.unknown(lesson.paragraphs()) == []


@pytest.mark.parametrize("step", STEPS, ids=[step.title for step in STEPS])
def test_a_step_is_one_to_three_sentences_with_a_question_a_view_and_a_reason(step):
    assert 1 <= len(re.findall(r"[.:](?:\s|$)", step.text.replace("{", " "))) <= 5
    assert step.question.text and step.why
    for shot in filter(None, (step.before, step.after)):
        assert shot.chart in lessonviews.CHARTS
        assert (PROJECT / f"pages/{shot.page}.py").exists()


@pytest.mark.parametrize("step", STEPS, ids=[step.title for step in STEPS])
def test_every_number_of_a_step_is_a_stored_one(numbers, step):
    named = [*re.findall(r"{(\w+)", step.text + step.question.text + step.why), step.question.answer]
    assert set(named) <= numbers.keys()
    assert "{" not in lesson.filled(step.text + step.why, numbers)
    assert lesson.said(step.question, numbers[step.question.answer]) != "not stored"


def test_answers_are_those_of_the_tables(store):
    result = store_result(store)
    found = lessonnumbers.numbers(result)
    rows = taught.ratios(result)
    rows = rows[(rows["layer"] == found["layer"]) & (rows["method"] == "lw_bn")]
    wrong = (rows["predicted"] > 2) | (rows["predicted"] < 0.5)
    assert found["missed"] == pytest.approx(wrong.mean())
    assert found["left"] == pytest.approx(0.9**20)
    turn = result.accuracy
    turn = turn[(turn["order"] == "sequential") & (turn["bias"] == True) & (turn["calib_batches"] == 0)]  # noqa: E712
    assert found["best_in_turn"] == turn.loc[turn["top1"].idxmax(), "method"]


def test_what_is_not_stored_is_said(store):
    only = store_result(store, repairs=taught.REPAIRS)
    found = lessonnumbers.numbers(only)
    assert found["best_in_turn"] is None and found["compared"] == 0
    assert lesson.said(STEPS[-1].question, found["best_in_turn"]) == "not stored"
    assert "not stored" in lesson.compared(STEPS[-1].question, "asr_bn", None)


@pytest.mark.parametrize(
    ("kind", "guess", "answer", "near"),
    [
        ("share", 0.5, 0.54, True),
        ("share", 0.5, 0.9, False),
        ("times", 10.0, 12.0, True),
        ("times", 10.0, 100.0, False),
        ("layer", "conv2", "conv2", True),
        ("method", "lw_bn", "asr_bn", False),
    ],
)
def test_a_prediction_is_compared_kindly(kind, guess, answer, near):
    question = Question(kind, "?", "x")
    told = lesson.compared(question, guess, answer)
    assert told.startswith(("Well seen.", "Yes.")) == near
    assert lesson.said(question, answer) in told and lesson.said(question, guess) in told
    assert "wrong" not in told.lower()


@pytest.mark.parametrize("number", NUMBERS)
def test_each_step_opens_from_its_address_and_reveals(store, number):
    for sparsity in (0.5, 0.9):
        store_result(store, sparsity=sparsity)
    app = opened(number)
    step = STEPS[number - 1]
    assert app.subheader[0].value == f"{number}. {step.title}"
    assert len(charts(app)) == (step.before is not None)
    assert not app.success
    answer(app, number)
    app.button(key="_reveal").click().run()
    assert not app.exception and app.success[0].value and len(charts(app)) == 1


def answer(app: AppTest, number: int) -> None:
    kind = STEPS[number - 1].question.kind
    if kind == "layer":
        app.selectbox(key=f"_guess_{number}").set_value("layer2.0.conv2").run()
    if kind == "method":
        app.button_group(key=f"_guess_{number}").set_value("asr_bn").run()


def test_steps_follow_each_other_and_the_address_follows(store):
    store_result(store)
    app = opened(9)
    app.button(key="_next").click().run()
    assert app.query_params["step"] == "10" and app.button(key="_next").disabled
    app.button(key="_back").click().run()
    assert app.query_params["step"] == "9"


def test_the_users_own_setting_is_there_after_the_lesson(store):
    store_result(store, sparsity=0.9)
    store_result(store, sparsity=0.5)
    app = opened(3, dataset="digits", sparsity="0.5", methods="bn_only", layer="layer2.0.conv1")
    turned(app, "overview")
    assert app.query_params["sparsity"] == "0.5" and app.query_params["methods"] == "bn_only"
    assert app.query_params["layer"] == "layer2.0.conv1"


def test_with_nothing_stored_the_lesson_says_what_it_needs(store):
    assert "needs a stored result" in words(opened())


@pytest.mark.parametrize(
    ("share", "said"),
    [
        (0.998, "99.8%"),
        (0.99996, "99.996%"),
        (0.0016, "0.16%"),
        (1.0, "100%"),
        (0.0, "0%"),
        (0.42, "42%"),
        (1.7, "170%"),
    ],
)
def test_nearly_all_is_not_said_to_be_all(share, said):
    assert lesson.filled("{share:.0%}", {"share": share}) == said
