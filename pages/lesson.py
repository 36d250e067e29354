"""The lesson: ten steps. Predict, look, and why."""

import streamlit as st

from asr_core.report import lesson
from asr_core.report.lesson import STEPS, TIMES, Question, Step
from asr_core.studies import taught
from pages._frame import classroom, keys, lessonviews, stage, state
from pages._frame.text import plain

GUESSES = "_guesses"  # of this session: step -> prediction that was revealed


def guesses() -> dict[int, object]:
    """What this visitor has predicted."""
    return st.session_state.setdefault(GUESSES, {})


def go(by: int) -> None:
    """To the next or the previous step: from a button or a key."""
    state.put(step=min(max(state.get("step") + by, 1), len(STEPS)))


def ask(question: Question, key: str, layers: list[str]) -> object:
    """The control of a prediction; its value, None while nothing is predicted."""
    if question.kind == "share":
        percent = st.slider("Your prediction, %", 0, 100, 50, key=key)
        return percent / 100
    if question.kind == "times":
        return st.select_slider(
            "Your prediction, times", TIMES, 10.0, format_func=lambda value: f"{value:,.0f}", key=key
        )
    if question.kind == "layer":
        return st.selectbox("Your prediction", layers, index=None, placeholder="a layer", key=key)
    return st.segmented_control(
        "Your prediction", list(lesson.REPAIR_NAMES), format_func=lesson.REPAIR_NAMES.get, key=key
    )


def predict(step: Step, number: int, numbers: dict, layers: list[str]) -> None:
    """Ask, and reveal on a click."""
    with st.container(key="_asked"):
        guess = ask(step.question, f"_guess_{number}", layers)
    label, about = ("Reveal", "Compares your prediction with what is stored.")
    if not classroom.answers():
        label, about = ("Send", "Your teacher reveals the answer.")
    if not classroom.answers() and number in guesses():
        st.info(f"Sent: {plain(lesson.said(step.question, guesses()[number]))}")
        return

    def told() -> None:
        guesses()[number] = guess
        classroom.predicted(number, guess)

    st.button(label, key="_reveal", type="primary", disabled=guess is None, on_click=told, help=about)


def steps(number: int) -> None:
    """Back and forward, and where we are."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button("Back", key="_back", icon=":material/arrow_back:", on_click=go, args=(-1,), disabled=number == 1)
        st.button(
            "Next", key="_next", icon=":material/arrow_forward:", on_click=go, args=(1,), disabled=number == len(STEPS)
        )
        st.caption(f"Step {number} of {len(STEPS)} · keys: Right and Left", width="content")


def shown(text: str, numbers: dict) -> str:
    """A template with stored numbers; names in it are shown as they are."""
    return lesson.filled(text, {n: plain(value) if isinstance(value, str) else value for n, value in numbers.items()})


def draw(number: int) -> None:
    """One step."""
    step, view = STEPS[number - 1], lessonviews.view()
    st.progress(number / len(STEPS))
    if view is None:
        st.info(f"The lesson needs a stored result. {taught.RULE}")
        return
    numbers = lessonviews.numbers(view)
    st.subheader(f"{number}. {step.title}", anchor=False)
    st.markdown(shown(step.text, numbers))
    told = st.container()
    if number in guesses() and classroom.answers():
        with told:
            answer = numbers[step.question.answer]
            st.markdown(f"*{shown(step.question.text, numbers)}*")
            st.success(plain_but_bold(lesson.compared(step.question, guesses()[number], answer)))
        lessonviews.draw(step.after, f"lesson_{number}_after", view)
        st.markdown(shown(step.why, numbers))
    else:
        with told:
            st.markdown(f"**{shown(step.question.text, numbers)}**")
            predict(step, number, numbers, view.layers)
        if step.before is not None:
            lessonviews.draw(step.before, f"lesson_{number}_before", view)
    classroom.show(number)
    st.caption(f"Shown: {plain(view.title)}. {taught.RULE} Your own setting stays as it is.")


def plain_but_bold(text: str) -> str:
    """A sentence of the lesson in Markdown, names in it as they are."""
    return " ".join(f"**{plain(part)}**" if bold % 2 else plain(part) for bold, part in enumerate(text.split("**")))


steps(state.get("step"))
draw(state.get("step"))
if not state.get("talk") or not stage.on():
    keys.listen(go, stage.leave if stage.on() else None)
