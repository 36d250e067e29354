"""Gain of one method over another against the damage, over all stored settings. No torch."""

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pandas as pd

from asr_core.spec.grid import BatchNormState, RepairSpec
from asr_core.store import Store, catalogue, results
from asr_core.studies import ablation

GAINS = {"asr_lw": ("asr_bn", "lw_bn"), "asr_bn": ("asr_bn", "bn_only"), "bn_lw": ("bn_only", "lw_bn")}
FACTS = ("severity", "overshoot", "within_share", "sparsity_asked", "dead", "channels")
MEASURING = ("stats", "calib", "draw", "eval")  # how a network is measured, not what it is
FEWEST = 4  # settings from which on a correlation is given


def groups(stored: list[catalogue.Stored], like: catalogue.Setting) -> tuple[tuple[str, ...], ...]:
    """Keys of the stored results of each pruned network, most rows first.

    A network that is stored with several numbers of statistics or test images is one point: the one
    whose numbers are those of `like`, or else the one with most rows.
    """
    by: dict = {}
    for item in stored:
        network = replace(item.setting, **{name: getattr(like, name) for name in MEASURING})
        by.setdefault(network, {}).setdefault(item.setting, []).append(item)
    return tuple(_keys_of(settings, like) for settings in by.values())


def _keys_of(settings: dict, like: catalogue.Setting) -> tuple[str, ...]:
    def fits(setting):
        same = sum(getattr(setting, name) == getattr(like, name) for name in MEASURING)
        return same, max(item.rows for item in settings[setting])

    return catalogue.keys_of(settings[max(settings, key=fits)])


@lru_cache(maxsize=4)  # entries never change under their keys
def accuracies(root: str, grouped: tuple[tuple[str, ...], ...]) -> pd.DataFrame:
    """Accuracy rows of all settings: `point` (number of the setting), `key`, the columns of the accuracy table, FACTS.

    Results that are gone are left out. Only accuracy tables are read.
    """
    store, parts = Store(root), []
    for point, keys in enumerate(grouped):
        entries = results.entries(store, keys)
        if entries:
            rows = pd.concat([entry.table("accuracy") for entry in entries], ignore_index=True)
            setting = catalogue.Setting.of(entries[0]["setting"])
            facts = {name: entries[0]["setting"].get(name) for name in FACTS}
            label = f"{setting.model.words} · {entries[0]['setting']['dataset_label']} · {setting.pruning} · seed {setting.seed}"
            parts.append(rows.assign(point=point, key=keys[0], label=label, net=setting.net, **facts))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def gains(rows: pd.DataFrame, gain: str, order: str, bias: bool, prior: str, state: BatchNormState) -> pd.DataFrame:
    """One row per setting that holds both methods: FACTS, gain (fraction) with gain_low and gain_high.

    The interval is Newcombe's from both Wilson intervals. It takes the test images as unpaired, so it
    is wide where both methods are right on the same ones.
    """
    slugs = [_slug(method, order, bias, prior) for method in GAINS[gain]]
    better, worse = (rows_of(rows, slug, state) for slug in slugs)
    both = better.merge(worse[["point", "top1", "top1_low", "top1_high"]], on="point", suffixes=("", "_of"))
    up = np.hypot(both["top1_high"] - both["top1"], both["top1_of"] - both["top1_low_of"])
    down = np.hypot(both["top1"] - both["top1_low"], both["top1_high_of"] - both["top1_of"])
    value = both["top1"] - both["top1_of"]
    columns = ["point", "key", "label", "net", *FACTS, "gain", "gain_low", "gain_high", "n_eval"]
    return both.assign(gain=value, gain_low=value - down, gain_high=value + up)[columns]


def _slug(method: str, order: str, bias: bool, prior: str) -> str:
    given = {"prior": prior} if method == "asr_bn" else {}
    return RepairSpec.of(method, order, bias, **given).slug


def rows_of(rows: pd.DataFrame, slug: str, state: BatchNormState) -> pd.DataFrame:
    """Rows of one repair in one BatchNorm state, one per setting."""
    return ablation.rows_in(rows[rows["slug"] == slug], state).drop_duplicates("point")


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
