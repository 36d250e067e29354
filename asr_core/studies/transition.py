"""One dense network pruned by several rules at several budgets: accuracies, the band, and which rule wins. No torch.

All tables come from stored results of one dense network that differ in rule and sparsity alone. A rule is known in
words (column rule: `LAMP`, `N:M 2:4`) and by its registered name (column pruning).
"""

from collections.abc import Hashable
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from asr_core.measure.intervals import mcnemar
from asr_core.spec.experiment import Setting
from asr_core.spec.keys import canonical
from asr_core.spec.parts import PruneSpec
from asr_core.spec.recalibration import NO_STATE, BatchNormState
from asr_core.spec.repairs import BN_ONLY, COLUMNS, DENSE, NO_REPAIR, RepairSpec
from asr_core.store import Store, catalogue, results
from asr_core.store.catalogue import Stored
from asr_core.store.entries import Entry
from asr_core.store.tables import rows_of
from asr_core.studies import ablation

RULES = ("global_l1", "uniform", "erk", "lamp", "rr", "n_m")  # their order in figures and tables
BUDGETS = (0.9, 0.94, 0.95, 0.955, 0.97)  # around the published transition (94 to 95.5 %)
FAILS = 0.05  # BatchNorm recalibration alone fails where it lies that much (fraction) under the dense network
LEVEL = 0.05  # McNemar's p-value under which a difference is more than noise
WHERE = ["rule", "pruning", "sparsity", "achieved"]
MEASURED = ["batches", "top1", "top1_low", "top1_high", "n_eval", "key", "row", "images"]
BAND_RULE = (
    f"From the first to the last stored sparsity at which BN only lies at least {100 * FAILS:g} points under the dense "
    "network and the repair beats BN only in the same BatchNorm state (McNemar's exact test on the same test images, "
    f"p < {LEVEL:g}); it need not come near the dense network."
)
VERDICT_RULE = (
    "The rule with the highest accuracy against the next one and every other: within noise where McNemar's exact test "
    f"on the same test images gives p ≥ {LEVEL:g}. Tests are not corrected for their number, and one seed of one "
    "network is tested."
)


def words(prune: PruneSpec) -> str:
    """A rule in words, without its sparsity: 'LAMP', 'N:M 2:4'."""
    chosen = prune.chosen
    return f"{chosen.label} {chosen.title(prune.parameters)}" if chosen.titled else chosen.label


def place(pruning: str) -> tuple[int, str]:
    """By which registered names sort as RULES order them, later ones by name."""
    return (RULES.index(pruning) if pruning in RULES else len(RULES)), pruning


def in_order(table: pd.DataFrame) -> list[str]:
    """The rules of a table, as RULES order them."""
    rules = table[["rule", "pruning"]].drop_duplicates().itertuples(index=False)
    return [row.rule for row in sorted(rules, key=lambda row: (place(row.pruning), row.rule))]


def shared(setting: Setting) -> Hashable:
    """What settings have in common that differ in rule and sparsity only: all else that is not at its default."""
    rule, usual = setting.prune.chosen, setting.prune.chosen.defaults()
    own = ("sparsity", *rule.titled)
    kept = {(n, v) for n, v in setting.prune.parameters.items() if n not in own and v != usual[n]}
    return setting.data, setting.model, setting.dense, setting.calibration, setting.evaluation, frozenset(kept)


def compared(stored: list[Stored]) -> list[Stored]:
    """The first stored result of each dense network and `shared` of which several rules with a sparsity are stored."""
    by: dict[Hashable, list[Stored]] = {}
    for item in stored:
        if "sparsity" in item.setting.prune.parameters:
            by.setdefault((shared(item.setting), item.dense_id), []).append(item)
    return [items[0] for items in by.values() if len({item.setting.prune.pruning for item in items}) > 1]


def groups(stored: list[Stored], setting: Setting, dense_id: str) -> tuple[tuple[str, ...], ...]:
    """Keys of the stored results of one dense network that share everything with `setting` but rule and sparsity: one
    tuple per rule and sparsity, most rows first."""
    by: dict[Setting, list[Stored]] = {}
    for item in stored:
        if item.dense_id == dense_id and shared(item.setting) == shared(setting):
            by.setdefault(item.setting, []).append(item)
    return tuple(map(catalogue.keys_of, by.values()))


