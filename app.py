"""The dashboard: `python -m streamlit run app.py`."""

import streamlit as st

from pages._frame import document, ready

ready.begin()
app = st.App("pages/_frame/main.py", routes=document.routes())
