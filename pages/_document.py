"""The HTML document of every page: Streamlit's own, told two things it would otherwise find out late.

Opened on /variance, Streamlit's client first looks for its server under /variance/, so that two failed requests
stand in the browser's console. And it fetches and runs Plotly, by far its largest part, only once the first chart has
come.
"""

from functools import cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse
from starlette.routing import Route
from streamlit import file_util

FRONT = "overview"  # Streamlit knows the first page by the bare address only
SERVER = '<script>window.__streamlit = {BACKEND_BASE_URL: new URL(".", location.href).href}</script>'
# Fetched beside the client, and run as soon as that has started, while it waits for its first messages.
PLOTLY = """<link rel="modulepreload" crossorigin href="./static/js/{name}">
<script>addEventListener("DOMContentLoaded", () => import("./static/js/{name}"))</script>"""


def routes() -> list[Route]:
    """One route per page; anything else, and anything under a base path, is left to Streamlit."""
    pages = [path.stem for path in sorted(Path(__file__).parent.glob("[!_]*.py")) if path.stem != FRONT]
    return [Route(f"/{FRONT}", _front), *(Route(f"/{page}", _document) for page in ("", *pages))]


def _front(request: Request) -> RedirectResponse:
    return RedirectResponse(f"./?{request.url.query}")


def _document(request: Request) -> HTMLResponse:
    return HTMLResponse(text(), headers={"Cache-Control": "no-cache"})


@cache
def text() -> str:
    """Streamlit's index.html with both things in its head."""
    static = Path(file_util.get_static_dir())
    plotly = [PLOTLY.format(name=path.name) for path in static.glob("static/js/PlotlyChart.*.js")]
    return (static / "index.html").read_text().replace("</head>", "\n".join([SERVER, *plotly, "</head>"]), 1)
