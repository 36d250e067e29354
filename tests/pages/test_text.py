"""What others wrote is shown as it is: in Markdown, in Plotly's texts, on every page, from an address or a stored
result."""

import json
import re

import numpy as np
import plotly.graph_objects as go
import pytest
from drawn import drawn, shown
from hostile import IMAGE, LINK, TAG, hostile_store
from hypothesis import given
from hypothesis import strategies as st
from paged import PAGES, opened
from streamlit.testing.v1 import AppTest

from asr_core.figures import style
from pages._frame.address import PARAMS
from pages._frame.plot import as_given
from pages._frame.text import code, plain

MARKDOWN = ("markdown", "caption", "error", "warning", "info", "success", "toast", "title", "subheader")
LABELLED = ("button", "metric", "expander", "selectbox", "text_input", "toggle", "popover", "download_button")


@given(st.text())
def test_escaped_text_is_read_as_it_was_in_one_line(text):
    assert shown(plain(text)).split() == shown(text.replace("\\", "\\\\")).split()


@pytest.mark.parametrize("text", [IMAGE, LINK, "`code`", "*b* _i_ ~s~", "$x$", ":red[x]", "<b>", "&lt;", "a | b"])
def test_no_mark_of_markdown_is_left_alone(text):
    assert not re.search(r"(?<!\\)(?:\\\\)*[`*\[\]<~$|&]|(?<![\\\w])_", plain(text))


@pytest.mark.parametrize("text", ["# a", "- a", "+ a", "1. a", "2) a", "=== "])
def test_a_line_begins_no_list_and_no_heading(text):
    assert re.match(r"\\|\d+\\", plain(text))


@pytest.mark.parametrize("text", ["http://a.b", "HTTPS://a.b", "www.a.b", "a@b.c", ":smile:", ":material/home:"])
def test_addresses_and_icons_are_broken_invisibly(text):
    assert "\u2060" in plain(text)
    assert plain(text).replace("\u2060", "").replace("\\", "") == text


@pytest.mark.parametrize("text", ["layer1.0.conv1", "asr_bn", "a = 0.1, b = 20", "resnet18 · 90 %", "0.5"])
def test_usual_text_stays_as_it_is(text):
    assert plain(text) == text


@pytest.mark.parametrize(("text", "whole"), [("a", "`a`"), ("a`b", "``a`b``"), ("`", "`` ` ``"), ("a\nb", "`a b`")])
def test_code_holds_whatever_is_in_it(text, whole):
    assert code(text) == whole


def test_figures_hold_only_the_tags_that_are_ours():
    named = go.Bar(
        x=[TAG], y=[1], customdata=np.array([[TAG, 1]], object), hovertemplate="<b>%{x}</b><br>a<extra></extra>"
    )
    figure = go.Figure(named, {"title": {"text": TAG}})
    for text in (style.for_screen(figure), style.for_print(figure).to_json()):
        found = json.loads(text)
        assert "<a" not in json.dumps(found)
        assert found["data"][0]["hovertemplate"] == named.hovertemplate


def test_a_figure_with_our_own_tags_only_is_not_written_anew(monkeypatch):
    monkeypatch.setattr(style, "inert", None)
    style.for_screen(go.Figure(go.Bar(x=[1], y=[1], hovertemplate="<b>%{x}</b><br>a<sup>2</sup><extra></extra>")))


def test_pictures_in_figures_are_left_alone():
    picture = "data:image/svg+xml,<svg></svg>"
    assert json.loads(style.for_screen(go.Figure(go.Image(source=picture))))["data"][0]["source"] == picture


def test_a_clicked_point_has_its_texts_as_they_were():
    assert as_given({"customdata": [style.inert(TAG), 3]}) == {"customdata": [TAG, 3]}
    assert as_given({}) == {}


def rendered(app: AppTest) -> str:
    """Everything that Streamlit reads as Markdown."""
    texts = [item.value for kind in MARKDOWN for item in app.get(kind) if hasattr(item, "value")]
    labels = [str(getattr(item.proto, "label", "")) for kind in LABELLED for item in app.get(kind)]
    helps = [str(getattr(item.proto, "help", "")) for kind in LABELLED for item in app.get(kind)]
    return "\n".join(map(str, [*texts, *labels, *helps]))


def live(text: str) -> list[str]:
    """Parts of a Markdown text that a browser would make an image, a link or a tag of."""
    return re.findall(r"(?<!\\)!?\[[^\]]*(?<!\\)\]\([^)]*:9|http://127\.0\.0\.1:9|(?<!\\)<(?:a|img)\b", text)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    found = tmp_path_factory.mktemp("hostile")
    hostile_store(found)
    return found


@pytest.fixture
def store(folder, monkeypatch):
    monkeypatch.setenv("ASR_CACHE_DIR", str(folder))


@pytest.mark.parametrize("value", [IMAGE, LINK, TAG])
def test_no_part_of_an_address_is_read_as_markdown(store, value):
    app = opened("overview", **dict.fromkeys([*PARAMS, value], value))
    assert live(rendered(app)) == []
    assert app.warning[0].value.count("In the address: ") >= len(PARAMS) - 1


@pytest.mark.parametrize("page", PAGES)
def test_names_of_images_and_layers_are_shown_as_they_are(store, page):
    app = opened(page)
    text = rendered(app)
    assert live(text) == []
    assert page in ("glossary", "talk") or IMAGE in shown(text)
    assert not any("<a" in json.dumps(item["figure"]) for item in drawn(app))
