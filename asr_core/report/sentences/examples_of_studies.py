"""Small tables for sentences over several settings, the paper's tables and chance: see `examples`."""

from typing import Any

import numpy as np
import pandas as pd

from asr_core.measure.statistics import AHEAD, BEHIND, EQUAL, UNMEASURED
from asr_core.report.sentences import absorbed, noise, paper, rules, settings
from asr_core.report.sentences.examples import ASR, LW, NAN, RAW, Case, _accuracies, of
from asr_core.spec.recalibration import NO_BATCHNORM
from asr_core.spec.repairs import BN_ONLY, RepairSpec
from asr_core.studies import transition


def _band(inside: dict[str, list[str]], b: int = 20) -> str:
    rows = [
        {"rule": rule, "pruning": rule, "sparsity": 0.9 + 0.02 * i, "inside": said, "repaired": "ASR", "b": b}
        for rule, words in inside.items()
        for i, said in enumerate(words)
        if said
    ]
    return rules.bands(pd.DataFrame(rows))


def bands() -> list[Case]:
    """Of rules.bands."""
    inside, out, absent = transition.IN, transition.OUT, transition.ABSENT
    return [
        ("usual", lambda: _band({"uniform": [out, inside, inside], "LAMP": [out, out, out]})),
        ("a hole", lambda: _band({"uniform": [inside, inside, inside], "LAMP": [inside, "", inside]})),
        ("not stored", lambda: _band({"uniform": [inside, out], "LAMP": [absent, absent]})),
        ("not tested", lambda: _band({"uniform": [UNMEASURED, out]})),
        ("no recalibration", lambda: _band({"uniform": [inside]}, b=0)),
    ]


def _gains(gains: list[float], words: list[str], networks: int, absorbed: bool = False) -> str:
    count = len(gains)
    table = pd.DataFrame({"gain": gains, "word": words, "x": np.linspace(0.1, 0.9, count), "order": "simultaneous"})
    told = {"bias": False, "gained": "ASR over LW", "against": "severity", "b": 20, "absorbed": absorbed}
    network = [str(i % networks) for i in range(count)]
    return settings.gains(table.assign(**told, network=network, recalibration="ema 0.1 from reset"))


def gains() -> list[Case]:
    """Of settings.gains."""
    usual = [0.004 * (i * 7 % 24) + 0.005 * i - 0.06 for i in range(24)]
    words = [EQUAL] * 10 + [AHEAD] * 14
    return [
        ("usual", lambda: _gains(usual, words, 6)),
        ("few networks", lambda: _gains(usual, words, 4)),
        ("absorbed", lambda: _gains([0.0] * 23 + [0.001], [EQUAL] * 24, 6, absorbed=True)),
        ("few values", lambda: _gains([0.0] * 23 + [0.001], [EQUAL] * 24, 6)),
        ("one setting", lambda: _gains([0.1], [AHEAD], 1)),
        ("not kept per image", lambda: _gains(usual, [UNMEASURED] * 24, 6)),
    ]


def _gap(rows: list[tuple]) -> str:
    table = of([row[0] for row in rows], way=[row[1] for row in rows], b=[row[2] for row in rows])
    values = {"a": 0.1, "logit_gap": [row[3] for row in rows], "top1_gap": [row[4] for row in rows]}
    return absorbed.gaps(table.assign(**values))


def gaps() -> list[Case]:
    """Of absorbed.gaps."""
    return [
        ("usual", lambda: _gap([(ASR, "reset", 20, 2.5, 0.1), (ASR, "cumulative", 20, 0.001, 0.0)])),
        ("not absorbed", lambda: _gap([(ASR, "cumulative", 20, 0.8, 0.02), (LW, "cumulative", 20, 0.2, 0.0)])),
        ("not finite", lambda: _gap([(ASR, "keep", 20, np.inf, 0.1), (ASR, None, 0, 3.0, 0.2)])),
        ("nothing kept", lambda: _gap([(ASR, None, 0, NAN, NAN)])),
    ]


def _unabsorbed(gains: dict[RepairSpec, float], words: list[str], dense: float = 0.83, way: str = "none") -> str:
    levels = {"no_repair": 0.15, "dense": dense, "n_eval": 10_000.0, "pairs": len(words) - words.count(UNMEASURED)}
    told = of(list(gains), gain=list(gains.values()), word=words, **levels, b=0, recalibration=way)
    return absorbed.unabsorbed(told)


def unabsorbed() -> list[Case]:
    """Of absorbed.unabsorbed."""
    usual, words = {LW: 0.31, RAW: 0.27, ASR: -0.02}, [AHEAD, AHEAD, EQUAL]
    return [
        ("usual", lambda: _unabsorbed(usual, words, way=NO_BATCHNORM)),
        ("no recalibration", lambda: _unabsorbed(usual, words)),
        ("all equal", lambda: _unabsorbed({LW: 0.0, ASR: 0.0}, [EQUAL, EQUAL])),
        ("one repair", lambda: _unabsorbed({ASR: 0.31}, [AHEAD])),
        ("worse than no repair", lambda: _unabsorbed({LW: -0.05, ASR: -0.02}, [BEHIND, EQUAL])),
        ("dense is not stored", lambda: _unabsorbed(usual, words, dense=NAN)),
        ("pruning took nothing", lambda: _unabsorbed(usual, words, dense=0.15)),
        ("not kept per image", lambda: _unabsorbed(usual, [UNMEASURED] * 3)),
    ]


