"""What pages need, loaded from the server's start on, while the first visitor's browser still fetches the client."""

from importlib import import_module
from threading import Thread

# Nothing of pages and of Streamlit: they are imported by the first run of a page at the same time, and two threads that
# each wait for what the other imports would get halves.
NEEDED = ("pandas", "pyarrow.parquet", "plotly.subplots", "asr_core.pipeline.assembly", "asr_core.figures.onefile")


def begin() -> Thread:
    """Load NEEDED in the background; the thread that does it."""
    thread = Thread(target=lambda: [import_module(name) for name in NEEDED], name="ready", daemon=True)
    thread.start()
    return thread
