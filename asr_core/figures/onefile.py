"""A stored setting as one HTML file that needs no network: figures, tables, sentences, the protocol's card, terms.

What draws figures and the figures themselves lie in the file compressed; a browser unpacks each when it is looked at.
"""

import base64
import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from pathlib import Path

import pandas as pd
import plotly.graph_objects as go

from asr_core.errors import AsrError
from asr_core.figures import Chart, NothingToDraw, curves, heatmaps, overview, spread, style, variance
from asr_core.figures.room import make_room
from asr_core.report import glossary, textreport
from asr_core.spec.experiment import Setting
from asr_core.spec.recalibration import REPORTED_STATE, BatchNormState
from asr_core.spec.repairs import DENSE, NO_REPAIR, RepairSpec
from asr_core.store.results import Result
from asr_core.store.tables import rows_of
from asr_core.studies import card
from asr_core.studies.cells import Variant

MOST = 5_000_000  # bytes of the file
SPARE = 2000  # bytes, for names
WIDE = 1000  # pixels of a figure
WORST = 3  # layers whose channels are drawn where not all can be
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Part:
    """A figure of the document: its heading, chart, and arguments of the chart's table."""

    title: str
    chart: Chart
    what: dict


def html(
    result: Result, repairs: tuple[RepairSpec, ...], state: BatchNormState = REPORTED_STATE, address: str = ""
) -> str:
    """The document of one setting; `repairs`: which are drawn, `address`: where the dashboard shows it.

    Layers whose channels would make the file larger than MOST are left out, the least damaged first, and named.
    """
    figures: dict[str, str] = {}
    parts = _parts(repairs, state)
    sections = [_section(f"figure{number}", part, result, figures) for number, part in enumerate(parts)]
    template = (HERE / "onefile.html").read_text()
    fixed = {
        "PLOTLY": _packed((files("plotly") / "package_data" / "plotly.min.js").read_bytes()),
        "TITLE": escape(textreport.describe(result.setting)),
        "SECTIONS": "\n".join(sections),
        "TABLES": _accuracy(result, repairs) + _card(result, address),
        "TERMS": _terms(),
        "CONFIG": json.dumps(style.CONFIG | {"responsive": True}),
        "SCRIPT": (HERE / "onefile.js").read_text(),
    }
    taken = sum(len(text.encode()) for text in (template, *fixed.values(), *figures.values()))
    layers, missing = _layers(result, repairs, MOST - taken - SPARE)
    filled = fixed | {
        "LAYERS": _choices(layers),
        "MISSING": escape(missing),
        "FIGURES": _inert(json.dumps(figures | {f"layer:{name}": text for name, (text, _) in layers.items()})),
        "SENTENCES": _inert(json.dumps({name: sentence for name, (_, sentence) in layers.items()})),
    }
    for name, text in filled.items():
        template = template.replace(f"<!--{name}-->", text)
    if len(template.encode()) > MOST:
        raise AsrError(
            f"the report would be {len(template) / 1e6:.1f} MB; at most {MOST / 1e6:g} MB. Ask for fewer methods."
        )
    return template


def figures(
    result: Result, repairs: tuple[RepairSpec, ...], state: BatchNormState = REPORTED_STATE
) -> dict[str, go.Figure]:
    """Title -> figure of all that is stored, with the channels of the WORST most damaged layers."""
    parts, found = _parts(repairs, state), {}
    for layer in _worst_first(result)[:WORST]:
        parts.append(Part(f"Channels of {layer}", variance.SCATTER, {"layer": layer, "repairs": repairs}))
    for part in parts:
        try:
            found[part.title] = _drawn(part.chart, part.chart.table(result, **part.what))
        except NothingToDraw:  # as html says
            continue
    return found


def _parts(repairs: tuple[RepairSpec, ...], state: BatchNormState) -> list[Part]:
    return [
        Part("Accuracy", overview.ACCURACY, {"repairs": repairs, "state": state}),
        Part("The network, layer by layer", overview.STRIP, {"colour": "severity"}),
        Part("What one scalar per layer cannot mend", spread.SPREAD, {}),
        Part("Variance ratios of all layers", heatmaps.CELLS, {"repairs": repairs}),
        Part("Calibration curves", curves.CURVES, {"repairs": repairs, "ways": ("reset", "keep", "cumulative")}),
    ]


