"""The dashboard: `python -m streamlit run app.py`."""

import streamlit as st

app = st.App("pages/_main.py")
