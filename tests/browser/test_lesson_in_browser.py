"""The lesson by keyboard alone, in a real browser."""

from asr_core.report.lesson import STEPS


def test_right_and_left_turn_the_steps_before_the_reveal_too_and_the_address_follows(server, visit):
    visitor = visit(server, "lesson")
    for number in range(2, len(STEPS) + 1):
        visitor.page.keyboard.press("ArrowRight")
        visitor.arrive("lesson", step=number)
        assert visitor.page.get_by_role("heading", level=3).inner_text() == f"{number}. {STEPS[number - 1].title}"
    visitor.page.keyboard.press("ArrowLeft")
    visitor.arrive("lesson", step=len(STEPS) - 1)
    assert not visitor.broken()


def test_a_key_that_moves_a_slider_turns_no_step(server, visit):
    visitor = visit(server, "lesson?step=3")
    slider = visitor.page.get_by_role("slider")
    slider.focus()
    slider.press("ArrowRight")
    visitor.page.wait_for_timeout(500)
    assert visitor.address["step"] == "3"
    visitor.page.get_by_role("button", name="Reveal").press("Enter")
    visitor.until(lambda: "you said 51 %" in visitor.messages, "the comparison")
    visitor.finish()
    assert len(visitor.charts) == 1 and not visitor.broken()


def test_a_link_to_a_step_is_the_same_on_a_server_that_nobody_has_visited(fresh_server, visit):
    visitor = visit(fresh_server, "lesson?step=6", color_scheme="dark")
    assert visitor.page.get_by_role("heading", level=3).inner_text() == f"6. {STEPS[5].title}"
    assert len(visitor.charts) == 1 and not visitor.broken() and not visitor.widened
