"""A stored setting as a folder of pictures fit for a paper, made by kaleido and this machine's Chromium."""

import re
from collections.abc import Iterator
from pathlib import Path

import plotly.graph_objects as go

from asr_core.errors import AsrError
from asr_core.figures import NothingToDraw, onefile, variance
from asr_core.figures.sized import for_paper
from asr_core.report import textreport
from asr_core.spec.recalibration import REPORTED_STATE
from asr_core.spec.repairs import RepairSpec
from asr_core.store.results import Result

FORMATS = ("pdf", "png", "svg")
WIDTH, POINTS = 17.0, 8.0  # centimetres across a page, points of its text
DPI = 600  # of a PNG
WORST = 3  # layers whose channels are drawn


def write(result: Result, repairs: tuple[RepairSpec, ...], folder: Path, form: str) -> list[Path]:
    """Draw a setting's figures, and the channels of its WORST most damaged layers, into `folder`; the files' paths.

    form: of FORMATS. The setting stands below each. Nothing is fetched. Raises AsrError where no Chromium is found.
    """
    import kaleido
    from choreographer.errors import ChromeNotFoundError

    folder.mkdir(parents=True, exist_ok=True)
    figures = dict(_figures(result, repairs))
    wanted = [
        {
            "fig": for_paper(figure, WIDTH, POINTS, textreport.describe(result.setting)),
            "path": folder / f"{number}-{name}.{form}",
            "opts": {"format": form, "scale": DPI / 96 if form == "png" else 1},
        }
        for number, (name, figure) in enumerate(figures.items(), 1)
    ]
    try:
        kaleido.write_fig_from_object_sync(wanted, kopts={"n": 1, "mathjax": False})
    except ChromeNotFoundError as error:
        raise AsrError(
            f"pictures are drawn by Chromium, and none is on this machine ({error}); install it (on Debian: apt-get "
            "install chromium), or ask for --format html."
        ) from error
    return [one["path"] for one in wanted]


def _figures(result: Result, repairs: tuple[RepairSpec, ...]) -> Iterator[tuple[str, go.Figure]]:
    """(file's name, figure) of all that can be drawn of what is stored."""
    parts = [(part.title, part.chart, part.what) for part in onefile.parts_of(repairs, REPORTED_STATE)]
    for layer in onefile.worst_first(result)[:WORST]:
        parts.append((f"channels of {layer}", variance.SCATTER, {"layer": layer, "repairs": repairs}))
    for title, chart, what in parts:
        try:
            table = chart.table(result, **what)
        except NothingToDraw:
            continue
        yield re.sub(r"[^a-z0-9.]+", "-", title.lower()), onefile.drawn(chart, table)
