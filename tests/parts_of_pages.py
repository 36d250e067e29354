"""The compute panel and the Jobs page alone, without the frame around them."""

from made_jobs import LONG
from streamlit.testing.v1 import AppTest


def panel():
    from small import SMALL

    from asr_core.store import Store
    from pages._frame.compute import compute_panel

    compute_panel(SMALL, Store())


def jobs_page():
    import runpy

    from asr_core.store.entries import PROJECT

    runpy.run_path(str(PROJECT / "pages" / "jobs.py"))


def run(page):
    app = AppTest.from_function(page, default_timeout=LONG).run()
    assert not app.exception, app.exception
    return app


def labels(app):
    return [button.label for button in app.button]
