"""Small tables for the other sentences: see `examples`."""

import numpy as np
import pandas as pd

from asr_core.measure.statistics import AHEAD, BEHIND, EQUAL, UNMEASURED
from asr_core.report import naming
from asr_core.report.sentences import accuracies, damage, maps, paper, rules
from asr_core.report.sentences.examples import ASR, LW, NAN, Case, of
from asr_core.spec.repairs import BN_ONLY, DENSE, NO_REPAIR, RepairSpec
from asr_core.studies import transition


def _curves(rows: list[tuple[RepairSpec, str, int, float]]) -> str:
    networks, ways, budgets, top1 = zip(*rows, strict=True)
    return accuracies.curves(of(list(networks), way=ways, batches=budgets, x=np.array(budgets, float), top1=top1))


def curves() -> list[Case]:
    """Of accuracies.curves."""
    usual = [(LW, "reset", 10, 0.3), (ASR, "reset", 10, 0.5), (LW, "reset", 50, 0.6), (ASR, "reset", 50, 0.62)]
    return [
        ("usual", lambda: _curves(usual)),
        ("one is not stored at a budget", lambda: _curves(usual[:-1])),
        ("all equal", lambda: _curves([(LW, "cumulative", 10, 0.5), (ASR, "cumulative", 10, 0.5)])),
        ("b = 0 alone", lambda: _curves([(ASR, "reset", 0, 0.5)])),
        ("references alone", lambda: _curves([(NO_REPAIR, "none", 0, 0.1)])),
    ]


def _equal(words: list[str], images: tuple[int, int] = (8, 8)) -> str:
    repairs = of([LW, ASR], images=images, batches=0, top1=[0.3, 0.7], word=words, pairs=2)
    alone = of([BN_ONLY] * len(set(images)), images=list(set(images)), batches=1, top1=0.5, word="", pairs=0)
    return accuracies.equal(pd.concat([alone, repairs], ignore_index=True))


def equal() -> list[Case]:
    """Of accuracies.equal."""
    return [
        ("usual", lambda: _equal([BEHIND, AHEAD])),
        ("all equal", lambda: _equal([EQUAL, EQUAL])),
        ("some are not stored", lambda: _equal([BEHIND, AHEAD], (8, 16))),
        ("not kept per image", lambda: _equal([UNMEASURED, UNMEASURED])),
        ("nothing to compare", lambda: _equal(["", ""])),
    ]


def decay() -> list[Case]:
    """Of accuracies.decay."""
    budgets = np.arange(51)
    table = pd.DataFrame({"b": budgets, "a": 0.9**budgets, "momentum": 0.1})
    return [
        ("usual", lambda: accuracies.decay(table)),
        ("no budget", lambda: accuracies.decay(table.iloc[:1])),
    ]


def _cells(ratios: list[float]) -> str:
    values = np.array(ratios, float)
    logs = np.log2(np.where(values > 0, values, NAN))
    rows = of([NO_REPAIR] * len(values), statistic="q25", value=values, log2=logs)
    share = of([NO_REPAIR], statistic="share", value=0.4, log2=NAN)
    return damage.cells(pd.concat([share, rows], ignore_index=True))


def cells() -> list[Case]:
    """Of damage.cells."""
    return [
        ("usual", lambda: _cells([0.2, 0.5])),
        ("zero ratios", lambda: _cells([0.0, 0.5])),
        ("all dead", lambda: _cells([0.0, 0.0])),
        ("diverged", lambda: _cells([1e60, 0.5])),
    ]


def _channels(ratios: list[float], dense: float = 1.0) -> pd.DataFrame:
    v_dense = dense * np.arange(1.0, len(ratios) + 1)
    return of([NO_REPAIR] * len(ratios), layer="layer1", v_dense=v_dense, v=v_dense * np.array(ratios, float))


def _middle(ratio: float) -> str:
    return damage.panels(of([NO_REPAIR] * 2, layer="layer1", middle=ratio))


def spectrum() -> list[Case]:
    """Of damage.spectrum."""
    return [
        ("usual", lambda: damage.spectrum(_channels([0.1, 0.2, 0.5, 0.6]))),
        ("all dead", lambda: damage.spectrum(_channels([0.1, 0.2, 0.5, 0.6], dense=0.0))),
        ("few channels", lambda: damage.spectrum(_channels([0.1]))),
    ]


def panels() -> list[Case]:
    """Of damage.panels."""
    return [
        ("usual", lambda: _middle(0.8)),
        ("all dead", lambda: _middle(NAN)),
        ("diverged", lambda: _middle(np.inf)),
    ]


def _energy(energy: list[float], variance: list[float]) -> str:
    return damage.energy(pd.DataFrame({"layer": "layer1", "kept_energy": energy, "variance_kept": variance}))


def energy() -> list[Case]:
    """Of damage.energy."""
    steps = [i / 10 for i in range(10)]
    return [
        ("usual", lambda: _energy(steps, [0.8 * s for s in steps])),
        ("all equal", lambda: _energy([0.5] * 10, [0.4] * 10)),
        ("one channel", lambda: _energy([0.5], [0.4])),
        ("not known of all", lambda: _energy([0.5, NAN, 0.5], [0.4, 0.4, np.inf])),
    ]