def agreement() -> list[Case]:
    """Of absorbed.agreement."""

    def said(predicted: list[float], measured: list[float]) -> str:
        return absorbed.agreement(pd.DataFrame({"predicted": predicted, "logit_gap": measured}))

    return [
        ("usual", lambda: said([0.1, 0.2, 0.4], [1.0, 3.0, 2.0])),
        ("all equal", lambda: said([0.1, 0.1], [1.0, 1.0])),
        ("one", lambda: said([0.1], [1.0])),
    ]


def _difference(**changed: Any) -> pd.DataFrame:
    usual: dict[str, Any] = {
        **{"gain": 0.014, "low": -0.01, "high": 0.038, "images_sd": 0.012, "images_word": EQUAL},
        **{"images_needed": 5200.0, "draws": 16, "draw_mean": 0.029, "draw_sd": 0.022, "draws_ahead": 15},
        **{"draw_word": AHEAD, "draws_needed": 8.0, "seeds": 1, "seed_mean": 0.014, "seed_sd": NAN},
        **{"seed_word": UNMEASURED, "seeds_needed": NAN, "first_label": "ASR", "second_label": "raw"},
    }
    return pd.DataFrame([usual | changed])


def differences() -> list[Case]:
    """Of noise.one and noise.differences."""
    one = {"draws": 1, "draw_sd": NAN, "draw_word": UNMEASURED, "draws_needed": NAN}
    none = {"images_word": UNMEASURED, "images_needed": NAN, "low": NAN, "high": NAN}
    sure = {"images_word": AHEAD, "seeds": 3, "seed_sd": 0.01, "seed_word": AHEAD}
    equal = {"gain": 0.0, "low": 0.0, "high": 0.0, "images_needed": np.inf}
    cases = {"usual": {}, "one draw": one, "not kept per image": none, "certain": sure, "equal": equal}
    each: list[Case] = [(n, lambda c=c: noise.one(_difference(**c).iloc[0])) for n, c in cases.items()]  # type: ignore
    whole: list[Case] = [(f"all, {n}", lambda c=c: noise.differences(_difference(**c))) for n, c in cases.items()]  # type: ignore
    return [*each, *whole, ("no pair", lambda: noise.differences(_difference().iloc[:0]))]


def noises() -> list[Case]:
    """Of noise.methods."""

    def said(draw: float, seed: float) -> str:
        count = 1 if draw != draw else 3
        counts = {"draws": [count, count], "seeds": [count, count]}
        rows = of([BN_ONLY, ASR], images_sd=[0.01, 0.012], draw_sd=[draw, draw], seed_sd=[seed, seed], **counts)
        return noise.methods(rows)

    return [("usual", lambda: said(0.022, 0.03)), ("one draw, one seed", lambda: said(NAN, NAN))]


def factors() -> list[Case]:
    """Of noise.factors."""

    def said(shown, drawn, mean: float = 1.31, std: float = 0.024) -> str:
        spread = {name: [value] * len(drawn) for name, value in {"draws": 16, "mean": mean, "std": std}.items()}
        return noise.factors(of(drawn, **spread) if drawn else of([ASR]).iloc[:0], shown)

    every = [LW, RAW, ASR]
    return [
        ("usual", lambda: said([BN_ONLY, *every], every)),
        ("one of them stored", lambda: said(every, [ASR])),
        ("none stored", lambda: said(every, [])),
        ("no factor shown", lambda: said([BN_ONLY], every)),
        ("a dead channel", lambda: said([ASR], every, 1.0, 0.0)),
        ("not finite", lambda: said([RAW], every, np.inf, NAN)),
    ]


def _table2(words: list[str], top1: list[float], told: int, same: bool = False) -> str:
    rows = [("BN only", BN_ONLY), ("Layer-wise + BN", LW), ("ASR, median prior", ASR)]
    table = _accuracies(dict(zip([n for _, n in rows], top1, strict=True)), {})
    told_of = {"paper": [0.3, 0.4, 0.5], "told": told, "alike": told, "same_network": same, "pairs": 3}
    return paper.table2(table.assign(row=[name for name, _ in rows], word=words, **told_of))


def table2() -> list[Case]:
    """Of paper.table2."""
    return [
        ("usual", lambda: _table2([AHEAD, EQUAL, ""], [0.3, 0.5, 0.6], 2)),
        ("all equal", lambda: _table2(["", EQUAL, EQUAL], [0.5, 0.5, 0.5], 0)),
        ("one row stored", lambda: _table2(["", "", ""], [NAN, NAN, 0.6], 0)),
        ("the paper's own network", lambda: _table2([AHEAD, AHEAD, ""], [0.3, 0.4, 0.6], 3, same=True)),
    ]


def _leftover(signals: list[float]) -> str:
    networks = [BN_ONLY, LW, ASR][: len(signals)]
    return absorbed.leftover(of(networks, signal=signals, layer="layer1", label=[n.method for n in networks]))


def leftover() -> list[Case]:
    """Of absorbed.leftover."""
    return [
        ("usual", lambda: _leftover([0.4, 1.1, 1.2])),
        ("nothing left", lambda: _leftover([1.0, 1.01, 0.99])),
        ("one is not finite", lambda: _leftover([0.4, 1.1, NAN])),
        ("not finite", lambda: _leftover([NAN, np.inf])),
    ]
