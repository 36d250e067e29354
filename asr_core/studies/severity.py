"""Gain of one method over another against the damage, over all stored settings. No torch."""

from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from asr_core.spec.experiment import Setting
from asr_core.spec.recalibration import BatchNormState
from asr_core.spec.repairs import RepairSpec
from asr_core.store import Store, catalogue, results, tables
from asr_core.store.catalogue import Stored
from asr_core.studies import ablation

GAINS = {"asr_lw": ("asr_bn", "lw_bn"), "asr_bn": ("asr_bn", "bn_only"), "bn_lw": ("bn_only", "lw_bn")}
FACTS = ("severity", "overshoot", "within_share", "sparsity_asked", "dead", "channels")
FEWEST = 4  # settings from which on a correlation is given


def groups(stored: list[Stored], like: Setting) -> tuple[tuple[str, ...], ...]:
    """Keys of the stored results of each pruned network, most rows first.

    A network that is stored with several numbers of statistics or test images is one point: the one
    whose numbers are those of `like`, or else the one with most rows.
    """
    by: dict = {}
    for item in stored:
        network = item.setting.with_(calibration=like.calibration, evaluation=like.evaluation)
        by.setdefault((network, item.dense_id), {}).setdefault(item.setting, []).append(item)
    return tuple(_keys_of(settings, like) for settings in by.values())


def _keys_of(settings: dict[Setting, list[Stored]], like: Setting) -> tuple[str, ...]:
    wanted = _measuring(like)

    def fits(setting: Setting) -> tuple[int, int]:
        same = sum(value == wanted[name] for name, value in _measuring(setting).items())
        return same, max(item.rows for item in settings[setting])

    return catalogue.keys_of(settings[max(settings, key=fits)])


def _measuring(setting: Setting) -> dict[str, Any]:
    """How a network is measured, not what it is."""
    return setting.calibration.values() | setting.evaluation.values()


@lru_cache(maxsize=4)  # entries never change under their keys
def accuracies(store: Store, grouped: tuple[tuple[str, ...], ...]) -> pd.DataFrame:
    """Accuracy rows of all settings: `point` (number of the setting), `key`, `label`, `architecture`, the columns of
    the
    accuracy table, FACTS. Shared: never change it.

    Results that are gone are left out. Only accuracy tables are read.
    """
    parts = []
    for point, keys in enumerate(grouped):
        if entries := results.entries(store, keys):
            rows = pd.concat([entry.table("accuracy") for entry in entries], ignore_index=True)
            facts = entries[0]["setting"]
            said = {"label": _label(facts), "architecture": facts["model"]["architecture"]}
            parts.append(rows.assign(point=point, key=keys[0], **said, **{name: facts.get(name) for name in FACTS}))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _label(facts: dict) -> str:
    """'resnet18 · CIFAR-10 · global L1 90 % · seed 0'."""
    setting = Setting.from_facts(facts)
    named = setting.model.words, facts["dataset_label"], setting.prune.words, f"seed {setting.dense.seed}"
    return " · ".join(named)


def gains(rows: pd.DataFrame, gain: str, order: str, bias: bool, prior: str, state: BatchNormState) -> pd.DataFrame:
    """One row per setting that holds both methods: FACTS, gain (fraction) with gain_low and gain_high.

    The interval is Newcombe's from both Wilson intervals. It takes the test images as unpaired, so it
    is wide where both methods are right on the same ones.
    """
    repairs = [_repair(method, order, bias, prior) for method in GAINS[gain]]
    better, worse = (rows_of(rows, repair, state) for repair in repairs)
    both = better.merge(worse[["point", "top1", "top1_low", "top1_high"]], on="point", suffixes=("", "_of"))
    up = np.hypot(both["top1_high"] - both["top1"], both["top1_of"] - both["top1_low_of"])
    down = np.hypot(both["top1"] - both["top1_low"], both["top1_high_of"] - both["top1_of"])
    value = both["top1"] - both["top1_of"]
    columns = ["point", "key", "label", "architecture", *FACTS, "gain", "gain_low", "gain_high", "n_eval"]
    return both.assign(gain=value, gain_low=value - down, gain_high=value + up)[columns]


def _repair(method: str, order: str, bias: bool, prior: str) -> RepairSpec:
    given = {"prior": prior} if method == "asr_bn" else {}
    return RepairSpec.of(method, order, bias, **given)


def rows_of(rows: pd.DataFrame, repair: RepairSpec, state: BatchNormState) -> pd.DataFrame:
    """Rows of one repair in one BatchNorm state, one per setting."""
    return ablation.rows_in(tables.rows_of(rows, repair), state).drop_duplicates("point")


def correlation(x, y) -> dict:
    """n, and Pearson and Spearman correlation with 95 % intervals; NaN for fewer than FEWEST points or constant values.

    Intervals by Fisher's z, for Spearman with the standard error of Bonett and Wright. Points that
    share a network are not independent: the intervals are then too narrow.
    """
    from scipy.stats import rankdata

    use = np.isfinite(x := np.asarray(x, float)) & np.isfinite(y := np.asarray(y, float))
    x, y = x[use], y[use]
    r, rho = _pearson(x, y), _pearson(rankdata(x), rankdata(y))
    n = len(x)
    pearson = _fisher(r, n, 1.0)
    spearman = _fisher(rho, n, 1 + rho**2 / 2)
    names = ("pearson", "pearson_low", "pearson_high", "spearman", "spearman_low", "spearman_high")
    return {"n": n} | dict(zip(names, (r, *pearson, rho, *spearman), strict=True))


def _pearson(x: np.ndarray, y: np.ndarray) -> float:
    if len(x) < FEWEST or np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    return float(np.clip(np.corrcoef(x, y)[0, 1], -1, 1))


def _fisher(r: float, n: int, factor: float) -> tuple[float, float]:
    if not abs(r) < 1:  # NaN, or all points on a line
        return r, r
    half = 1.959963984540054 * (factor / (n - 3)) ** 0.5
    return tuple(np.tanh(np.arctanh(r) + np.array([-half, half])).tolist())