def _pixels(factors: dict[RepairSpec, float], dense: np.ndarray) -> pd.DataFrame:
    columns = {DENSE: dense} | {network: dense * factor for network, factor in factors.items()}
    return naming.beside(columns, image=7, file="test[7]", **{"class": "3"})


def pixel() -> list[Case]:
    """Of maps.pixel_sentence."""
    factors = {NO_REPAIR: 0.2, LW: 1.3, ASR: 0.9}
    return [
        ("usual", lambda: maps.pixel_sentence(_pixels(factors, np.arange(9.0)))),
        ("constant", lambda: maps.pixel_sentence(_pixels(factors, np.zeros(9)))),
        ("one is not finite", lambda: maps.pixel_sentence(_pixels(factors | {ASR: np.inf}, np.arange(1, 10.0)))),
    ]


def _kernel(dense: list[float], kept: list[float], factor: float) -> str:
    pruned = np.array(dense) * kept
    columns = {DENSE: np.array(dense), NO_REPAIR: pruned, ASR: factor * pruned}
    return maps.kernel(naming.beside(columns, input=range(len(dense))))


def kernel() -> list[Case]:
    """Of maps.kernel."""
    return [
        ("usual", lambda: _kernel([1.0, -2.0, 0.5], [0, 1, 0], 1.3)),
        ("dead", lambda: _kernel([1.0, -2.0], [0, 0], 1.0)),
        ("no weights before", lambda: _kernel([0.0, 0.0], [0, 0], 1.0)),
        ("nothing pruned", lambda: _kernel([1.0, 2.0], [1, 1], 1.0)),
    ]


def _bars(densities: dict[str, list[float]]) -> str:
    rows = [(rule, f"layer{i}", d, 0.95) for rule, own in densities.items() for i, d in enumerate(own)]
    return rules.bars(pd.DataFrame(rows, columns=["rule", "layer", "density", "sparsity"]))


def bars() -> list[Case]:
    """Of rules.bars."""
    return [
        ("usual", lambda: _bars({"ERK": [1.0, 0.03], "uniform": [0.05, 0.05]})),
        ("one layer", lambda: _bars({"uniform": [0.05]})),
        ("a layer without weights", lambda: _bars({"global L1": [0.2, 0.0]})),
    ]


def _repairability(values: list[float]) -> str:
    rows = {"layer": [f"layer{i}" for i in range(len(values))], "sparsity": 0.95, "measure": "rr", "value": values}
    return rules.repairability(pd.DataFrame(rows))


def repairability() -> list[Case]:
    """Of rules.repairability."""
    return [
        ("usual", lambda: _repairability([0.3, 0.8, 1.2])),
        ("undefined", lambda: _repairability([NAN, NAN])),
        ("one layer", lambda: _repairability([0.3])),
    ]


def _verdict(clear: list[bool]) -> str:
    rows = {"sparsity": 0.95, "rule": "LAMP", "ahead_of_all": clear, "pairs": 3}
    return rules.verdict(pd.DataFrame(rows, columns=list(rows)), "ASR")


def verdict() -> list[Case]:
    """Of rules.verdict."""
    return [
        ("usual", lambda: _verdict([True])),
        ("may be equal", lambda: _verdict([False])),
        ("one rule", lambda: rules.verdict(pd.DataFrame(columns=transition.VERDICT), "ASR")),
    ]


def _protection(kept: dict[str, int], kind: str = "projection") -> str:
    rows = [
        {"rule": rule.upper(), "pruning": rule, "kind": kind, "kept": count, "weights": 100, "share": count / 1000}
        for rule, count in kept.items()
    ]
    return rules.protection(pd.DataFrame(rows))


def protection() -> list[Case]:
    """Of rules.protection."""
    return [
        ("usual", lambda: _protection({"erk": 100, "lamp": 20})),
        ("a tie", lambda: _protection({"erk": 100, "lamp": 100})),
        ("one rule", lambda: _protection({"erk": 100})),
        ("no projection", lambda: _protection({"erk": 100, "lamp": 20}, "other")),
    ]


def _surface(words: list[str]) -> str:
    top1 = [0.6 - 0.05 * i for i in range(len(words))]
    table = of([ASR] * len(words), top1=top1, word=words, named=["asr_bn", *[None] * (len(words) - 1)])
    table = table.assign(top1_low=table["top1"] - 0.02, top1_high=table["top1"] + 0.02, group_size=1, prior="median")
    return paper.surface(table.assign(scale=1.0, best=np.arange(len(words)) == 0, b=20, pairs=3))


def surface() -> list[Case]:
    """Of paper.surface."""
    return [
        ("usual", lambda: _surface(["", EQUAL, AHEAD])),
        ("one point", lambda: _surface([""])),
        ("not kept per image", lambda: _surface(["", UNMEASURED])),
    ]


def _steps(steps: list[int], same: float) -> str:
    here = [("here", "CIFAR-10", step, 0.5 + 0.002 * step, 3, same if step == 20 else NAN) for step in steps]
    published = [("paper", "Overall", step, 0.6 + 0.001 * step, 0, NAN) for step in (20, 50)]
    columns = ["whose", "dataset", "step", "median", "settings", "paper_same"]
    return paper.steps(pd.DataFrame([*here, *published], columns=columns))


def steps() -> list[Case]:
    """Of paper.steps."""
    return [
        ("usual", lambda: _steps([0, 20, 50], 0.52)),
        ("one step", lambda: _steps([20], NAN)),
    ]