def _packed(content: bytes) -> str:
    """gzip as base64; the same bytes give the same text."""
    return base64.b64encode(gzip.compress(content, 6, mtime=0)).decode()


def _inert(text: str) -> str:
    """JSON that can stand within a script element."""
    return text.replace("<", "\\u003c")


def _drawn(chart: Chart, table: pd.DataFrame) -> go.Figure:
    """The figure of a table, with room for its labels."""
    return make_room(chart.figure(table, **chart.limits([table])), WIDE)


def _figure(chart: Chart, table: pd.DataFrame) -> str:
    return _packed(style.for_print(_drawn(chart, table)).update_layout(width=None, autosize=True).to_json().encode())


def _section(name: str, part: Part, result: Result, figures: dict[str, str]) -> str:
    """A heading, the figure's sentence and its place; or why there is none. Adds to `figures`."""
    head = f"<h2>{escape(part.title)}</h2>"
    try:
        table = part.chart.table(result, **part.what)
    except NothingToDraw as reason:
        return f"{head}<p>{escape(str(reason))}</p>"
    figures[name] = _figure(part.chart, table)
    sentence = escape(part.chart.sentence(table))
    links = " data-links=layer" if part.chart is overview.STRIP else ""
    return f'{head}<p>{sentence}</p><div class="figure" id="{name}" role="figure" aria-label="{sentence}"{links}></div>'


def _layers(result: Result, repairs, room: int) -> tuple[dict[str, tuple[str, str]], str]:
    """(Layer -> its packed figure and sentence, in execution order; what is left out), in at most `room` characters."""
    if result.channels is None or result.channels.empty:
        return {}, "This setting is stored without its channels, so no single channel is shown."
    found, order = {}, list(result.convs["layer"])
    for layer, text, sentence in _by_damage(result, repairs):
        room -= len(text) + 2 * len(sentence.encode()) + 100
        if room < 0:
            break
        found[layer] = (text, sentence)
    left = len(order) - len(found)
    told = f"{left} less damaged layers are left out, so that the file stays below {MOST / 1e6:g} MB." if left else ""
    return {layer: found[layer] for layer in order if layer in found}, told


def _worst_first(result: Result) -> list[str]:
    """Layers, the most damaged first."""
    damage = result.layers.drop_duplicates("layer").sort_values("severity", ascending=False, na_position="last")
    return list(damage["layer"])


def _by_damage(result: Result, repairs) -> Iterator[tuple[str, str, str]]:
    """(layer, packed figure, sentence), the most damaged first."""
    for layer in _worst_first(result):
        table = variance.SCATTER.table(result, layer=layer, repairs=repairs)
        yield layer, _figure(variance.SCATTER, table), variance.SCATTER.sentence(table)


def _choices(layers: dict) -> str:
    return "".join(f'<option value="{escape(name)}">{escape(name)}</option>' for name in layers)


def _accuracy(result: Result, repairs) -> str:
    """All stored accuracies of the repairs."""
    rows = rows_of(result.accuracy, DENSE, NO_REPAIR, *repairs)
    n = rows["n_eval"].iloc[0] if len(rows) else 0
    note = f"<p>Top-1 accuracy, % [95 % interval], {n} test images; b: recalibration batches.</p>"
    return f"<h2>All accuracies</h2>{note}<div class=wide>{textreport.accuracy_text(rows, 'html')}</div>"


def _card(result: Result, address: str) -> str:
    """What the numbers belong to, and what the paper says of each."""
    setting = Setting.from_facts(result.setting)
    made = card.card(setting, result.setting["dataset_label"], Variant())
    rows = "".join(
        f"<tr><th>{escape(row.aspect)}</th><td>{escape(row.here)}</td><td>{escape(row.paper)}</td></tr>"
        for row in made.itertuples()
    )
    key = result.entry.manifest["key"] if result.entry is not None else ""
    facts = {"setting": result.setting, "stored result": key, "address": address}
    told = escape(json.dumps(facts, indent=1, ensure_ascii=False, default=str))
    return (
        "<h2>Protocol</h2><table><tr><th>aspect</th><th>here</th><th>the paper</th></tr>"
        f"{rows}</table><details><summary>Setting, key and address</summary><pre>{told}</pre></details>"
    )


def _terms() -> str:
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in glossary.listed())
    return f"<details><summary>Terms</summary><dl>{rows}</dl></details>"