@lru_cache(maxsize=8)  # entries never change under their keys
def read(store: Store, grouped: tuple[tuple[str, ...], ...]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(accuracy rows, conv rows) of all results of `groups`, in order of rule and sparsity; both are shared: never
    change them.

    Both: rule, pruning, sparsity (asked), achieved. Accuracy rows: those of results, and key, row (place in the stored
    table, by which `paired` finds the images), images (which test images). Conv rows: the conv index with kept and
    weights.
    """
    rows, convs = [], []
    for keys in grouped:
        if entries := results.entries(store, keys):
            facts = entries[0]["setting"]
            prune = PruneSpec.of(**facts["prune"])
            where = {
                "rule": words(prune),
                "pruning": prune.pruning,
                "sparsity": round(facts["sparsity_asked"], 6),
                "achieved": facts["sparsity_achieved"],
            }
            rows.append(_accuracies(entries).assign(**where, images=canonical(facts["evaluation"])))
            convs.append(entries[0].table("convs").assign(**where))
    return _joined(rows), _joined(convs)


def _accuracies(entries: list[Entry]) -> pd.DataFrame:
    """Accuracy rows of one setting, each repair and state once."""
    tables = [
        entry.table("accuracy").assign(key=entry.manifest["key"]).rename_axis("row").reset_index() for entry in entries
    ]
    return pd.concat(tables, ignore_index=True).drop_duplicates(results.UNIQUE["accuracy"])


def _joined(parts: list[pd.DataFrame]) -> pd.DataFrame:
    if not parts:
        return pd.DataFrame(columns=WHERE)
    table = pd.concat(parts, ignore_index=True)
    order = table.assign(place=table["rule"].map(in_order(table).index))
    sorted_ = order.sort_values(["place", "sparsity"], kind="stable", ignore_index=True)
    return sorted_.drop(columns="place")


def accuracy(rows: pd.DataFrame, repair: RepairSpec, state: BatchNormState) -> pd.DataFrame:
    """One row per rule, sparsity and role: rule, pruning, sparsity (asked), achieved, role, the network's columns,
    batches,
    top1, top1_low, top1_high, n_eval, and what `paired` needs.

    Roles: `dense`, `no_repair`; `bn_only` and `repair` in BatchNorm `state`; `repair_alone`: `repair` without
    recalibration, where `state` has some.
    """
    none, now = ablation.rows_in(rows, NO_STATE), ablation.rows_in(rows, state)
    parts = {
        "dense": rows_of(none, DENSE),
        "no_repair": rows_of(none, NO_REPAIR),
        "bn_only": rows_of(now, BN_ONLY),
        "repair": rows_of(now, repair),
        "repair_alone": rows_of(none, repair) if state.calib_batches else none.iloc[:0],
    }
    found = [part.assign(role=role) for role, part in parts.items() if len(part)]
    columns = [*WHERE, "role", *COLUMNS, *MEASURED]
    table = pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=columns)
    return table.rename(columns={"calib_batches": "batches"})[columns]


@lru_cache(maxsize=64)
def _correct(store: Store, key: str) -> np.ndarray | Any:
    """Correctness per accuracy row and test image of a stored result, None where it is not kept."""
    entry = results.entry_of(store, key)
    if entry is None or not entry.has("correct.npz"):
        return None
    arrays = entry.arrays("correct")
    return np.unpackbits(arrays["bits"], axis=1, count=int(arrays["n"])).astype(bool)


def paired(store: Store, first: Any, second: Any) -> float:
    """McNemar's p-value of two rows of an `accuracy` table; NaN where they are not of the same images, or not kept
    per image."""
    bits = [_correct(store, row.key) for row in (first, second)]
    if first.images != second.images or any(found is None for found in bits) or bits[0].shape[1] != bits[1].shape[1]:
        return float("nan")
    return mcnemar(bits[0][first.row], bits[1][second.row])


def band(store: Store, table: pd.DataFrame, rule: str) -> tuple[float, float] | None:
    """(first, last) sparsity of the band of `rule` in an `accuracy` table, by BAND_RULE; None if there is none."""
    mine = table[table["rule"] == rule].sort_values("sparsity")
    by = {role: {row.sparsity: row for row in rows.itertuples()} for role, rows in mine.groupby("role")}
    dense, plain, repair = (by.get(role, {}) for role in ("dense", "bn_only", "repair"))
    fails = [
        s for s, row in plain.items() if s in dense and dense[s].top1 - row.top1 >= FAILS - 1e-9
    ]  # as printed, not as binary
    held = [s for s in fails if s in repair and _beats(store, repair[s], plain[s])]
    return (held[0], held[-1]) if held else None


def _beats(store: Store, one: Any, other: Any) -> bool:
    return one.top1 > other.top1 and paired(store, one, other) < LEVEL


def verdict(store: Store, table: pd.DataFrame) -> pd.DataFrame:
    """One row per sparsity that at least two rules share in an `accuracy` table, by VERDICT_RULE, in role `repair`.

    sparsity, rule (the best), top1, second, gain (over the second, fraction), p (against it, NaN: not the same images),
    level (rules within noise of the best, or not told apart for want of the same images), rules (how many), n_eval.
    """
    rows = table[table["role"] == "repair"].sort_values("top1", ascending=False, kind="stable")
    found = [
        _verdict(store, sparsity, list(at.itertuples())) for sparsity, at in rows.groupby("sparsity") if len(at) > 1
    ]
    return pd.DataFrame(found, columns=["sparsity", "rule", "top1", "second", "gain", "p", "level", "rules", "n_eval"])


def _verdict(store: Store, sparsity: float, ranked: list[Any]) -> dict[str, Any]:
    best, second = ranked[:2]
    against = {row.rule: paired(store, best, row) for row in ranked[1:]}
    return {
        "sparsity": sparsity,
        "rule": best.rule,
        "top1": best.top1,
        "second": second.rule,
        "gain": best.top1 - second.top1,
        "p": against[second.rule],
        "level": [rule for rule, p in against.items() if not p < LEVEL],
        "rules": len(ranked),
        "n_eval": best.n_eval,
    }
