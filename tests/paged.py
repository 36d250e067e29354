"""Pages without a browser."""

from streamlit.testing.v1 import AppTest

from asr_core.store.entries import PROJECT

PAGES = sorted(path.stem for path in (PROJECT / "pages").glob("[!_]*.py"))


def opened(page: str, **address) -> AppTest:
    """A page after a link with `address`; it must not fail."""
    app = AppTest.from_file(PROJECT / "pages/_frame/main.py", default_timeout=300)
    for name, value in address.items():
        app.query_params[name] = value
    app.run()
    app.switch_page(f"../{page}.py").run()
    assert not app.exception
    return app
