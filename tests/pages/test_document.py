"""The HTML document that every page begins with."""

import asyncio
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

import plotly
import pytest
from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from streamlit import config, file_util

from asr_core.report import ideatext
from asr_core.store.entries import PROJECT
from pages._frame import document, idea


def test_every_page_and_the_bare_address_have_it():
    paths = {route.path for route in document.routes()}
    assert paths == {"/", "/plotly.min.js", *(f"/{path.stem}" for path in (PROJECT / "pages").glob("[!_]*.py"))}


def test_the_front_page_s_own_name_leads_to_the_bare_address_with_the_whole_state():
    route = next(route for route in document.routes() if route.path == "/idea")
    asked = {
        "type": "http",
        "method": "GET",
        "path": "/idea",
        "query_string": b"sparsity=0.9&layer=layer1.0.conv1",
        "headers": [],
        "server": ("127.0.0.1", 80),
    }
    answer = route.endpoint(Request(asked))
    assert answer.status_code == 307 and answer.headers["location"] == "./?sparsity=0.9&layer=layer1.0.conv1"


def test_the_server_is_named_in_the_head_and_what_draws_figures_is_fetched_at_once():
    head = document.text().partition("</head>")[0]
    assert head.count("BACKEND_BASE_URL") == 1
    (component,) = re.findall(r'modulepreload" crossorigin href="\./(static/js/BidiComponent\.[^"]+)"', head)
    assert Path(file_util.get_static_dir(), component).is_file()
    (plotly,) = re.findall(r'preload" as="script" href="\./([^"]+)"', head)
    assert plotly == f"plotly.min.js?v={version('plotly')}" and head.count(plotly) == 3


def test_only_the_front_page_without_a_state_has_the_idea_in_its_document():
    has = {
        (path, query): b'id="early"' in asked(Starlette(routes=document.routes()), path, query)[1]
        for path, query in (("/", b""), ("/", b"present=1"), ("/lesson", b""))
    }
    assert has == {("/", b""): True, ("/", b"present=1"): False, ("/lesson", b""): False}


def test_the_document_s_idea_says_what_the_page_says():
    words = re.sub("<[^>]+>", "", idea.early())
    for paragraph in (ideatext.TITLE, *ideatext.INTRO):
        assert paragraph.replace("**", "") in words


def test_the_first_document_waits_for_no_import_of_tables_and_figures():
    code = "import sys; from pages._frame import document; document.text(True); print([*sys.modules])"
    told = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert "'asr_core.report.ideatext'" in told.stdout
    assert not [name for name in ("'pandas'", "'plotly.subplots'", "'torch'") if name in told.stdout]


def asked(app, path: str, query: bytes = b"v=1") -> tuple[dict[str, str], bytes]:
    """Headers and body of what an ASGI application answers to a browser."""
    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "query_string": query,
        "headers": [(b"accept-encoding", b"gzip")],
    }
    sent = []

    async def send(message):
        sent.append(message)

    async def receive():
        await asyncio.Event().wait()  # a browser that stays

    with ThreadPoolExecutor(1) as thread:  # where no other loop runs, as Playwright's does after tests in a browser
        thread.submit(lambda: asyncio.run(app(scope, receive, send))).result()
    head, *body = sent
    return {name.decode(): value.decode() for name, value in head["headers"]}, b"".join(
        part.get("body", b"") for part in body
    )


@pytest.mark.parametrize("base", ["", "lens"])
def test_plotly_comes_from_its_package_once_per_version_and_is_not_compressed_anew_for_each_visitor(base):
    config.set_option("server.baseUrlPath", base)
    try:
        app = GZipMiddleware(Starlette(routes=document.routes()))
    finally:
        config.set_option("server.baseUrlPath", "")
    headers, body = asked(app, f"/{base}/plotly.min.js".replace("//", "/"))
    assert body == Path(plotly.__file__).with_name("package_data").joinpath("plotly.min.js").read_bytes()
    assert "javascript" in headers["content-type"] and "immutable" in headers["cache-control"]
    assert headers["content-encoding"] == "identity"


def test_nothing_else_of_streamlit_s_document_is_changed():
    own = (Path(file_util.get_static_dir()) / "index.html").read_text()
    before, _, after = own.partition("</head>")
    assert document.text().startswith(before) and document.text().endswith(after)
