"""Every step and answer of the lesson, and every scene of the talks, opened from its address on a server that nobody
has visited: light on a laptop, dark on a large screen."""

import pytest

from asr_core.report import talks
from asr_core.report.lesson import STEPS
from asr_core.store import Store

SCREENS = {"light": {"width": 1280, "height": 900}, "dark": {"width": 1920, "height": 1080}}


@pytest.fixture(params=SCREENS)
def screen(request):
    """What a browser is opened with."""
    return {"color_scheme": request.param, "viewport": SCREENS[request.param]}


def predict(visitor, kind: str) -> None:
    """Give an answer, and have the stored one shown beside it."""
    asked = visitor.page.locator(".st-key-_asked")
    if kind == "layer":
        asked.get_by_role("combobox").click()
        visitor.page.get_by_role("option").first.click()
    elif kind == "method":
        asked.get_by_role("radio").first.click()
    visitor.page.get_by_role("button", name="Reveal").click()
    visitor.page.get_by_test_id("stAlert").wait_for()
    visitor.finish()


def test_every_step_and_its_answer(fresh_server, visit, screen):
    for number, step in enumerate(STEPS, 1):
        visitor = visit(fresh_server, f"lesson?step={number}", **screen)
        assert visitor.page.get_by_role("heading", level=3).inner_text() == f"{number}. {step.title}"
        assert not visitor.broken() and not visitor.widened
        predict(visitor, step.question.kind)
        assert not visitor.broken() and not visitor.widened


@pytest.mark.parametrize("name", talks.SHIPPED)
def test_every_scene(fresh_server, visit, screen, tmp_path, name):
    scenes = talks.find(name, Store(tmp_path)).scenes
    for number, scene in enumerate(scenes, 1):
        visitor = visit(fresh_server, f"{scene.page}?present=1&talk={name}&scene={number}", **screen)
        assert f"{number} / {len(scenes)}" in visitor.page.locator(".corner").inner_text()
        assert not visitor.broken() and not visitor.widened and not visitor.offers_to_compute
