"""Present mode: any view on a stage, and a talk's scenes one after another. Nothing here computes or opens a menu."""

from html import escape

import streamlit as st

from asr_core.errors import AsrError
from asr_core.report import talks
from asr_core.report.talks import Scene, Talk
from pages._frame import address, common, keys, lessons, state

BEFORE = "_before_talk"  # what the user had chosen
TEXT = 23  # pixels: captions, the smallest, then have 20
# No sidebar, no toolbar, no controls but those of a lesson; the setting in a corner.
STYLE = f"""
html {{font-size: {TEXT}px !important}}
:is([data-testid=stSidebar], [data-testid=stHeader], [data-testid=stToolbar], [data-testid=stExpander],
    [data-testid=stPopover], [data-testid=stDownloadButton], [data-testid=stDataFrame], [data-testid=stSelectbox],
    [data-testid=stButtonGroup], [data-testid=stCheckbox], [data-testid=stButton],
    [data-testid=stExpandSidebarButton], button[aria-label^=Help]) {{display: none !important}}
:is(.st-key-_back, .st-key-_next, .st-key-_reveal) [data-testid=stButton] {{display: block !important}}
.st-key-_asked :is([data-testid=stSelectbox], [data-testid=stButtonGroup]) {{display: block !important}}
[data-testid=stMainBlockContainer] {{padding: 1.2rem 3rem 4rem; max-width: none}}
[data-testid=stCaptionContainer] :is(p, li) {{font-size: 1rem}}
.corner {{position: fixed; right: 1.5rem; bottom: .8rem; font-size: 20px; opacity: .9; z-index: 9}}
"""


def on() -> bool:
    """Whether this run is for a stage."""
    return state.get("present") == "1"


def draw(found: common.View | None) -> None:
    """Style, the setting in a corner, and the keys."""
    st.html(f"<style>{STYLE}</style>")
    shown = found or lessons.view((), common.look().bn_state)
    talk, number = running(), state.get("scene")
    told = [shown.title] if shown is not None else []
    told += [f"{number} / {len(talk.scenes)}"] if talk else []
    st.html(f'<div class="corner">{escape(" · ".join(told))}</div>')
    if talk or not lesson_shown():
        keys.listen(move, leave, told_of(talk, number) if talk else None)


def told_of(talk: Talk, number: int) -> dict:
    """What a second window shows of a scene, and of the next."""
    scene, rest = talk.scenes[min(number, len(talk.scenes)) - 1], talk.scenes[number : number + 1]
    told = {"number": number, "count": len(talk.scenes), "minutes": talk.minutes}
    return told | {"title": scene.title, "notes": scene.notes, "next": "".join(one.title for one in rest)}


def lesson_shown() -> bool:
    """Whether the page at hand turns its own steps."""
    return st.session_state.get("_shown") == "lesson"


def running() -> Talk | None:
    """The talk of the address, or None."""
    name = state.get("talk")
    if not name:
        return None
    try:
        return talks.find(name, common.store())
    except AsrError as error:
        state.complain(f"In the address: {error}")
        state.put(talk=None)
        return None


def start(name: str, number: int = 1) -> None:
    """Begin a talk: from a callback. The user's own choices come back at its end."""
    st.session_state[BEFORE] = dict(st.session_state[state.STATE])
    state.put(talk=name)
    show(talks.find(name, common.store()).scenes, number)


def show(scenes: tuple[Scene, ...], number: int) -> None:
    """Go to a scene: from a callback."""
    number = min(max(number, 1), len(scenes))
    scene, own = scenes[number - 1], {"talk": state.get("talk"), "scene": number, "present": "1"}
    try:
        given = {name: address.read(name, text) for name, text in scene.parameters.items() if name in address.PARAMS}
    except AsrError as error:
        state.complain(f"In scene {number}: {error}")
        given = {}
    state.put(**{name: address.default(name) for name in address.PARAMS if name not in own})
    if not given.keys() & address.SETTING.keys() and (items := lessons.found()):
        common.adopt(items[0].setting, items[0].dense_id)
    state.go(scene.page, **given, **own)


def move(by: int) -> None:
    """To the next or the previous scene; without a talk a stage stays as it is."""
    if talk := running():
        show(talk.scenes, state.get("scene") + by)


def leave() -> None:
    """Back to where the user was."""
    before = st.session_state.pop(BEFORE, None) or {}
    state.put(**before | {"present": "0", "talk": None, "scene": 1})
