"""Images that a computation would have to download."""

import streamlit as st

from asr_core.images import data
from asr_core.spec.parts import DataSpec
from asr_core.store import Store
from pages._frame.text import plain


def offer(wanted: DataSpec, store: Store, name: str) -> str:
    """Where images must be downloaded first: says so, offers a folder instead, returns the label of the button that
    computes. `name` tells offers on one page apart."""
    if not (megabytes := data.to_download(wanted, store)):
        return ""
    st.markdown(
        f"The images of **{plain(data.label(wanted, store))}** are not on this machine. Computing downloads them first "
        f"({megabytes:,} MB, each file checked), or takes them from a folder that holds the same images."
    )
    st.button(
        "Use a folder",
        key=f"_folder_{name}",
        icon=":material/folder_open:",
        on_click=lambda: st.session_state.update(_open_own=True),
        help="Opens *Own network and data* in the sidebar, which takes its path. What is stored stays valid.",
    )
    return f"Download {megabytes:,} MB and compute"
