"""The idea: one number for a whole layer, one for each channel, and trust, in a minute."""

import streamlit as st

from asr_core.figures import idea as figures
from asr_core.report import ideatext
from asr_core.spec.recalibration import BatchNormState
from asr_core.studies import taught
from pages._frame import charts, idea, lessons, state
from pages._frame.text import plain

for paragraph in ideatext.INTRO:
    st.markdown(paragraph)
idea.draw()
st.markdown(ideatext.AFTER)

FIGURES = {chart.name: chart for chart in (figures.LAYER, figures.DEPTH, figures.BATCHNORM)}
view = lessons.view(taught.REPAIRS, BatchNormState())
if view is None:
    st.info(f"Three steps on a real network follow once one is stored. {ideatext.RULE}")
else:
    for number, step in enumerate(ideatext.STEPS, 1):
        st.subheader(f"{number}. {step.title}", anchor=False)
        st.markdown(step.text)
        charts.show(FIGURES[step.chart], f"idea_{number}", views=[view], **dict(step.what))
        st.markdown(step.after)
    st.caption(f"Stored and measured here: {plain(view.title)}. {ideatext.RULE}")
with st.container(horizontal=True):
    st.button("Take the lesson", type="primary", icon=":material/school:", on_click=state.go, args=("lesson",))
    st.button("Look at all results", icon=":material/dashboard:", on_click=state.go, args=("overview",))
