"""The bars of the front page: eight made-up channels in the page itself, computed by the browser (idea.js)."""

from functools import cache
from pathlib import Path

import streamlit as st

from asr_core import registry
from asr_core.figures import style
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


@cache
def _component():
    return st.components.v2.component("idea", js=script, css=(HERE / "idea.css").read_text(), isolate_styles=False)


def data() -> dict:
    """What the browser gets."""
    ways = [
        {"key": key, "label": label, "colour": style.METHODS[COLOURS[key]][0]} for key, label in ideatext.WAYS.items()
    ]
    usual = registry.get(KIND, "asr_bn").defaults()
    constants = {name: usual[name] for name in ("eps", "floor")}
    return {"dense": DENSE, "damages": DAMAGES, "noise": NOISE, "first": WORST, "ways": ways, **constants}


def draw() -> None:
    """The bars, with their controls and equations."""
    _component()(key="_idea", data=data())
