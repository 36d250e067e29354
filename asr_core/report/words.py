"""Protocols, numbers and comparisons in words."""

from collections.abc import Iterable, Sequence

import pandas as pd

from asr_core.measure.statistics import AHEAD, BEHIND, EQUAL, UNMEASURED
from asr_core.spec import labels
from asr_core.spec.recalibration import NO_BATCHNORM
from asr_core.studies.cells import Variant

BIAS_LABELS = {None: "as in table 2", False: "off", True: "on"}


def recalibration(variant: Variant) -> str:
    """'ema 0.1 from reset, b = 20'."""
    return f"{labels.recalibration(variant.state)}, b = {variant.state.calib_batches}"


def in_state(table: pd.DataFrame) -> str:
    """'at ema 0.1 from reset, b = 20', of a table in one BatchNorm state (columns b, recalibration).

    >>> in_state(pd.DataFrame({"b": [0], "recalibration": NO_BATCHNORM}))
    'without BatchNorm'
    """
    row = table.iloc[0]
    if row["recalibration"] == NO_BATCHNORM:
        return "without BatchNorm"
    return f"at {row['recalibration']}, b = {row['b']}" if row["b"] else "at b = 0"


def described(variant: Variant) -> str:
    """A variant in words."""
    linear = ", linear layers pruned too" if variant.include_linear else ""
    eps = "" if variant.eps is None else f", eps {variant.eps:g}"
    bias = f"mean correction {BIAS_LABELS[variant.bias]}"
    return f"{variant.order} collection, {bias}, {recalibration(variant)}{eps}{linear}"


def begun(text: str) -> str:
    """The text at the beginning of a sentence."""
    return text[:1].upper() + text[1:]


def number(value, digits: int = 1, sign: bool = False) -> str:
    """A fraction in percent; nothing for what is not known."""
    return "" if pd.isna(value) else f"{100 * value:{'+' if sign else ''}.{digits}f}"


def listed(names: Iterable[str], last: str = "and") -> str:
    """'a, b and c'.

    >>> listed(["LW", "raw", "ASR"])
    'LW, raw and ASR'
    """
    *most, end = list(names) or [""]
    return f"{', '.join(most)} {last} {end}" if most else end


def counted(count: int, noun: str) -> str:
    """'1 layer', '2 layers'."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def accuracy(row) -> str:
    """'54.0 % [51.8, 56.2]' of a row with top1 and its interval."""
    return f"{100 * row.top1:.1f} % [{100 * row.top1_low:.1f}, {100 * row.top1_high:.1f}]"


def relation(names: Sequence[str], verdicts: Sequence[str], noun: str = "other") -> str:
    """What one thing is against others, from a word of `measure.statistics` for each: 'ahead of LW; may be equal to raw
    and ASR'.

    >>> relation(["LW", "raw"], ["ahead", "may be equal"])
    'ahead of LW; may be equal to raw'
    """
    joints = {AHEAD: "ahead of", BEHIND: "behind", EQUAL: "may be equal to", UNMEASURED: "not measured against"}
    parts = []
    for verdict, words in joints.items():
        own = [name for name, found in zip(names, verdicts, strict=True) if found == verdict]
        if own:
            whole = len(own) == len(names) and len(own) > 2
            parts.append(f"{words} {f'all {len(own)} {noun}s' if whole else listed(own)}")
    return "; ".join(parts)


def tested(pairs: int) -> str:
    """How words of comparison were found: 'McNemar on the same images, Holm over 6 pairs'."""
    return f"McNemar on the same images, Holm over {counted(pairs, 'pair')}"


def points(difference: float) -> str:
    """A difference of fractions in points: '+1.4'; nothing for what is not known."""
    return number(difference, sign=True)
