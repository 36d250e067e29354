"""Small tables for the study of the paper's protocol: see `examples`."""

import pandas as pd

from asr_core.report import fidelitytext
from asr_core.report.sentences.examples import NAN, Case
from asr_core.studies.cells import CANNOT_TELL, CONTRADICTS, REPRODUCES, Variant


def _protocols(verdicts: list[str], images: float = 2000.0) -> str:
    variants = [Variant(order=order) for order in ("simultaneous", "sequential")][: len(verdicts)]
    told = {"cells": 3, "tested": 18, "spread": 0.02, "paper_spread": 0.04, "images": images, "verdict": verdicts}
    return fidelitytext.conclusion(pd.DataFrame({"variant": variants}).assign(**told))


def protocols() -> list[Case]:
    """Of fidelitytext.conclusion."""
    return [
        ("usual", lambda: _protocols([REPRODUCES, CANNOT_TELL])),
        ("against", lambda: _protocols([CONTRADICTS, CONTRADICTS], NAN)),
        ("cannot tell", lambda: _protocols([CANNOT_TELL])),
        ("nothing stored", lambda: fidelitytext.conclusion(pd.DataFrame())),
    ]
