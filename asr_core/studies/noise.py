"""How far accuracies, and differences of them, move by chance: three noises kept apart. No torch.

images   another set of test images of the same size
draw     other training images for statistics and recalibration, on the same dense network
seed     another training of the dense network
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from asr_core.measure.statistics import compare, holm, mcnemar, settled, settled_images, word
from asr_core.spec.experiment import Setting
from asr_core.spec.recalibration import BatchNormState
from asr_core.spec.repairs import COLUMNS, NO_REPAIR, RepairSpec
from asr_core.store import Store, results
from asr_core.store.catalogue import Stored
from asr_core.store.tables import is_of, networks, rows_of, typed
from asr_core.studies import ablation

FEWEST = 3  # draws or seeds under which nothing is said of them
METHOD = [
    *COLUMNS,
    "top1",
    "top1_low",
    "top1_high",
    "n_eval",
    "images_sd",
    "draws",
    "draw_mean",
    "draw_sd",
    "seeds",
    "seed_sd",
]
DIFFERENCE = [
    *("first", "second", "gain", "low", "high", "images_sd", "images_word", "images_needed", "draws", "draw_mean"),
    *("draw_sd", "draws_ahead", "draw_word", "draws_needed", "seeds", "seed_mean", "seed_sd", "seed_word"),
    "seeds_needed",
]


def alike(stored: list[Stored], setting: Setting, dense_id: str) -> list[Stored]:
    """Stored results that differ from a setting in nothing but its draw, and of other seeds; of one seed, those of one
    dense network."""

    def rest(one: Setting) -> Setting:
        return one.with_(dense=replace(one.dense, seed=0), calibration=replace(one.calibration, draw=0))

    parts, wanted = ("data", "model", "prune", "evaluation"), rest(setting)
    near = [item for item in stored if all(getattr(item.setting, part) == getattr(setting, part) for part in parts)]
    same = [item for item in near if rest(item.setting) == wanted]
    first: dict[int, str] = {setting.dense.seed: dense_id}
    for item in same:
        first.setdefault(item.setting.dense.seed, item.dense_id)
    return [item for item in same if first[item.setting.dense.seed] == item.dense_id]


def rows(store: Store, keys: Iterable[str], repairs: Iterable[RepairSpec], state: BatchNormState) -> pd.DataFrame:
    """Of stored results (those of `alike`), accuracy rows of `repairs` in one BatchNorm state and of no repair, over
    all seeds and draws: those of the accuracy table, and seed; each once."""
    parts = []
    for entry in results.entries(store, keys):
        setting, table = entry["setting"], results.placed(entry.table("accuracy"), entry)
        chosen = ablation.rows_in(rows_of(table, *repairs), state)
        plain = rows_of(table[table["calib_batches"].eq(0)], NO_REPAIR)
        both = pd.concat([plain, chosen])
        parts.append(both.assign(seed=setting["dense"]["seed"], draw=setting["calibration"]["draw"]))
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=[*results.ROW_FIELDS, "seed"])
    return table.drop_duplicates([*COLUMNS, "seed", "draw"], ignore_index=True)


def over_draws(store: Store, keys: Iterable[str], repairs: Iterable[RepairSpec], state: BatchNormState) -> pd.DataFrame:
    """COLUMNS, draws (how many), draw_mean, draw_low and draw_high (least and largest) of each network over stored
    results that differ in their draw alone."""
    found = rows(store, keys, repairs, state)
    groups = found.groupby(COLUMNS, dropna=False, sort=False, observed=True)["top1"]
    table = groups.agg(draws="size", draw_mean="mean", draw_low="min", draw_high="max").reset_index()
    return typed(table)


def methods(table: pd.DataFrame, seed: int, draw: int) -> pd.DataFrame:
    """METHOD: each network at one seed and draw, with the standard deviation of each noise (fractions; NaN where fewer
    than FEWEST are stored). seed_sd is of means over draws."""
    wide = _wide(table, "top1")
    made = []
    for network in wide.columns:
        own = wide[network].dropna()
        if (seed, draw) not in own.index:
            continue
        here = table[is_of(table, network) & table["seed"].eq(seed) & table["draw"].eq(draw)].iloc[0]
        of_draws, of_seeds = own.xs(seed, level="seed"), own.groupby("seed").mean()
        top1, images = own[seed, draw], here["n_eval"]
        values = [
            top1,
            here["top1_low"],
            here["top1_high"],
            images,
            np.sqrt(top1 * (1 - top1) / images),
            len(of_draws),
            of_draws.mean(),
            _sd(of_draws),
        ]
        made.append([*network.columns.values(), *values, len(of_seeds), _sd(of_seeds)])
    return pd.DataFrame(made, columns=METHOD)


def _wide(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """(seed, draw) x network."""
    keyed = table.assign(network=networks(table).astype(object))
    wide = keyed.pivot(index=["seed", "draw"], columns="network", values=name)
    return wide[list(dict.fromkeys(keyed["network"]))].astype(float).sort_index()


def _sd(values: Any) -> float:
    return float(np.std(values, ddof=1)) if len(values) >= FEWEST else float("nan")


def differences(store: Store, table: pd.DataFrame, seed: int, draw: int) -> pd.DataFrame:
    """DIFFERENCE: each pair of networks that is stored at one seed and draw, first minus second (fractions).

    images_*: McNemar at that seed and draw; *_word of draws and seeds: a t-test of the differences over them (paired:
    both on the same network and images), UNMEASURED with fewer than FEWEST. All three are corrected by Holm together,
    for all pairs. *_needed: how many in all would tell the two apart at the difference found.
    """
    here = table[table["seed"].eq(seed) & table["draw"].eq(draw)]
    here = here.sort_values("top1", ascending=False, kind="stable")  # so that no difference here is negative
    right = dict(zip(networks(here).astype(object), results.right_in(store, here), strict=True))
    wide, found = _wide(table, "top1")[list(right)], compare(right).drop(columns=["p", "word"])
    if found.empty:
        return found.reindex(columns=DIFFERENCE)
    gaps = [(wide[row.first] - wide[row.second]).dropna() for row in found.itertuples()]
    over = {"draw": [gap.xs(seed, level="seed") for gap in gaps], "seed": [gap.groupby("seed").mean() for gap in gaps]}
    p = {"images": [_mcnemar(row) for row in found.itertuples()]}
    p |= {name: [_t_test(values) for values in over[name]] for name in over}
    tests = int(np.isfinite([*p.values()]).sum())
    each = zip(found.itertuples(), over["draw"], over["seed"], strict=True)
    told = [_pair(row, draws, seeds, tests) for row, draws, seeds in each]
    made = found.join(pd.DataFrame(told, index=found.index))
    corrected = np.split(holm(np.concatenate([*p.values()])), len(p))
    for name, mean, values in zip(p, ("gain", "draw_mean", "seed_mean"), corrected, strict=True):
        made[f"{name}_word"] = [word(gain, one) for gain, one in zip(made[mean], values, strict=True)]
    return made.reindex(columns=DIFFERENCE)


def _mcnemar(row: Any) -> float:
    """p-value before its correction; NaN where the images are not kept."""
    return mcnemar(int(row.only_first), int(row.only_second)) if np.isfinite(row.n) else float("nan")


def _pair(row: Any, of_draws: pd.Series, of_seeds: pd.Series, tests: int) -> dict[str, Any]:
    """What draws and seeds say of one pair, with so many tests in all."""
    told: dict[str, Any] = {}
    for name, values in (("draw", of_draws), ("seed", of_seeds)):
        count, mean, deviation = len(values), float(values.mean()), _sd(values)
        told |= {f"{name}s": count, f"{name}_mean": mean, f"{name}_sd": deviation}
        told[f"{name}s_needed"] = settled(mean, deviation, tests)
    told["draws_ahead"] = int((of_draws > 0).sum())
    known = np.isfinite(row.n)
    both, apart = (row.only_first + row.only_second) / row.n, (row.only_first - row.only_second) / row.n
    told["images_sd"] = float(np.sqrt(max(both - apart**2, 0) / row.n)) if known else float("nan")
    shares = row.only_first, row.only_second, row.n
    return told | {"images_needed": settled_images(*shares, tests) if known else float("nan")}


def _t_test(values: pd.Series) -> float:
    """p-value that the mean of differences is 0; NaN for fewer than FEWEST; 1 where all are 0."""
    if len(values) < FEWEST:
        return float("nan")
    spread = values.std(ddof=1)
    if spread < 1e-12:
        return 1.0 if abs(values.mean()) < 1e-12 else 0.0
    from scipy.special import stdtr

    return float(2 * stdtr(len(values) - 1, -abs(values.mean()) / (spread / np.sqrt(len(values)))))
