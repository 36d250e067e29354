"""The HTML document of every page: Streamlit's own, told two things it would otherwise find out late, and two rules.

Opened on /variance, Streamlit's client first looks for its server under /variance/, so that two failed requests
stand in the browser's console. And what draws figures, Plotly, by far the largest part, would be fetched and run only
once the first figure has come (_plot.js). The rules: a page is one entry of the browser's history, and a browser asks
this server only, whatever a text or a figure names.
"""

from functools import cache
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse
from starlette.routing import Route
from streamlit import config, file_util

from pages._frame import idea

FRONT = "idea"  # Streamlit knows the first page by the bare address only
SERVER = '<script>window.__streamlit = {BACKEND_BASE_URL: new URL(".", location.href).href}</script>'
PLOTLY = "plotly.min.js"
ADDRESS = f"{PLOTLY}?v={version('plotly')}"
# The address names the version. The second keeps Streamlit from compressing 5 MB anew for each visitor, as it does for
# its own scripts.
KEPT = {"Cache-Control": "public, max-age=31536000, immutable", "Content-Encoding": "identity"}
# Runs Plotly, once; in the document and with the figures (_plot.py), since under a base path the document is
# Streamlit's own.
LOADER = f"""window.runPlotly ??= () => new Promise((loaded, failed) => document.head.append(
    Object.assign(document.createElement("script"), {{
        src: "./{ADDRESS}", onload: loaded, onerror: () => failed(Error("{ADDRESS} did not load"))}})));
window.loadPlotly ??= () => window.plotlyLoaded ??= Promise.resolve(window.ideaFirst).then(runPlotly);
"""
# Streamlit makes an entry for each change of an address, and bares a page's address before it leaves the page. Back
# would then lead from one choice to the one before, and to bare addresses, from which a page at once goes on again. In
# the document and with the figures, as LOADER is.
HISTORY = """window.onePageOneEntry ??= ((push) => history.pushState = (state, title, url) => {
    const next = new URL(url ?? "", location.href);
    if (next.pathname !== location.pathname) push(state, title, url);
    else if (next.search) history.replaceState(state, title, url);
})(history.pushState.bind(history));
"""
# Streamlit and Plotly make code and styles as they run; what a page may ask for lies here or is made in the browser.
REACH = (
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; connect-src 'self' ws: wss: data: blob:; "
    "object-src 'none'; base-uri 'self'; form-action 'self'"
)
# What shows that the front page has come, or why it does not.
PAGE = ":is(.idea, [data-testid=stException], [data-testid=stAlert])"
# Both are fetched beside the client. Plotly is run, for a second of the browser's time, once the navigation stands:
# earlier, it would hold up the first messages; later, the first figure. On the front page it would hold up the bars of
# the idea, for which it waits until somebody leaves the page, or ten seconds have shown that they do not come.
EARLY = """<link rel="preload" as="script" href="./$plotly">
<link rel="modulepreload" crossorigin href="./static/js/$component">
<script>{
    $history
    $loader
    const until = (there) => new Promise((done) => {
        if (there()) return done();
        const observer = new MutationObserver(() => there() && (observer.disconnect(), done()));
        observer.observe(document, {childList: true, subtree: true});
    });
    const painted = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    const front = (what) => until(() => !location.pathname.endsWith("/") || document.querySelector(`#root ${what}`));
    const idea = front(".idea").then(painted);
    window.ideaFirst = Promise.race([idea, new Promise((done) => setTimeout(done, 10000))]);
    front("$page").then(() => {
        const early = document.getElementById("early"), main = document.querySelector("[data-testid=stMain]");
        if (early && main) main.scrollTop = early.scrollTop;
        early?.remove();
    });
    until(() => document.querySelector("[data-testid=stSidebarNavLink]")).then(() =>
        window.requestIdleCallback ? requestIdleCallback(loadPlotly, {timeout: 100}) : setTimeout(loadPlotly));
}</script>"""


def routes() -> list[Route]:
    """One route per page, and Plotly; anything else, and any page under a base path, is left to Streamlit."""
    pages = [path.stem for path in sorted(Path(__file__).parent.parent.glob("[!_]*.py")) if path.stem != FRONT]
    bases = {"", config.get_option("server.baseUrlPath").strip("/")}
    scripts = [Route(f"/{base}/{PLOTLY}".replace("//", "/"), _plotly) for base in sorted(bases)]
    return [*scripts, Route(f"/{FRONT}", _front), *(Route(f"/{page}", _document) for page in ("", *pages))]


def _front(request: Request) -> RedirectResponse:
    return RedirectResponse(f"./?{request.url.query}")


def _document(request: Request) -> HTMLResponse:
    front = request.url.path.endswith("/") and not request.url.query  # a link with a state may be another's to draw
    return HTMLResponse(text(front), headers={"Cache-Control": "no-cache", "Content-Security-Policy": REACH})


def _plotly(request: Request) -> FileResponse:
    """Plotly for browsers, as it lies in its Python package."""
    return FileResponse(str(files("plotly") / "package_data" / PLOTLY), headers=KEPT)


@cache
def text(front: bool = False) -> str:
    """Streamlit's index.html with both things in its head. front: and with the idea, until the page has come."""
    static = Path(file_util.get_static_dir())
    (component,) = [path.name for path in static.glob("static/js/BidiComponent.*.js")]
    early = (
        EARLY.replace("$plotly", ADDRESS)
        .replace("$history", HISTORY)
        .replace("$loader", LOADER)
        .replace("$component", component)
        .replace("$page", PAGE)
    )
    whole = (static / "index.html").read_text().replace("</head>", "\n".join([SERVER, early, "</head>"]), 1)
    return whole.replace("</body>", f"{idea.early()}</body>") if front else whole
