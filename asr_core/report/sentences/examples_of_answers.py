"""Small tables for sentences about what networks say of single images, and how sure they are: see `examples`."""

import numpy as np
import pandas as pd

from asr_core.report.sentences import sure
from asr_core.report.sentences.examples import ASR, LW, NAN, Case, of
from asr_core.spec.repairs import BN_ONLY, DENSE, NO_REPAIR


def _errors(values: dict, b: int = 20) -> str:
    """values: network -> (ece, chance, confidence minus right, temperature, ece at it)."""
    names = ["ece", "ece_chance", "gap", "temperature", "ece_tempered"]
    columns = dict(zip(names, np.array(list(values.values()), float).T, strict=True))
    way = "ema 0.1 from reset" if b else "none"
    return sure.errors(of(list(values), **columns, n_eval=10_000.0, b=b, recalibration=way))


def errors() -> list[Case]:
    """Of sure.errors."""
    known = {DENSE: (0.057, 0.008, -0.056, 0.75, 0.019), NO_REPAIR: (0.435, 0.01, 0.422, 3.4, 0.159)}
    repairs = {BN_ONLY: (0.034, 0.003, -0.034, 1.34, 0.04), ASR: (0.073, 0.003, -0.073, 0.65, 0.083)}
    gone = {LW: (NAN,) * 5}
    return [
        ("usual", lambda: _errors(known | repairs)),
        ("one is not stored", lambda: _errors(known | repairs | gone)),
        ("one repair", lambda: _errors({ASR: repairs[ASR]}, b=0)),
        ("all equal", lambda: _errors({BN_ONLY: (0.05, NAN, 0.0, 1.0, 0.05), ASR: (0.05, NAN, 0.0, 1.0, 0.05)})),
        ("no repair is stored", lambda: _errors(known | gone)),
        ("nothing is stored", lambda: _errors(gone)),
    ]


def _bins(shares: dict, width: float) -> str:
    """shares: network -> share right of two bins of 30 and 70 images, each as sure as 0.5."""
    parts = [
        of([network] * 2, n=[30, 70], confidence=0.5, right=right).assign(bin=[3, 7])
        for network, right in shares.items()
    ]
    table = pd.concat(parts, ignore_index=True)
    return sure.bins(table.assign(right_low=table["right"] - width, right_high=table["right"] + width))


def bins() -> list[Case]:
    """Of sure.bins."""
    return [
        ("usual", lambda: _bins({DENSE: [0.3, 0.8], ASR: [0.5, 0.9]}, 0.1)),
        ("all within chance", lambda: _bins({DENSE: [0.3, 0.8]}, 0.5)),
    ]
