"""The HTML document that every page begins with."""

import re
from pathlib import Path

from starlette.requests import Request
from streamlit import file_util

from asr_core.entries import PROJECT
from pages import _document


def test_every_page_and_the_bare_address_have_it():
    paths = {route.path for route in _document.routes()}
    assert paths == {"/", *(f"/{path.stem}" for path in (PROJECT / "pages").glob("[!_]*.py"))}


def test_the_front_page_s_own_name_leads_to_the_bare_address_with_the_whole_state():
    route = next(route for route in _document.routes() if route.path == "/overview")
    asked = {"type": "http", "method": "GET", "path": "/overview", "query_string": b"sparsity=0.9&layer=layer1.0.conv1", "headers": [], "server": ("127.0.0.1", 80)}
    answer = route.endpoint(Request(asked))
    assert answer.status_code == 307 and answer.headers["location"] == "./?sparsity=0.9&layer=layer1.0.conv1"


def test_the_server_is_named_in_the_head_and_plotly_is_fetched_at_once_from_a_file_that_exists():
    head = _document.text().partition("</head>")[0]
    assert head.count("BACKEND_BASE_URL") == 1
    (plotly,) = re.findall(r'modulepreload" crossorigin href="\./(static/js/PlotlyChart\.[^"]+)"', head)
    assert Path(file_util.get_static_dir(), plotly).is_file()


def test_nothing_else_of_streamlit_s_document_is_changed():
    own = (Path(file_util.get_static_dir()) / "index.html").read_text()
    before, _, after = own.partition("</head>")
    assert _document.text().startswith(before) and _document.text().endswith(after)
