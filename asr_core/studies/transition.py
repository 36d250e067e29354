"""One dense network pruned by several rules at several budgets: densities, accuracies, and which rule wins. No torch.

All tables come from stored results of one dense network that differ in rule and sparsity alone. A rule is known by
its name; an N:M rule by its name and pattern (`n_m 2:4`).
"""

from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pandas as pd

from asr_core import registry
from asr_core.measure.intervals import mcnemar
from asr_core.spec.experiment import canonical
from asr_core.spec.grid import BatchNormState
from asr_core.store import Store, catalogue, results
from asr_core.studies import ablation

RULES = ("global_l1", "uniform", "erk", "lamp", "rr", "n_m")  # their order in figures and tables
BUDGETS = (0.9, 0.94, 0.95, 0.955, 0.97)  # around the published transition (94 to 95.5 %)
FAILS = 0.05  # BatchNorm recalibration alone fails where it lies that much (fraction) under the dense network
LEVEL = 0.05  # McNemar's p-value under which a difference is more than noise
DENSE = 0.99  # density from which on a layer counts as protected
SHORTCUTS = ("downsample", "shortcut")  # parts of the name of a conv that projects a residual block's input
KINDS = ("first", "projection", "1x1", "other")
BAND_RULE = (
    f"From the first to the last stored sparsity at which BN only lies at least {100 * FAILS:g} points under the dense network and the repair "
    f"beats BN only in the same BatchNorm state (McNemar's exact test on the same test images, p < {LEVEL:g}); it need not come near the dense network."
)
VERDICT_RULE = (
    f"The rule with the highest accuracy against the next one and every other: within noise where McNemar's exact test on the same test images "
    f"gives p ≥ {LEVEL:g}. Tests are not corrected for their number, and one seed of one network is tested."
)


def label_of(rule: str) -> str:
    """A rule in words, N:M with its pattern."""
    name, _, pattern = rule.partition(" ")
    return f"{registry.get('pruning rule', name).label} {pattern}".strip()


def in_order(rules: Iterable[str]) -> list[str]:
    """Rules as RULES orders them, later ones by name."""

    def place(rule):
        name = rule.split()[0]
        return (RULES.index(name) if name in RULES else len(RULES)), rule

    return sorted(set(rules), key=place)


def shared(setting: catalogue.Setting) -> catalogue.Setting:
    """What settings have in common that differ in rule and sparsity only: `setting` without both."""
    return replace(setting, rule="", sparsity=None, nm=None)


def compared(stored: list[catalogue.Stored]) -> dict[catalogue.Setting, catalogue.Stored]:
    """`shared` -> its first stored result, where several rules with a sparsity are stored."""
    by: dict = {}
    for item in stored:
        if item.setting.sparsity is not None:
            by.setdefault(shared(item.setting), []).append(item)
    return {common: items[0] for common, items in by.items() if len({item.setting.rule for item in items}) > 1}


def groups(stored: list[catalogue.Stored], setting: catalogue.Setting) -> tuple[tuple[str, ...], ...]:
    """Keys of the stored results that share everything with `setting` but rule and sparsity: one tuple per rule and
    sparsity, most rows first. `setting` names its dense network."""
    by: dict = {}
    for item in stored:
        if shared(item.setting) == shared(setting):
            by.setdefault(item.setting, []).append(item)
    return tuple(map(catalogue.keys_of, by.values()))


