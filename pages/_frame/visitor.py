"""Who looks at the dashboard, and whether they may start computations and send files.

ASR_DEMO=1: nobody. ASR_USER_HEADER: whom a reverse proxy names in that header. ASR_PASSWORD: who gives it, once per
browser session. Of these, the first that is set holds; with none, everybody.
"""

import hashlib
import hmac
import os
import time

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

PAUSE = 1.0  # seconds that a wrong password costs
ADMITTED = "_admitted"
DEMO = (
    "This server shows stored results only: it computes nothing and takes no images or weights. Run ASR Lens yourself "
    "to compute others."
)
UNNAMED = "Only users whom this server's proxy has logged in may compute here; what is stored can be looked at."


def demo() -> bool:
    """Whether this server shows stored results only."""
    return os.environ.get("ASR_DEMO", "0") not in ("", "0")


def named() -> str | None:
    """The user that a reverse proxy names in the header `ASR_USER_HEADER`; None where there is none."""
    header = os.environ.get("ASR_USER_HEADER")
    return (st.context.headers.get(header) or None) if header else None


def owner() -> str:
    """Whom a job is counted to: the named user, else this browser session, by a mark that does not open it."""
    return _mark(named() or _session_id())


def session() -> str:
    """This browser session, by a mark that does not open it."""
    return _mark(_session_id())


def _session_id() -> str:
    context = get_script_run_ctx()
    return context.session_id if context else ""


def _mark(who: str) -> str:
    return hashlib.sha256(who.encode()).hexdigest()[:12]


def may_compute() -> bool:
    """Whether this visitor may compute and send files, without a word."""
    if demo():
        return False
    if os.environ.get("ASR_USER_HEADER"):
        return named() is not None
    return not os.environ.get("ASR_PASSWORD") or bool(st.session_state.get(ADMITTED))


def admitted(key: str) -> bool:
    """Whether this visitor may compute and send files; else says why not, with a field for the password where one would
    do. key: of that field, other than those of other fields on the page."""
    if demo():
        st.info(DEMO, icon=":material/lock:")
        return False
    if may_compute():
        return True
    if os.environ.get("ASR_USER_HEADER"):
        st.info(UNNAMED, icon=":material/lock:")
        return False
    st.text_input(
        "Password for computing here",
        type="password",
        key=key,
        on_change=_try,
        args=(key,),
        help="Whoever runs this server knows it. What is stored can be looked at without.",
    )
    if st.session_state.pop("_refused", False):
        st.caption("That is another password than this server's.")
    return False


def _try(key: str) -> None:
    """A callback: take the password that was typed."""
    given = st.session_state.pop(key, "")
    if hmac.compare_digest(given.encode(), os.environ.get("ASR_PASSWORD", "").encode()):
        st.session_state[ADMITTED] = True
    elif given:
        time.sleep(PAUSE)
        st.session_state["_refused"] = True
