"""Figures: from a stored result to a tidy table; from the table alone to a Plotly figure and a sentence.

    from asr_core.figures import variance
    from asr_core.spec.repairs import BN_ONLY

    table = variance.SCATTER.table(result, layer="layer1.0.conv1", repairs=[BN_ONLY])
    variance.SCATTER.figure(table)

One module per family of figures; each figure is a `Chart`, a constant of its module.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from asr_core.errors import AsrError


class NothingToDraw(AsrError):
    """A figure would be empty; the message says why and what helps."""


def _no_limits(tables) -> dict:
    return {}


TESTED, MEASURED = "test images", "statistics images"


@dataclass(frozen=True)
class Chart:
    """One kind of figure.

    name: 'module.CONSTANT'. table(result, **what) -> tidy DataFrame, raises NothingToDraw; a network is its columns
    method, order, bias, params. What reads more than `result` takes the Store as `store`.
    figure(table, **how) -> go.Figure. sentence(table) -> what it shows, in words.
    limits(tables) -> the `how` that gives several of these figures equal axes.
    difference(pinned, current) -> a table to be drawn by `difference_figure(table, **how)`.
    wide: needs the full width, so that two of them stand one above the other.
    counts: which images its numbers are of, TESTED or MEASURED; empty where it shows no mean over images.
    over: what its numbers are of, where that is not the setting of `result`.
    """

    name: str
    table: Callable
    figure: Callable
    sentence: Callable
    limits: Callable = _no_limits
    difference: Callable | Any = None
    difference_figure: Callable | Any = None
    wide: bool = False
    counts: str = MEASURED
    over: str = ""

    @property
    def module(self) -> str:
        """Module in asr_core.figures that holds it."""
        return self.name.split(".")[0]
