"""A dashboard with one page that draws every kind of trace as the pages draw theirs: `streamlit run traces_app.py`."""

import sys
from pathlib import Path

import streamlit as st

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from pages._frame import document  # noqa: E402

app = st.App("traces_page.py", routes=document.routes())
