"""What is stored, as choices: settings, the stored results of each, the nearest one. Imports no torch."""

import warnings
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from asr_core import registry
from asr_core.errors import AsrError, SpecError
from asr_core.fields import Field
from asr_core.spec.experiment import Setting, from_dict, setting_fields
from asr_core.spec.model import ModelSpec
from asr_core.spec.repairs import KIND
from asr_core.store import Store


@dataclass(frozen=True)
class Stored:
    """One stored result: its key, setting, dense identity, readable facts, accuracy rows, and when it was finished
    (UTC)."""

    key: str
    setting: Setting
    dense_id: str
    facts: dict
    rows: int
    finished: str


def stored(store: Store) -> list[Stored]:
    """All stored results of settings that this version knows, each once: shipped first, then oldest first."""
    found = (_stored(store, manifest) for manifest in {m["key"]: m for m in store.manifests("result")}.values())
    return [item for item in found if item is not None]


def _stored(store: Store, manifest: dict) -> Stored | None:
    """None, with a warning, where the setting is of another version: a rule, method or field that is unknown here."""
    facts = manifest["facts"]["setting"]
    try:
        spec = from_dict(manifest["spec"])
        for repair in spec.repairs:
            registry.get(KIND, repair.method)
        setting = spec.setting
        if setting != Setting.from_facts(facts):
            raise SpecError("its facts are of another setting than its spec")
    except (AsrError, KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        store.leave_out("result", manifest["key"], f"this version does not know its setting ({error})")
        return None
    rows = manifest["files"]["accuracy.parquet"]["rows"]
    return Stored(manifest["key"], setting, facts["dense_id"], facts, rows, manifest["finished"])


def network(everything: list[Stored], architecture: str) -> ModelSpec | None:
    """The network of that name that was stored last, with what it said of itself; None where none is."""
    models = [item.setting.model for item in everything if item.setting.model.architecture == architecture]
    return models[-1] if models else None


def damage(store: Store, setting: Setting) -> str | None:
    """What is wrong with a stored result of `setting` that was found to be damaged; None where none was."""
    for manifest, reason in store.left_out.of("result"):
        with suppress(AsrError, KeyError, TypeError, ValueError, AttributeError):
            if from_dict(manifest["spec"]).setting == setting:
                return reason
    return None


def verify(store: Store) -> list[str]:
    """`Store.verify`, and a line per result of a setting that this version does not know."""
    store.verify()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # said by what is returned
        stored(store)
    return store.left_out.lines()


def covering(everything: list[Stored], setting: Setting, dense_id: str | None = None) -> list[Stored]:
    """Stored results of exactly `setting`, most rows first, then newest; of one dense identity only (None: any)."""
    found = [item for item in everything if item.setting == setting and dense_id in (None, item.dense_id)]
    same = [item for item in found if item.dense_id == found[0].dense_id]
    return sorted(same, key=lambda item: (item.rows, item.finished), reverse=True)


def identities(everything: list[Stored], setting: Setting) -> list[str]:
    """Dense identities of which something is stored with the dense network of `setting`, first stored first."""
    wanted = setting.data, setting.model, setting.dense
    alike = (item for item in everything if (item.setting.data, item.setting.model, item.setting.dense) == wanted)
    return list(dict.fromkeys(item.dense_id for item in alike))


def keys_of(items: Iterable[Stored]) -> tuple[str, ...]:
    """Keys of results of one setting, most rows first."""
    return tuple(item.key for item in sorted(items, key=lambda item: item.rows, reverse=True))


def nearest(everything: list[Stored], wanted: Setting) -> Stored | None:
    """The stored result that agrees with `wanted` in the coarsest groups; None if nothing is stored."""
    return min(everything, key=lambda item: _distance(wanted, item.setting), default=None)


@lru_cache(maxsize=4096)
def groups(setting: Setting) -> tuple[dict[str, Any], ...]:
    """Flat values in groups from coarse to fine: images, architecture, the rest of the network such as its stem, dense
    network, rule, sparsity, calibration, test images."""
    prune, model = setting.prune.values(), setting.model.values()
    architecture: dict[str, Any] = {"architecture": model.pop("architecture")}
    sparsity: dict[str, Any] = {name: prune.pop(name) for name in ("sparsity", "keep_n", "group_m") if name in prune}
    return (
        setting.data.values(),
        architecture,
        model,
        setting.dense.values(),
        prune,
        sparsity,
        setting.calibration.values(),
        setting.evaluation.values(),
    )


def _distance(wanted: Setting, setting: Setting) -> tuple:
    """Lexicographic: how many values of each group differ, coarse to fine; then how far numbers are."""
    differ, far = [], 0.0
    for mine, theirs in zip(groups(wanted), groups(setting), strict=True):
        names = mine.keys() | theirs.keys()
        differ.append(sum(mine.get(name) != theirs.get(name) for name in names))
        pairs = [(mine.get(name), theirs.get(name)) for name in names]
        far += sum(abs(a - b) for a, b in pairs if isinstance(a, float) and isinstance(b, float))
    return (*differ, far)


def differences(wanted: Setting, setting: Setting) -> list[str]:
    """Field by field, how `setting` differs from `wanted`: ['sparsity 97 % → 95 %']."""
    known, mine, theirs = setting_fields(), wanted.values(), setting.values()
    changed = [name for name in known if mine.get(name) != theirs.get(name) and not known[name].derived]
    words = [
        f"{known[name].label.lower()} {_said(known[name], mine, name)} → {_said(known[name], theirs, name)}"
        for name in changed
    ]
    return words or (["other images or weights"] if mine != theirs else [])


def _said(field: Field | Any, values: dict, name: str) -> str:
    return field.said(values[name]) if name in values else "none"


def stored_values(everything: list[Stored], wanted: Setting, name: str) -> list:
    """Values of the field `name` at which something is stored that agrees with `wanted` in all coarser fields,
    sorted."""
    place = next((i for i, group in enumerate(groups(wanted)) if name in group), None)
    if place is None:
        return []
    alike = [groups(item.setting) for item in everything]
    mine = groups(wanted)
    held = mine[place] | {name: None}
    found = {
        theirs[place][name]
        for theirs in alike
        if theirs[:place] == mine[:place] and name in theirs[place] and theirs[place] | {name: None} == held
    }
    return sorted(found, key=lambda value: (value is None, value if isinstance(value, int | float) else str(value)))
