"""What is taken away opens and holds what is on the screen: pictures, tables, notebook, the page as a zip."""

import base64
import io
import json
import xml.etree.ElementTree as ElementTree
import zipfile

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from PIL import Image
from playwright.sync_api import expect
from visitor import PATIENCE

from asr_core.spec.repairs import COLUMNS

PAGE = "variance?dataset=digits&sparsity=0.9&layer=layer1.0.conv1"
CHART = "scatter"
DPI, INCHES = 300, 10


@pytest.fixture
def visitor(server, visit):
    return visit(server, PAGE)


def taken(visitor, *labels: str) -> list[bytes]:
    """What each button of `labels` under the first chart saves."""
    visitor.page.get_by_role("button", name="Take away").first.click()
    saved = [visitor.download(visitor.page.get_by_role("button", name=label, exact=True)) for label in labels]
    return [file.path().read_bytes() for file in saved]


def picture(visitor) -> bytes:
    """What the camera in the chart's toolbar saves."""
    chart = visitor.page.locator(f".st-key-{CHART} .js-plotly-plot")
    chart.scroll_into_view_if_needed()
    chart.hover()
    saved = visitor.download(chart.get_by_role("button", name="Download plot"))
    with open(saved.path(), "rb") as file:
        return file.read()


def marks(visitor) -> dict[str, np.ndarray]:
    """Name of each network on the screen: y of its marks, sorted."""
    return {t["name"]: np.sort(t["y"]) for t in visitor.traces(CHART) if t["mode"] == "markers"}


def plotted(figure: go.Figure) -> dict[str, np.ndarray]:
    """The same of a figure in Python."""
    return {trace.name: np.sort(values(trace.y)) for trace in figure.data if trace.mode == "markers"}


def values(array) -> np.ndarray:
    """An array of a figure, also where it is still packed for the browser."""
    if isinstance(array, dict):
        return np.frombuffer(base64.b64decode(array["bdata"]), array["dtype"])
    return np.asarray(array)


def same(one: dict, other: dict) -> bool:
    """Whether both hold the same networks with the same numbers."""
    return one.keys() == other.keys() and all(np.allclose(one[name], other[name], rtol=1e-6) for name in one)


def networks(table: pd.DataFrame) -> dict[int, np.ndarray]:
    """Live variances of each network of a saved table, by place."""
    return {
        network: np.sort(rows.loc[~rows["dead"], "v"].to_numpy("float32"))
        for network, rows in table.groupby(COLUMNS, sort=False, dropna=False)
    }


def test_the_saved_tables_hold_the_marks_that_are_shown(visitor):
    shown = marks(visitor)
    csv, parquet = map(io.BytesIO, taken(visitor, "Table as CSV", "Table as Parquet"))
    for table in (pd.read_csv(csv), pd.read_parquet(parquet)):
        assert len(table) == sum(len(y) for y in shown.values())
        for saved, seen in zip(networks(table).values(), shown.values(), strict=True):
            assert np.isin(saved, seen.astype("float32")).all() and len(saved)
    assert not visitor.broken()


def test_the_notebook_draws_the_same_figure(visitor, server, monkeypatch):
    monkeypatch.setenv("ASR_CACHE_DIR", str(server.cache))
    (notebook,) = taken(visitor, "This view as a notebook")
    cells = json.loads(notebook)["cells"]
    scope: dict = {}
    for cell in cells:
        if cell["cell_type"] == "code":
            exec(cell["source"], scope)
    assert same(plotted(scope["figure"]), marks(visitor))
    assert len(scope["table"]) == sum(len(y) for y in marks(visitor).values())


def test_the_png_has_300_dpi_at_ten_inches(visitor):
    image = Image.open(io.BytesIO(picture(visitor)))
    assert image.format == "PNG" and image.width == DPI * INCHES
    assert len(image.convert("RGB").getcolors(2**24)) > 10  # something is drawn


def test_the_svg_holds_axis_titles_with_units_and_the_legend(server, visit):
    visitor = visit(server, f"{PAGE}&picture=svg")
    text = " ".join(ElementTree.fromstring(picture(visitor)).itertext())
    assert "dense variance of the channel (activation units" in text
    assert all(name in text for name in marks(visitor))


def test_the_zip_of_a_page_holds_every_figure_and_its_setting(visitor):
    saved = visitor.download(visitor.page.get_by_role("button", name="Take the whole page (zip)"))
    with zipfile.ZipFile(saved.path()) as file:
        assert file.testzip() is None
        names = file.namelist()
        (table,) = [name for name in names if name.startswith(CHART) and name.endswith(".csv")]
        assert len(pd.read_csv(file.open(table))) == sum(len(y) for y in marks(visitor).values())
        (card,) = json.loads(file.read("setting.json"))
        html = file.read("page.html").decode()
    charts = visitor.page.locator(".figure").count()
    assert sum(name.endswith(".csv") for name in names) == sum(name.endswith(".ipynb") for name in names) == charts
    assert (
        card["setting"]["sparsity_asked"] == 0.9
        and card["address"].partition("?")[2] == visitor.page.url.partition("?")[2]
    )
    assert html.count("Plotly.newPlot") >= charts and "Plotly.newPlot(" in html


def test_the_html_of_the_zip_draws_without_a_server(visitor, tmp_path, chromium):
    saved = visitor.download(visitor.page.get_by_role("button", name="Take the whole page (zip)"))
    with zipfile.ZipFile(saved.path()) as file:
        file.extract("page.html", tmp_path)
    context = chromium.new_context(offline=True)
    page = context.new_page()
    page.goto((tmp_path / "page.html").as_uri(), timeout=1000 * PATIENCE)
    drawn = page.locator(".js-plotly-plot:has(.main-svg)")
    expect(drawn).to_have_count(visitor.page.locator(".figure").count(), timeout=1000 * PATIENCE)
    context.close()
