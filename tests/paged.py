"""Pages without a browser."""

from drawn import shown
from streamlit.testing.v1 import AppTest

from asr_core.store.entries import PROJECT

PAGES = sorted(path.stem for path in (PROJECT / "pages").glob("[!_]*.py"))


def arrived(*folds: str, **address) -> AppTest:
    """The front page after a link with `address`; these folds of the sidebar are open."""
    app = AppTest.from_file(PROJECT / "pages/_frame/main.py", default_timeout=300)
    for name, value in address.items():
        app.query_params[name] = str(value)
    for fold in folds:
        app.session_state[fold] = True
    return app.run()


def turned(app: AppTest, page: str) -> AppTest:
    """The same session on another page, which has nothing to complain of."""
    return clean(switched(app, page))


def switched(app: AppTest, page: str) -> AppTest:
    """The same session on another page; it must not fail."""
    app.switch_page(f"../{page}.py").run()
    assert not app.exception
    return app


def opened(page: str, *folds: str, **address) -> AppTest:
    """A page after a link with `address`; it must not fail."""
    return switched(arrived(*folds, **address), page)


def clean(app: AppTest) -> AppTest:
    """The session, which has nothing to complain of."""
    assert not app.exception and not app.error, [*app.exception, *app.error]
    return app


def faultless(page: str, *folds: str, **address) -> AppTest:
    """A page after a link with `address`, which has nothing to complain of."""
    return clean(opened(page, *folds, **address))


def words(app: AppTest) -> str:
    """What stands on the page, but for tables, controls and complaints."""
    kinds = (app.title, app.subheader, app.markdown, app.caption, app.info, app.success, app.warning)
    return shown("\n".join(item.value for kind in kinds for item in kind))
