"""Who looks at the dashboard."""

import hashlib
import os

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx


def named() -> str | None:
    """The user that a reverse proxy names in the header `ASR_USER_HEADER`; None where there is none."""
    header = os.environ.get("ASR_USER_HEADER")
    return (st.context.headers.get(header) or None) if header else None


def owner() -> str:
    """Whom a job is counted to: the named user, else this browser session, by a mark that does not open it."""
    context = get_script_run_ctx()
    who = named() or (context.session_id if context else "")
    return hashlib.sha256(who.encode()).hexdigest()[:12]
