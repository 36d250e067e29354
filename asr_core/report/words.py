"""Protocols and numbers of the paper's tables in words."""

import pandas as pd

from asr_core.spec import labels
from asr_core.studies.cells import Variant

BIAS_LABELS = {None: "as in table 2", False: "off", True: "on"}


def recalibration(variant: Variant) -> str:
    """'ema 0.1 from reset, b = 20'."""
    return f"{labels.recalibration(variant.state)}, b = {variant.state.calib_batches}"


def described(variant: Variant) -> str:
    """A variant in words."""
    linear = ", linear layers pruned too" if variant.include_linear else ""
    eps = "" if variant.eps is None else f", eps {variant.eps:g}"
    bias = f"mean correction {BIAS_LABELS[variant.bias]}"
    return f"{variant.order} collection, {bias}, {recalibration(variant)}{eps}{linear}"


def number(value, digits: int = 1, sign: bool = False) -> str:
    """A fraction in percent; nothing for what is not known."""
    return "" if pd.isna(value) else f"{100 * value:{'+' if sign else ''}.{digits}f}"
