"""What the benchmark says: one line per measure, with its target and whether it was met."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from tabulate import tabulate


@dataclass(frozen=True)
class Line:
    """`measured` and `against` in `unit`; `factor` is what `target` is about ('<= 1.15', '>= 3', or ''), `span` its
    least and largest value over the repeats."""

    what: str
    measured: float | None = None
    against: float | None = None
    unit: str = "s"
    factor: float | None = None
    target: str = ""
    span: tuple[float, float] | None = None

    @property
    def met(self) -> bool | None:
        """Whether the factor reaches the target; None without a target."""
        if not self.target or self.factor is None:
            return None
        sign, number = self.target.split()
        return bool(self.factor <= float(number) if sign == "<=" else self.factor >= float(number))


def ratios(
    what: str,
    above: Sequence[float],
    below: Sequence[float],
    target: str,
    measured: Sequence[float],
    against: Sequence[float],
) -> Line:
    """The line of `above` / `below`, repeat by repeat: the median and the span of the ratios; seconds are medians."""
    first, second = float(np.median(measured)), float(np.median(against))
    if not all(below):
        return Line(what, first, second, target=target)
    each = [a / b for a, b in zip(above, below, strict=True)]
    return Line(what, first, second, "s", float(np.median(each)), target, (min(each), max(each)))


def table(lines: list[Line]) -> str:
    """The lines as text."""
    words = {None: "", True: "yes", False: "NO"}
    rows = [(x.what, x.measured, x.against, x.unit, x.factor, spanned(x.span), x.target, words[x.met]) for x in lines]
    headers = ("measure", "ours", "against", "unit", "factor", "of repeats", "target", "met")
    return tabulate(rows, headers, floatfmt=".4g", disable_numparse=[0, 3, 5, 6, 7])


def spanned(span: Sequence[float] | None) -> str:
    """Least to largest factor of the repeats."""
    return f"{span[0]:.3g} to {span[1]:.3g}" if span else ""


def as_json(lines: list[Line]) -> list[dict]:
    """The lines as plain objects."""
    return [asdict(line) | {"met": line.met} for line in lines]
