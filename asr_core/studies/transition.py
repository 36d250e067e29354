"""One dense network pruned by several rules at several budgets: accuracies, the band, and which rule wins. No torch.

All tables come from stored results of one dense network that differ in rule and sparsity alone. A rule is known in
words (column rule: `LAMP`, `N:M 2:4`) and by its registered name (column pruning).
"""

from collections.abc import Hashable
from functools import lru_cache
from itertools import combinations
from typing import Any

import pandas as pd

from asr_core.measure.statistics import AHEAD, EQUAL, LEVEL, UNMEASURED, compare
from asr_core.spec.digests import canonical
from asr_core.spec.experiment import Setting
from asr_core.spec.parts import PruneSpec
from asr_core.spec.recalibration import NO_STATE, BatchNormState
from asr_core.spec.repairs import BN_ONLY, COLUMNS, DENSE, NO_REPAIR, RepairSpec
from asr_core.store import Store, catalogue, results
from asr_core.store.catalogue import Stored
from asr_core.store.entries import Entry
from asr_core.store.tables import networks, rows_of
from asr_core.studies import ablation, paired

RULES = ("global_l1", "uniform", "erk", "lamp", "rr", "n_m")  # their order in figures and tables
BUDGETS = (0.9, 0.94, 0.95, 0.955, 0.97)  # around the published transition (94 to 95.5 %)
FAILS = 0.05  # BatchNorm recalibration alone fails where it lies that much (fraction) under the dense network
WHERE = ["rule", "pruning", "sparsity", "achieved"]
MEASURED = ["batches", "top1", "top1_low", "top1_high", "n_eval", "key", "stored_row", "images"]
BAND_RULE = (
    f"Sparsities at which BN only lies at least {100 * FAILS:g} points under the dense network and the repair is ahead "
    "of BN only in the same BatchNorm state (McNemar on the same test images, corrected by Holm for all rules and "
    "sparsities drawn); it need not come near the dense network. A sparsity that is not stored ends a band."
)
VERDICT_RULE = (
    "The rule with the highest accuracy against every other one that is stored: McNemar on the same test images, "
    f"corrected by Holm for all pairs of this table; {AHEAD} where p < {LEVEL:g}, else the two {EQUAL}. One seed of "
    "one network is tested: another network may order the rules differently."
)
IN, OUT, ABSENT = "in", "out", "not stored"  # of a sparsity and a rule: whether it lies in the band
VERDICT = [
    *("sparsity", "rule", "top1", "second", "gain", "p", "word", "ahead_of_all", "level", "unmeasured", "rules"),
    *("n_eval", "pairs"),
]


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

    Both: rule, pruning, sparsity (asked), achieved. Accuracy rows: those of results, and key, stored_row (by which
    `results.right_in` finds the images), images (which test images). Conv rows: the conv index with kept and weights.
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


def stored_repairs(rows: pd.DataFrame, state: BatchNormState) -> dict[RepairSpec, int]:
    """Of each repair with factors: for how many rules and sparsities of `read`'s rows it is stored in `state`."""
    here = ablation.rows_in(rows, state)
    each = here.assign(network=networks(here)).drop_duplicates(["rule", "sparsity", "network"])["network"]
    return {repair: int(count) for repair, count in each.value_counts().items() if repair.order}


def _accuracies(entries: list[Entry]) -> pd.DataFrame:
    """Accuracy rows of one setting, each repair and state once."""
    tables = [results.placed(entry.table("accuracy"), entry) for entry in entries]
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
    top1, top1_low, top1_high, n_eval, and what finds its images.

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


