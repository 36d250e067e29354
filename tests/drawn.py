"""The figures of a page without a browser."""

import base64
import json
import re

import numpy as np


def drawn(app) -> list[dict]:
    """Of each figure on the page of an AppTest: {figure, config, alt, clicks}, as the browser gets it."""
    return [json.loads(item.proto.bytes) for item in app.get("bidi_component") if item.proto.bytes]


def charts(app) -> list[dict]:
    """Plotly's data and layout of each figure."""
    return [item["figure"] for item in drawn(app)]


def shown(text: str) -> str:
    """Markdown as a reader sees it, where it only escapes (`pages._frame.text.plain`)."""
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", text).replace("\u2060", "")


def numbers(axis) -> np.ndarray:
    """The numbers of a trace's x or y: a list, or Plotly's bytes."""
    return (
        np.array(axis, float)
        if isinstance(axis, list)
        else np.frombuffer(base64.b64decode(axis["bdata"]), axis["dtype"])
    )
