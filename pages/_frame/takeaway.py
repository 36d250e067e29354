"""At the foot of a page: its figures, and the whole setting, to take away."""

import streamlit as st

from asr_core.figures import onefile
from pages._frame import common, export, folded, picture


def page_zip(title: str, address: str) -> None:
    """At the foot of a page: all its figures at once."""
    drawn = st.session_state.get("_drawn", [])
    if drawn:
        st.download_button(
            "Take the whole page (zip)",
            lambda: export.page_zip(title, drawn, address),
            f"asr-lens-{title.lower().replace(' ', '-')}.zip",
            "application/zip",
            key="_zip",
            on_click="ignore",
            icon=":material/folder_zip:",
            help="Figures as one offline HTML, their tables, notebooks, and the setting's card.",
        )


def several(title: str) -> None:
    """At the foot of a page with more than one figure: some of them as one picture."""
    drawn = st.session_state.get("_drawn", [])
    if len(drawn) > 1:
        folded.popover(
            "Several figures as one picture",
            "_open_several",
            lambda: picture.several(title, drawn),
            icon=":material/grid_view:",
            help="Lettered panels with one legend and one caption, for a paper.",
        )


def files(title: str, view: common.View | None, address: str) -> None:
    """At the foot of a page: its figures, and the whole setting."""
    with st.container(horizontal=True):
        several(title)
        page_zip(title, address)
        if view is not None and view.keys:
            report_button(view, address)


def report_button(view: common.View, address: str) -> None:
    """The whole setting as one file."""
    st.download_button(
        "This setting as one file (HTML)",
        lambda: onefile.html(view.result, tuple(view.repairs), view.look.bn_state, address).encode(),
        f"asr-lens-{view.keys[0][:10]}.html",
        "text/html",
        key="_onefile",
        on_click="ignore",
        icon=":material/description:",
        help="Figures, tables, sentences and the protocol of the chosen setting and methods; needs no network.",
    )