@lru_cache(maxsize=8)  # entries never change under their keys
def read(root: str, grouped: tuple[tuple[str, ...], ...]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(accuracy rows, conv rows) of all results of `groups`, in order of rule and sparsity; both are shared: never change them.

    Both: rule, sparsity (asked), achieved. Accuracy rows: those of results, and key, row (place in the stored table,
    by which `paired` finds the images), images (which test images). Conv rows: the conv index with kept and weights.
    """
    store, rows, convs = Store(root), [], []
    for keys in grouped:
        entries = results.entries(store, keys)
        if entries:
            facts = entries[0]["setting"]
            where = {
                "rule": _rule(facts["prune"]),
                "sparsity": round(facts["sparsity_asked"], 6),
                "achieved": facts["sparsity_achieved"],
            }
            rows.append(_accuracies(entries).assign(**where, images=canonical(facts["evaluation"])))
            convs.append(entries[0].table("convs").assign(**where))
    return _joined(rows), _joined(convs)


def _rule(prune: dict) -> str:
    return f"{prune['rule']} {prune['keep_n']}:{prune['group_m']}" if "keep_n" in prune else prune["rule"]


def _accuracies(entries: list) -> pd.DataFrame:
    """Accuracy rows of one setting, each repair and state once."""
    tables = [
        entry.table("accuracy").assign(key=entry.manifest["key"]).rename_axis("row").reset_index() for entry in entries
    ]
    return pd.concat(tables, ignore_index=True).drop_duplicates(results.UNIQUE["accuracy"])


def _joined(parts: list[pd.DataFrame]) -> pd.DataFrame:
    if not parts:
        return pd.DataFrame(columns=["rule", "sparsity"])
    table = pd.concat(parts, ignore_index=True)
    place = table["rule"].map(in_order(table["rule"]).index)
    return (
        table.assign(place=place)
        .sort_values(["place", "sparsity"], kind="stable", ignore_index=True)
        .drop(columns="place")
    )


def densities(convs: pd.DataFrame, sparsity: float) -> pd.DataFrame:
    """One row per rule and conv at one budget: rule, layer, depth, kind (of KINDS), density = kept / weights, kept,
    weights, share (of all weights that the rule keeps in convs)."""
    rows = convs[np.isclose(convs["sparsity"].astype(float), sparsity, atol=1e-6)]
    if rows.empty:
        return pd.DataFrame(columns=["rule", "layer", "depth", "kind", "density", "kept", "weights", "share"])
    whole = rows.groupby("rule")["kept"].transform("sum").clip(lower=1)
    kind = [kind_of(row.layer, row.depth, row.kernel) for row in rows.itertuples()]
    table = rows.assign(kind=kind, density=rows["kept"] / rows["weights"], share=rows["kept"] / whole)
    return table[["rule", "layer", "depth", "kind", "density", "kept", "weights", "share"]].reset_index(drop=True)


def kind_of(layer: str, depth: int, kernel: str) -> str:
    """`first` conv, `projection` (1x1 conv on a residual block's shortcut), other `1x1` conv, or `other`."""
    if depth == 0:
        return "first"
    if kernel != "1x1":
        return "other"
    return "projection" if any(word in layer for word in SHORTCUTS) else "1x1"


def protected(table: pd.DataFrame) -> pd.DataFrame:
    """What each rule of a `densities` table keeps (nearly) dense, density >= DENSE: rule, layers (how many), each of
    KINDS (how many), names, share (of the weights that the rule keeps)."""
    rows = []
    for rule, layers in table.groupby("rule", sort=False):
        kept = layers[layers["density"] >= DENSE]
        counts = {kind: int((kept["kind"] == kind).sum()) for kind in KINDS}
        rows.append(
            {
                "rule": rule,
                "layers": len(kept),
                **counts,
                "names": ", ".join(kept["layer"]),
                "share": kept["share"].sum(),
            }
        )
    return pd.DataFrame(rows, columns=["rule", "layers", *KINDS, "names", "share"])


def projections(table: pd.DataFrame) -> pd.DataFrame:
    """The projections of a `densities` table by rule: rule, density and share (of the rule's kept weights), over all of them."""
    found = table[table["kind"] == "projection"].groupby("rule", sort=False)[["kept", "weights", "share"]].sum()
    return found.assign(density=found["kept"] / found["weights"]).reset_index()[["rule", "density", "share"]]


def over_protects(table: pd.DataFrame, rule: str = "erk") -> bool | None:
    """Whether `rule` keeps a larger fraction of the projections' weights than each other rule of a `densities` table.

    None where it cannot be told: no projection, `rule` or no other rule is there.
    """
    found = projections(table).set_index("rule")["density"]
    if rule not in found or len(found) < 2:
        return None
    return bool((found[rule] > found.drop(rule)).all())


def accuracy(rows: pd.DataFrame, slug: str, state: BatchNormState) -> pd.DataFrame:
    """One row per rule, sparsity and role: rule, sparsity (asked), achieved, role, slug, batches, top1, top1_low, top1_high,
    n_eval, and what `paired` needs.

    Roles: `dense`, `no_repair`; `bn_only` and `repair` (`slug`) in BatchNorm `state`; `repair_alone`: `slug` without
    recalibration, where `state` has some.
    """
    none, now = ablation.rows_in(rows, BatchNormState()), ablation.rows_in(rows, state)
    parts = {
        "dense": none[none["slug"] == "dense"],
        "no_repair": none[none["slug"] == "no_repair"],
        "bn_only": now[now["slug"] == "bn_only"],
        "repair": now[now["slug"] == slug],
        "repair_alone": none[(none["slug"] == slug) & bool(state.batches)],
    }
    found = [part.assign(role=role) for role, part in parts.items() if len(part)]
    columns = [
        "rule",
        "sparsity",
        "achieved",
        "role",
        "slug",
        "calib_batches",
        "top1",
        "top1_low",
        "top1_high",
        "n_eval",
        "key",
        "row",
        "images",
    ]
    table = pd.concat(found, ignore_index=True)[columns] if found else pd.DataFrame(columns=columns)
    return table.rename(columns={"calib_batches": "batches"})


@lru_cache(maxsize=64)
def _correct(root: str, key: str) -> np.ndarray | None:
    """Correctness per accuracy row and test image of a stored result, None where it is not kept."""
    entry = results.entry_of(Store(root), key)
    if entry is None or not entry.has("correct.npz"):
        return None
    arrays = entry.arrays("correct")
    return np.unpackbits(arrays["bits"], axis=1, count=int(arrays["n"])).astype(bool)


def paired(root: str, first, second) -> float:
    """McNemar's p-value of two rows of an `accuracy` table; NaN where they are not of the same images, or not kept per image."""
    bits = [_correct(root, row.key) for row in (first, second)]
    if first.images != second.images or any(found is None for found in bits) or bits[0].shape[1] != bits[1].shape[1]:
        return float("nan")
    return mcnemar(bits[0][first.row], bits[1][second.row])


def band(root: str, table: pd.DataFrame, rule: str) -> tuple[float, float] | None:
    """(first, last) sparsity of the band of `rule` in an `accuracy` table, by BAND_RULE; None if there is none."""
    mine = table[table["rule"] == rule].sort_values("sparsity")
    by = {role: {row.sparsity: row for row in rows.itertuples()} for role, rows in mine.groupby("role")}
    dense, plain, repair = (by.get(role, {}) for role in ("dense", "bn_only", "repair"))
    fails = [
        s for s, row in plain.items() if s in dense and dense[s].top1 - row.top1 >= FAILS - 1e-9
    ]  # as printed, not as binary
    held = [s for s in fails if s in repair and _beats(root, repair[s], plain[s])]
    return (held[0], held[-1]) if held else None


def _beats(root: str, one, other) -> bool:
    return one.top1 > other.top1 and paired(root, one, other) < LEVEL


def verdict(root: str, table: pd.DataFrame) -> pd.DataFrame:
    """One row per sparsity that at least two rules share in an `accuracy` table, by VERDICT_RULE, in role `repair`.

    sparsity, rule (the best), top1, second, gain (over the second, fraction), p (against it, NaN: not the same images),
    level (rules within noise of the best, or not told apart for want of the same images), rules (how many), n_eval.
    """
    rows = table[table["role"] == "repair"].sort_values("top1", ascending=False, kind="stable")
    found = [
        _verdict(root, sparsity, list(at.itertuples())) for sparsity, at in rows.groupby("sparsity") if len(at) > 1
    ]
    return pd.DataFrame(found, columns=["sparsity", "rule", "top1", "second", "gain", "p", "level", "rules", "n_eval"])


def _verdict(root: str, sparsity: float, ranked: list) -> dict:
    best, second = ranked[:2]
    against = {row.rule: paired(root, best, row) for row in ranked[1:]}
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