def judged(store: Store, table: pd.DataFrame) -> pd.DataFrame:
    """An `accuracy` table with `inside`, of its rule and sparsity, by BAND_RULE: IN, OUT, ABSENT (the dense network, BN
    only or the repair is not stored) or UNMEASURED (not of the same images).

    Tests of the repair against BN only are corrected for all rules and sparsities of the table.
    """
    wide = {role: rows.set_index(["rule", "sparsity"]) for role, rows in table.groupby("role")}
    places = list(dict.fromkeys(zip(table["rule"], table["sparsity"], strict=True)))
    whole = [
        p for p in places if all(role in wide and p in wide[role].index for role in ("dense", "bn_only", "repair"))
    ]
    rows = {role: wide[role].loc[whole] for role in ("dense", "bn_only", "repair")} if whole else {}
    said = dict.fromkeys(places, ABSENT)
    if whole:
        repair, alone = rows["repair"], rows["bn_only"]
        same = (repair["images"] == alone["images"]).to_numpy()
        right = [
            [own if ok else None for own, ok in zip(results.right_in(store, part), same, strict=True)]
            for part in (repair, alone)
        ]
        words = paired.against(repair, alone, *right)["word"]
        fails = rows["dense"]["top1"] - alone["top1"] >= FAILS - 1e-9  # as printed, not as binary
        said |= {place: _inside(*told) for place, *told in zip(whole, words, fails, strict=True)}
    return table.assign(inside=[said[place] for place in zip(table["rule"], table["sparsity"], strict=True)])


def _inside(word: str, fails: bool) -> str:
    if not fails:
        return OUT
    return word if word == UNMEASURED else IN if word == AHEAD else OUT


def runs(rows: pd.DataFrame, grid: list[float]) -> list[tuple[float, float]]:
    """(first, last) sparsity of each run of neighbours on `grid` at which one rule of a `judged` table is IN: what is
    not stored ends a run."""
    said = rows.drop_duplicates("sparsity").set_index("sparsity")["inside"]
    found: list[tuple[float, float]] = []
    before = False
    for sparsity in grid:
        here = said.get(sparsity) == IN
        if here:
            found = [*found[:-1], (found[-1][0], sparsity)] if before else [*found, (sparsity, sparsity)]
        before = here
    return found


def verdict(store: Store, table: pd.DataFrame) -> pd.DataFrame:
    """One row per sparsity that at least two rules share in an `accuracy` table, by VERDICT_RULE, in role `repair`.

    sparsity, rule (the highest), top1, second, gain (over the second, fraction), p and word (against it), ahead_of_all,
    level and unmeasured (rules that may be equal, and that have no same images), rules (how many), n_eval, pairs.
    """
    rows = table[table["role"] == "repair"].sort_values("top1", ascending=False, kind="stable").reset_index(drop=True)
    groups = [list(at.itertuples()) for _, at in rows.groupby("sparsity") if len(at) > 1]
    right = dict(enumerate(results.right_in(store, rows)))
    pairs = [(a.Index, b.Index) for group in groups for a, b in combinations(group, 2) if a.images == b.images]
    found = compare(right, pairs)
    told = {(row.first, row.second): row for row in found.itertuples()}
    count = int(found["p"].notna().sum())
    return pd.DataFrame([_verdict(group, told) | {"pairs": count} for group in groups], columns=VERDICT)


def _verdict(ranked: list[Any], told: dict) -> dict[str, Any]:
    best, second = ranked[:2]
    words = {row.rule: _word_of(told.get((best.Index, row.Index))) for row in ranked[1:]}
    beside = told.get((best.Index, second.Index))
    return {
        "sparsity": best.sparsity,
        "rule": best.rule,
        "top1": best.top1,
        "second": second.rule,
        "gain": best.top1 - second.top1,
        "p": float("nan") if beside is None else beside.p,
        "word": words[second.rule],
        "ahead_of_all": set(words.values()) == {AHEAD},
        "level": [rule for rule, word in words.items() if word == EQUAL],
        "unmeasured": [rule for rule, word in words.items() if word == UNMEASURED],
        "rules": len(ranked),
        "n_eval": best.n_eval,
    }


def _word_of(pair: Any) -> str:
    return UNMEASURED if pair is None else pair.word
