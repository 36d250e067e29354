"""The dashboard: `python -m streamlit run app.py`."""

import streamlit as st

from pages import _document

app = st.App("pages/_main.py", routes=_document.routes())
