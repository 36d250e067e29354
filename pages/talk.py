"""Talks: present one, see its notes in a second window, and make your own."""

from functools import cache
from pathlib import Path

import streamlit as st

from asr_core.errors import AsrError
from asr_core.report import talks
from asr_core.report.talks import Scene, Talk
from pages._frame import common, stage, state
from pages._frame.text import plain, problem

KEPT = "_scenes"  # of this session: views that were kept, as pairs of title and view


@cache
def _notes():
    script = Path(__file__).with_name("_frame") / "notes.js"
    return st.components.v2.component("notes", js=script.read_text(), isolate_styles=False)


def stored() -> dict[str, str]:
    """Name -> title of every talk at hand."""
    found = {name: talks.find(name, common.store()).title for name in talks.SHIPPED}
    found |= {m["key"]: m["facts"]["talk"]["title"] for m in common.store().manifests(talks.STAGE)}
    name = state.get("talk")
    if name and name not in found and (talk := stage.running()):
        found[name] = talk.title
    return found


def scenes(talk: Talk, name: str) -> None:
    """The scenes in their order, each a way in."""
    for number, scene in enumerate(talk.scenes, 1):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.button(f"{number}", key=f"_scene_{number}", on_click=stage.start, args=(name, number))
            st.markdown(f"**{plain(scene.title)}** {plain(scene.notes)}")


def own() -> None:
    """A talk of the views that were kept, or from a file."""
    kept = st.session_state.setdefault(KEPT, [])
    st.caption("On any page, Share › Keep as a scene adds its view here.")
    for number, (title, view) in enumerate(kept):
        with st.container(horizontal=True, vertical_alignment="bottom"):
            st.text_input(f"Title of scene {number + 1}", title, key=f"_title_{number}", width=260)
            st.text_input(f"Notes of scene {number + 1}", key=f"_notes_{number}", width=520)
            st.button("Remove", key=f"_drop_{number}", on_click=kept.pop, args=(number,))
            st.caption(plain(view[:80]))
    if kept:
        made = Talk(
            "My talk",
            len(kept),
            tuple(
                Scene(st.session_state[f"_title_{n}"], view, st.session_state[f"_notes_{n}"])
                for n, (_, view) in enumerate(kept)
            ),
        )
        ways(made)
    given = st.file_uploader("A talk as JSON", "json", key="_talk_file", max_upload_size=1)
    if given is not None:
        read(given.getvalue())


def read(content: bytes) -> None:
    """A talk from a file: shown with the ways to use it, or what is wrong with it."""
    try:
        talk = Talk.read(content.decode("utf-8", "replace"))
    except AsrError as error:
        problem(error)
        return
    st.markdown(f"**{plain(talk.title)}**, {len(talk.scenes)} scenes")
    ways(talk, "_of_file")


def ways(talk: Talk, suffix: str = "") -> None:
    """Present, store, save as a file, or put into the address."""
    with st.container(horizontal=True):
        st.button("Present it", key=f"_present{suffix}", on_click=stage.start, args=(talk.packed,))
        st.button(
            "Store it here", key=f"_store{suffix}", on_click=lambda: state.put(talk=talks.keep(talk, common.store()))
        )
        st.download_button("As JSON", talk.text, "talk.json", key=f"_json{suffix}", on_click="ignore")
        st.button("Into the address", key=f"_packed{suffix}", on_click=lambda: state.put(talk=talk.packed))


titles = stored()
if state.get("talk") not in titles:
    state.put(talk=talks.SHIPPED[0])
chosen = st.selectbox("Talk", list(titles), key=state.key("talk"), format_func=titles.get, width=520)
talk = talks.find(chosen, common.store())
with st.container(horizontal=True, vertical_alignment="center"):
    st.button("Present", type="primary", icon=":material/slideshow:", on_click=stage.start, args=(chosen,))
    st.caption(
        f"{len(talk.scenes)} scenes, {talk.minutes} minutes. Right, Space and Page down: next; Left and Page up: back; "
        "Esc: leave. Open this page in a second window for the notes."
    )
st.subheader("Notes", anchor=False)
_notes()(key="_notes")
st.subheader("Scenes", anchor=False)
scenes(talk, chosen)
st.subheader("Your own", anchor=False)
own()
