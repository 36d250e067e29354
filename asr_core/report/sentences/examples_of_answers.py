"""Small tables for sentences about what networks say of single images, and how sure they are: see `examples`."""

import numpy as np
import pandas as pd

from asr_core.measure.statistics import AHEAD, BEHIND, EQUAL, UNMEASURED
from asr_core.report.sentences import images, reasons, sure
from asr_core.report.sentences.examples import ASR, LW, NAN, Case, of
from asr_core.spec import labels
from asr_core.spec.recalibration import NO_BATCHNORM
from asr_core.spec.repairs import BN_ONLY, DENSE, NO_REPAIR

WAY = "ema 0.1 from reset"  # of recalibration


def _errors(values: dict, b: int = 20) -> str:
    """values: network -> (ece, chance, confidence minus right, temperature, ece at it)."""
    names = ["ece", "ece_chance", "gap", "temperature", "ece_tempered"]
    columns = dict(zip(names, np.array(list(values.values()), float).T, strict=True))
    way = WAY if b else "none"
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


def _paying(counts: dict, words: list[str], lost: int = 500, absent: str = "", b: int = 20) -> str:
    """counts: repair -> (regained, alone, broken)."""
    regained, alone, broken = np.array(list(counts.values())).T
    whole = {"n": 10_000, "lost": lost, "all": 90 if lost else 0, "one": int(alone.sum()), "none": 200 if lost else 0}
    told = {"b": b, "recalibration": WAY if b else "none", "absent": absent, "pairs": len(counts)}
    columns = {"regained": regained, "alone": alone, "broken": broken, "word": words}
    return images.paying(of(list(counts), **columns, **whole, **told))


def paying() -> list[Case]:
    """Of images.paying."""
    usual = {BN_ONLY: (150, 50, 40), LW: (200, 0, 30), ASR: (220, 30, 25)}
    nothing = {LW: (0, 0, 0), ASR: (0, 0, 0)}
    return [
        ("usual", lambda: _paying(usual, [EQUAL, AHEAD, AHEAD])),
        ("one is not stored", lambda: _paying(usual, [AHEAD] * 3, absent="raw")),
        ("nothing is lost", lambda: _paying(nothing, [EQUAL, EQUAL], lost=0, b=0)),
        ("one repair", lambda: _paying({ASR: (220, 220, 25)}, [BEHIND])),
        ("not tested", lambda: _paying(nothing, [UNMEASURED] * 2)),
    ]


def _recalls(shares: dict, words: list[str]) -> str:
    """shares: network -> recall of each class; words: of ASR."""
    classes = [f"c{i}" for i in range(len(words))]
    parts = [
        of([network] * len(classes), recall=recall).assign(**{"class": classes}, word=words if network == ASR else "")
        for network, recall in shares.items()
    ]
    moved = np.subtract(shares[DENSE], shares[NO_REPAIR])
    table = pd.concat(parts, ignore_index=True)
    return images.recalls(table.assign(moved=np.tile(moved, len(shares)), looked_at="ASR"))


def recalls() -> list[Case]:
    """Of images.recalls."""
    dense, pruned = [0.9, 0.8, 0.95], [0.1, 0.7, 1.0]
    return [
        ("usual", lambda: _recalls({DENSE: dense, NO_REPAIR: pruned, ASR: dense}, [AHEAD, EQUAL, BEHIND])),
        ("all equal", lambda: _recalls({DENSE: dense, NO_REPAIR: dense, ASR: dense}, [EQUAL] * 3)),
        ("one gains", lambda: _recalls({DENSE: [0.9, 0.4], NO_REPAIR: [0.1, 0.8], ASR: [0.5, 0.5]}, [EQUAL] * 2)),
        ("none loses", lambda: _recalls({DENSE: [0.1, 0.4], NO_REPAIR: [0.1, 0.8], ASR: [0.5, 0.5]}, [EQUAL] * 2)),
        ("one class", lambda: _recalls({DENSE: [0.9], NO_REPAIR: [0.1], ASR: [0.5]}, [AHEAD])),
        ("not tested", lambda: _recalls({DENSE: dense, NO_REPAIR: pruned, ASR: dense}, [UNMEASURED] * 3)),
    ]


def _confusions(counts: dict) -> str:
    """counts: network -> images of each class (row) with each answer (column)."""
    parts = []
    for network, given in counts.items():
        matrix = np.array(given)
        place, answer = np.indices(matrix.shape).reshape(2, -1)
        total = matrix.sum(1, keepdims=True)
        columns = {"class_index": place, "answer_index": answer, "n": matrix.ravel()}
        columns["share"] = np.where(total > 0, matrix / np.maximum(total, 1), NAN).ravel()
        names = {"class": [f"c{i}" for i in place], "answer": [f"c{i}" for i in answer]}
        parts.append(of([network] * matrix.size, **columns).assign(**names, label=labels.label(network)))
    return images.confusions(pd.concat(parts, ignore_index=True))


def confusions() -> list[Case]:
    """Of images.confusions."""
    right, one = [[9, 1], [2, 8]], [[0, 10], [0, 10]]
    return [
        ("usual", lambda: _confusions({DENSE: right, NO_REPAIR: one, ASR: right})),
        ("all right", lambda: _confusions({DENSE: [[10, 0], [0, 10]]})),
        ("a class without images", lambda: _confusions({ASR: [[0, 0], [5, 5]]})),
    ]


def _why(
    top1: tuple, word: str, apart: float, share: float, left: float, signal: tuple = (NAN, NAN), way: str = WAY
) -> str:
    whole = {
        "first": "ASR",
        "second": "raw",
        "shared": "simultaneous, bias off",
        "b": 0 if way == NO_BATCHNORM else 20,
        "recalibration": way,
        "p": 0.01,
        "word": word,
    }
    whole |= {"top1_first": top1[0], "top1_second": top1[1], "all_measured": apart, "all_granularity": share}
    whole |= {"all_recalibrated": left, "signal_first": signal[0], "signal_second": signal[1]}
    rows = pd.DataFrame({"layer": ["conv1", "conv2"], "measured": [0.0, 2 * apart], "worst": [0, 7]})
    return reasons.why(rows.assign(worst_measured=[0.0, -3 * apart], **whole))


def why() -> list[Case]:
    """Of reasons.why."""
    return [
        ("usual", lambda: _why((0.3, 0.4), BEHIND, 0.6, 0.54, 0.5, (0.3, 0.4))),
        ("one works against the other", lambda: _why((0.4, 0.3), AHEAD, 0.6, 1.3, 0.0)),
        ("no difference", lambda: _why((0.4, 0.4), EQUAL, 0.0, NAN, 0.0)),
        ("new weights", lambda: _why((0.4, 0.3), UNMEASURED, 5.0, NAN, NAN)),
        ("accuracy not stored", lambda: _why((NAN, 0.3), UNMEASURED, 0.5, 0.5, NAN)),
        ("no BatchNorm", lambda: _why((0.3, 0.4), BEHIND, 0.6, 0.54, NAN, (0.3, 0.4), NO_BATCHNORM)),
    ]
