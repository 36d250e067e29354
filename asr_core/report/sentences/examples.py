"""Small tables for every sentence: a usual one first, then the extreme ones. docs/sentences.md shows what they say."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from asr_core.measure.statistics import AHEAD, BEHIND, EQUAL, UNMEASURED
from asr_core.report import naming
from asr_core.report.sentences import accuracies, damage, maps
from asr_core.spec.recalibration import NO_BATCHNORM
from asr_core.spec.repairs import BN_ONLY, DENSE, NO_REPAIR, RepairSpec
from asr_core.store.tables import typed

NAN = float("nan")
LW, RAW, ASR = (RepairSpec.of(name, "simultaneous", False) for name in ("lw_bn", "raw_bn", "asr_bn"))
Case = tuple[str, Callable[[], str]]


def of(networks: list[RepairSpec], **columns: Any) -> pd.DataFrame:
    """A table with a row per network."""
    table = typed(pd.DataFrame([network.columns for network in networks]))
    return table.assign(**columns)


def _accuracies(
    top1: dict[RepairSpec, float],
    words: dict[RepairSpec, str],
    b: int = 20,
    way: str = "ema 0.1 from reset",
    dense_alike: float = NAN,
) -> pd.DataFrame:
    values = np.array(list(top1.values()), float)
    repairs = {network: value for network, value in top1.items() if network not in (DENSE, NO_REPAIR)}
    stored = {network: value for network, value in repairs.items() if np.isfinite(value)}
    best = max(stored, key=lambda network: stored[network]) if stored else None
    return of(
        list(top1),
        top1=values,
        top1_low=values - 0.02,
        top1_high=values + 0.02,
        n_eval=np.where(np.isfinite(values), 1000.0, NAN),
        best=[network == best for network in top1],
        word=[words.get(network, "") for network in top1],
        pairs=max(0, len(stored) * (len(stored) - 1) // 2),
        b=b,
        recalibration=way,
        dense_alike=dense_alike,
    )


def overview() -> list[Case]:
    """Of accuracies.overview."""
    usual = {DENSE: 0.93, NO_REPAIR: 0.3, BN_ONLY: 0.6, LW: 0.66, ASR: 0.7}
    words = {NO_REPAIR: AHEAD, BN_ONLY: AHEAD, LW: EQUAL}
    tie = dict.fromkeys([NO_REPAIR, BN_ONLY, LW, ASR], 0.5)
    cases = {
        "usual": (usual, words),
        "all equal": (tie, {NO_REPAIR: EQUAL, BN_ONLY: EQUAL, LW: EQUAL}),
        "one is not stored": (usual | {LW: NAN}, words),
        "none is stored": ({DENSE: 0.93, NO_REPAIR: 0.3, ASR: NAN}, {}),
        "one repair": ({NO_REPAIR: 0.3, ASR: 0.7}, {NO_REPAIR: AHEAD}),
        "worse than no repair": ({NO_REPAIR: 0.6, ASR: 0.1, LW: 0.2}, {NO_REPAIR: BEHIND, ASR: EQUAL}),
        "not kept per image": ({NO_REPAIR: 0.3, LW: 0.5, ASR: 0.7}, {NO_REPAIR: UNMEASURED, LW: UNMEASURED}),
    }
    found: list[Case] = [(n, lambda c=c: accuracies.overview(_accuracies(*c))) for n, c in cases.items()]  # type: ignore
    found.append(("dense recalibrated too", lambda: accuracies.overview(_accuracies(usual, words, dense_alike=0.78))))
    ways = {"no recalibration": "none", "no BatchNorm": NO_BATCHNORM}
    return found + [(n, lambda way=w: accuracies.overview(_accuracies(usual, words, 0, way))) for n, w in ways.items()]


def _strip(damages: list[float], dead: int = 0) -> str:
    layers = [f"layer{i}" for i in range(len(damages))]
    rows = {"layer": layers, "depth": range(len(damages)), "channels": 16, "dead": dead, "damage": damages}
    return damage.strip(pd.DataFrame(rows).assign(shown="severity"))


def strip() -> list[Case]:
    """Of damage.strip."""
    return [
        ("usual", lambda: _strip([0.1, 0.2, 0.4, 0.6])),
        ("all equal", lambda: _strip([0.3, 0.3, 0.3])),
        ("nothing pruned", lambda: _strip([0.0, 0.0])),
        ("one layer", lambda: _strip([0.4])),
        ("all dead", lambda: _strip([NAN, NAN], dead=16)),
        ("diverged", lambda: _strip([0.1, np.inf, 1e30])),
    ]


def _spread(shared: list[float], spread: list[float], live: int, share: float) -> str:
    return damage.spread(pd.DataFrame({"shared": shared, "spread": spread, "live": live, "within_share": share}))


def spread() -> list[Case]:
    """Of damage.spread."""
    return [
        ("usual", lambda: _spread([1.0, 0.2], [0.3, 0.4], 8, 0.15)),
        ("all dead", lambda: _spread([NAN], [NAN], 0, NAN)),
        ("nothing pruned", lambda: _spread([0.0], [0.0], 8, NAN)),
    ]


def _variances(ratios: dict[RepairSpec, list[float]], fallback: bool = False) -> str:
    parts = []
    for network, values in ratios.items():
        v = np.array(values, float)
        told = {"channel": range(len(v)), "layer": "layer1", "v_dense": 1.0, "v": v, "dead": v == 0}
        own = of([network] * len(v), **told).assign(diverged=~np.isfinite(v) | (v > 1e6))
        own["fallback"] = fallback and network != NO_REPAIR
        parts.append(own.assign(label=network.method))
    table = pd.concat(parts, ignore_index=True)
    live = [np.exp(np.log(np.array([v for v in values if 0 < v < np.inf])).mean()) for values in ratios.values()]
    fits = of(list(ratios), alpha_ratio=live, alpha_slope=1.0).assign(label=[n.method for n in ratios])
    return damage.variances(table, fits)


def variances() -> list[Case]:
    """Of damage.variances."""
    return [
        ("usual", lambda: _variances({NO_REPAIR: [0.1, 0.2, 0.3], ASR: [0.9, 1.0, 1.1]})),
        ("a dead channel", lambda: _variances({NO_REPAIR: [0.1, 0.0], LW: [0.9, 0.0]})),
        ("diverged", lambda: _variances({NO_REPAIR: [0.1, 0.2], LW: [1e60, np.inf]})),
        ("a prior at the floor", lambda: _variances({NO_REPAIR: [0.1, 0, 0], ASR: [0.1, 0, 0]}, fallback=True)),
        ("one channel", lambda: _variances({NO_REPAIR: [0.1]})),
    ]


def _map(ratio: dict[RepairSpec, float], constant: bool = False) -> str:
    dense = np.zeros(16) if constant else np.arange(16.0)
    columns = {DENSE: dense} | {network: dense * factor for network, factor in ratio.items()}
    pixels = naming.beside(
        columns, **dict(zip(("image", "row", "column"), np.indices((1, 4, 4)).reshape(3, -1), strict=True))
    )
    pixels.attrs |= {"channel": 3, "layer": "layer1"}
    return maps.sentence(pixels)


def pictures() -> list[Case]:
    """Of maps.sentence."""
    return [
        ("usual", lambda: _map({NO_REPAIR: 0.2, LW: 0.7, ASR: 0.9})),
        ("no repair is nearest", lambda: _map({NO_REPAIR: 0.9, LW: 5.0, ASR: 3.0})),
        ("a tie", lambda: _map({NO_REPAIR: 0.2, LW: 0.9, ASR: 0.9})),
        ("BN only is nearest", lambda: _map({NO_REPAIR: 0.2, BN_ONLY: 0.9, LW: 0.7, ASR: 0.5})),
        ("dead", lambda: _map({NO_REPAIR: 0.0, ASR: 0.0})),
        ("constant", lambda: _map({NO_REPAIR: 0.5, ASR: 0.5}, constant=True)),
        ("not finite", lambda: _map({NO_REPAIR: 0.5, ASR: np.nan})),
        ("pruned not finite", lambda: _map({NO_REPAIR: np.nan, ASR: 0.9})),
        ("as far on the other side", lambda: _map({NO_REPAIR: 0.5, ASR: 1.5})),
    ]
