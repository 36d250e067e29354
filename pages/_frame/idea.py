"""The bars of the front page: eight made-up channels in the page itself, computed by the browser (idea.js).

They stand in the document already (`early`), long before the dashboard's client has come, which takes them from there.
"""

import json
import re
from functools import cache
from html import escape
from pathlib import Path

import streamlit as st
from streamlit import config

from asr_core import registry
from asr_core.figures.colours import METHODS
from asr_core.report import ideatext
from asr_core.spec.repairs import KIND

HERE = Path(__file__).parent
# Made up: variances when dense, damage in percent, and the variance of what is no answer to an image.
DENSE = (1.0, 1.6, 0.8, 1.3, 0.6, 1.8, 1.1, 0.9)
DAMAGES = (35, 25, 45, 30, 40, 92, 20, 50)
NOISE = 0.01
WORST = 5
COLOURS = {"none": "no_repair", "one": "lw_bn", "each": "raw_bn", "shrunk": "asr_bn"}

script = "\n".join((HERE / name).read_text() for name in ("factors.js", "idea.js"))
styles = (HERE / "idea.css").read_text()


@cache
def _component():
    return st.components.v2.component("idea", js=script, css=styles, isolate_styles=False)


def data() -> dict:
    """What the browser gets."""
    ways = [{"key": key, "label": label, "colour": METHODS[COLOURS[key]][0]} for key, label in ideatext.WAYS.items()]
    usual = registry.get(KIND, "asr_bn").defaults()
    constants = {name: usual[name] for name in ("eps", "floor")}
    return {"dense": DENSE, "damages": DAMAGES, "noise": NOISE, "first": WORST, "ways": ways, **constants}


def early() -> str:
    """HTML for the end of the front page's document: heading, words and bars where the page will have them."""
    paragraphs = "".join(f"<p>{_strong(paragraph)}</p>" for paragraph in ideatext.INTRO)
    size = config.get_option("theme.baseFontSize")
    return f"""<style>:root {{font-size: {size}px}} {styles} {(HERE / "early.css").read_text()}</style>
<main id="early"><h1>{ideatext.TITLE}</h1>{paragraphs}</main>
<script>(() => {{
{script.replace("export default", "")}
{(HERE / "early.js").read_text().replace("$data", json.dumps(data()))}
}})()</script>"""  # no module: those wait for the client's, which stands before it


def _strong(markdown: str) -> str:
    return re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", escape(markdown, quote=False))


def draw() -> None:
    """The bars, with their controls and equations."""
    _component()(key="_idea", data=data())
