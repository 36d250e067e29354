"""The page of traces_app.py."""

import streamlit as st
from traces import KINDS, figure_of

from asr_core.figures import style
from asr_core.figures.room import make_room
from pages._frame import plot

st.title("Traces", anchor=False)
for kind in KINDS:
    plot.draw(style.for_screen(make_room(figure_of(kind), 900)), kind, kind, style.CONFIG)
st.caption("the end")
