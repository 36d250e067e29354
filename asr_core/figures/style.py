"""One look for all figures: Okabe-Ito colours and marker shapes per method, labels, axes, print template."""

import json
import math
import re

import numpy as np
import plotly.graph_objects as go

from asr_core import registry
from asr_core.report.textreport import method_label

# Okabe and Ito's palette, told apart by colour-blind readers; the shape repeats what the colour says.
METHODS = {
    "dense": ("#7F7F7F", "star"),
    "no_repair": ("#8C8C8C", "x"),
    "bn_only": ("#E69F00", "square"),
    "lw_bn": ("#0072B2", "triangle-up"),
    "raw_bn": ("#CC79A7", "diamond"),
    "asr_bn": ("#009E73", "circle"),
}
SPARE = (("#D55E00", "cross"), ("#56B4E9", "pentagon"), ("#F0E442", "hexagon"))  # for methods added later
REFERENCE = "#888888"  # lines such as y = x: readable on white and on black
MAGNITUDE, RATIO = "Cividis", "RdBu_r"
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
GRID = "rgba(128,128,128,0.25)"
# Plotly's settings for every figure, on the page and in saved HTML: its own "Share chart..." uploads to another company.
CONFIG = {
    "displaylogo": False,
    "showSendToCloud": False,
    "plotlyServerURL": "",
    "modeBarButtonsToRemove": ["sendChartToCloud", "select2d", "lasso2d", "autoScale2d"],
}

PRINT = go.layout.Template(
    layout={
        "font": {"family": "DejaVu Sans, Arial, sans-serif", "size": 14, "color": "#111"},
        "paper_bgcolor": "white",
        "plot_bgcolor": "white",
        "xaxis": {"gridcolor": "#ddd", "linecolor": "#111", "ticks": "outside", "zeroline": False, "automargin": True},
        "yaxis": {"gridcolor": "#ddd", "linecolor": "#111", "ticks": "outside", "zeroline": False, "automargin": True},
    }
)


def methods() -> list[str]:
    """Registered repair methods: those of METHODS in its order, then later ones by name."""
    known = registry.names("repair method")
    return [name for name in METHODS if name in known] + [name for name in known if name not in METHODS]


def look_of(slug: str) -> tuple[str, str]:
    """(colour, marker symbol) of the method in `slug`; open: without mean correction; with a dot: sequential."""
    method, *rest = slug.split(".")
    if method not in METHODS:
        later = methods()[len(METHODS) - 2 :]
        colour, shape = SPARE[later.index(method) % len(SPARE)] if method in later else SPARE[0]
    else:
        colour, shape = METHODS[method]
    return colour, shape + ("-open" if "nobias" in rest else "") + ("-dot" if "sequential" in rest else "")


def label(slug: str) -> str:
    """A repair in words: 'ASR+BN · sequential · bias on'; a prior only where it is not the median."""
    method, *rest = slug.split(".", 3)
    words = {"nobias": "bias off", "bias": "bias on"}
    return " · ".join([method_label(method), *(words.get(part, part) for part in rest if part != "median")])


def labels(slugs):
    """`label` of a Series of slugs."""
    return slugs.map({slug: label(slug) for slug in slugs.unique()})


def in_words(slugs) -> tuple[dict[str, str], str]:
    """(short name of each slug, what all of them share): for sentences, where full labels would repeat themselves."""
    repairs = [label(slug).split(" · ") for slug in slugs if "." in slug]
    shared = [word for word in repairs[0][1:] if all(word in words for words in repairs)] if repairs else []
    names = {slug: " · ".join(word for word in label(slug).split(" · ") if word not in shared) for slug in slugs}
    return names, f" ({', '.join(shared)})" if shared else ""


def finish(figure: go.Figure, height: int, x: str, y: str, **layout) -> go.Figure:
    """Axis titles, legend and margins that all figures share."""
    figure.update_layout(
        height=height,
        margin={"l": 10, "r": 16, "t": 16, "b": 10},
        hovermode="closest",
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.02, "x": 0, "title": None},
        **layout,
    )
    figure.update_xaxes(title=x, automargin=True)
    figure.update_yaxes(title=y, automargin=True)
    return figure


def numbers(values) -> np.ndarray:
    """Numbers for a trace: float32, half as much to send, where it can hold them all; what is not finite is NaN: nowhere."""
    found = np.asarray(values, float)
    found = np.where(np.isfinite(found), found, np.nan)
    return found if np.nanmax(np.abs(found), initial=0) > np.finfo(np.float32).max else found.astype(np.float32)


def log_axis(low: float, high: float) -> dict:
    """A logarithmic axis over [low, high] with powers of ten as ticks, and twice and five times these on a short one."""
    decades = math.log10(high) - math.log10(low)
    step = "D2" if decades < 2 else next((step for step in (1, 2, 5, 10) if decades < 8 * step), 50)
    return {
        "type": "log",
        "range": [math.log10(low), math.log10(high)],
        "exponentformat": "power",
        "dtick": step,
        "gridcolor": GRID,
        "zeroline": False,
    }


def floor_of(low: float, high: float) -> float:
    """Where marks without a place on a logarithmic axis over [low, high] stand: whole, just above its lower end."""
    return low * (high / low) ** 0.02


# Plotly makes links and more of some tags, also in names that others chose. These are the ones that our figures use.
TAGS = re.compile(r"<(?!/?(?:b|br|i|sub|sup|extra)>)")


def inert(content):
    """A figure's content (dict, list, array, text) in which no text but a picture holds tags other than those of our figures."""
    if isinstance(content, str):
        return TAGS.sub("&lt;", content)
    if isinstance(content, dict):
        return {name: value if name == "source" else inert(value) for name, value in content.items()}
    if isinstance(content, list | tuple):
        return [inert(value) for value in content]
    if isinstance(content, np.ndarray) and content.dtype.kind in "OU":
        return np.array([inert(value) for value in content.ravel()], object).reshape(content.shape)
    return content


def for_screen(figure: go.Figure) -> str:
    """A figure as JSON for the dashboard, which puts its own look in."""
    text = go.Figure(figure).update_layout(template="none").to_json()
    readable = text
    for mark in "</>":  # Plotly writes them so that they may stand in HTML
        readable = readable.replace(f"\\u{ord(mark):04x}", mark)
    return json.dumps(inert(json.loads(text))) if TAGS.search(readable) else text


def for_print(figure: go.Figure) -> go.Figure:
    """A copy on white for paper and notebooks, 1000 pixels wide."""
    return go.Figure(inert(figure.to_plotly_json())).update_layout(template=PRINT, width=1000)
