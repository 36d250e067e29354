"""A talk by keys alone on a screen of 1920 x 1080, with its notes in a second window."""

import pytest

from asr_core.report import talks
from asr_core.store import Store

SCREEN = {"width": 1920, "height": 1080}
SMALLEST = 20  # pixels; raised and lowered figures are left out
# Text in sight on the page that is smaller than that, in the window's pixels.
SMALL = """least => Array.from(document.querySelectorAll('[data-testid=stMain] *')).filter(element =>
    element.getClientRects().length && !element.closest('math, [aria-hidden=true], [data-testid=stIconMaterial]')
    && Array.from(element.childNodes).some(node => node.nodeType === 3 && node.textContent.trim())
    && !(element.tagName === 'tspan' && element.hasAttribute('dy')))
    .map(element => {
        const drawn = element.closest('svg.bars');
        const scale = drawn ? drawn.getBoundingClientRect().width / 640 : 1;
        return [element.textContent.trim().slice(0, 30), scale * parseFloat(getComputedStyle(element).fontSize)];
    }).filter(([, size]) => size < least)"""
# Buttons on a stage: the lesson's own only, and the idea's, which answer in the page.
BUTTONS = "[data-testid=stMain] button:not(.idea button)"
SEEN = """all => all.filter(one => one.getClientRects().length
    && !one.closest('.st-key-_back, .st-key-_next, .st-key-_reveal, .st-key-_asked')).map(one => one.outerHTML)"""
CHROME = "[data-testid=stSidebar], [data-testid=stHeader], [data-testid=stPopover], [data-testid=stExpander]"


@pytest.mark.parametrize("name", talks.SHIPPED)
def test_the_talk_is_walked_by_keys(server, visit, tmp_path, name):
    talk = talks.find(name, Store(tmp_path))
    visitor = visit(server, f"talk?talk={name}&dataset=digits&sparsity=0.9&methods=bn_only", viewport=SCREEN)
    visitor.page.get_by_role("button", name="Present", exact=True).click()
    for number, scene in enumerate(talk.scenes, 1):
        expected = {"scene": number} if number > 1 else {}
        visitor.arrive(scene.page, present="1", talk=name, **expected)
        assert visitor.page.evaluate(SMALL, SMALLEST) == []
        assert not [one for one in visitor.page.locator(CHROME).all() if one.is_visible()]
        assert f"{number} / {len(talk.scenes)}" in visitor.page.locator(".corner").inner_text()
        assert not visitor.offers_to_compute and not visitor.broken()
        assert visitor.page.locator(BUTTONS).evaluate_all(SEEN) == []
        visitor.page.keyboard.type("cr")  # in Streamlit's own mode these clear caches and run again
        assert visitor.page.locator("[role=dialog], [role=menu]").count() == 0
        visitor.page.keyboard.press(("ArrowRight", "PageDown", " ")[number % 3])
    visitor.page.keyboard.press("Escape")
    visitor.until(lambda: "present" not in visitor.address, "the end of the talk")
    assert visitor.address.items() >= {"sparsity": "0.9", "methods": "bn_only"}.items()


def presented(visitor, talk: str) -> None:
    """Begin a talk, and wait until it hears keys."""
    visitor.page.get_by_role("button", name="Present", exact=True).click()
    visitor.until(lambda: visitor.address.get("present") == "1", f"the stage of {talk}")
    visitor.page.locator(".keys[data-drawn]").wait_for(state="attached")


def test_notes_and_next_scene_follow_in_a_second_window_that_turns_pages_too(server, visit, tmp_path):
    scenes = talks.find("five", Store(tmp_path)).scenes
    visitor = visit(server, "talk", viewport=SCREEN)
    notes = visitor.context.new_page()
    notes.goto(f"{server.url}/talk?talk=fifteen")
    notes.get_by_role("heading", name="No window presents a talk yet").wait_for()
    presented(visitor, "five")
    for number, scene in enumerate(scenes, 1):
        notes.get_by_role("heading", name=f"{number} / {len(scenes)} · {scene.title}").wait_for()
        assert scene.notes in notes.locator(".notes").inner_text()
        assert (scenes[number].title if number < len(scenes) else "Last scene") in notes.locator(".notes").inner_text()
        notes.keyboard.press("ArrowRight")
    visitor.arrive(scenes[-1].page, scene=len(scenes))
    assert not visitor.broken()


def test_as_many_scenes_as_keys_are_pressed_though_none_has_been_drawn(server, visit):
    visitor = visit(server, "talk?talk=fifteen", viewport=SCREEN)
    presented(visitor, "fifteen")
    for _ in range(4):
        visitor.page.keyboard.press("ArrowRight")
        visitor.page.wait_for_timeout(120)
    visitor.until(lambda: visitor.address.get("scene") == "5", "the fifth scene")
    visitor.finish()
    assert "5 / 14" in visitor.page.locator(".corner").inner_text()
    assert not visitor.broken()
