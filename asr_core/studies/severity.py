"""Gain of one method over another against the damage, over all stored settings. No torch."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd

from asr_core.spec.experiment import Setting
from asr_core.spec.recalibration import BatchNormState
from asr_core.spec.repairs import RepairSpec
from asr_core.store import Store, catalogue, results, tables
from asr_core.store.catalogue import Stored
from asr_core.store.entries import Entry
from asr_core.studies import ablation, paired

GAINS = {"asr_lw": ("asr_bn", "lw_bn"), "asr_bn": ("asr_bn", "bn_only"), "bn_lw": ("bn_only", "lw_bn")}
FACTS = ("severity", "overshoot", "within_share", "sparsity_asked", "dead", "channels")


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
    """Accuracy rows of all settings: `point` (number of the setting), `label`, `architecture`, the columns of the
    accuracy table with key and stored_row (see `results.right_in`), FACTS. Shared: never change it.

    Results that are gone are left out. Only accuracy tables are read.
    """
    parts = []
    for point, keys in enumerate(grouped):
        if entries := results.entries(store, keys):
            rows = pd.concat([_placed(entry) for entry in entries], ignore_index=True)
            facts = entries[0]["setting"]
            said = {"label": _label(facts), "architecture": facts["model"]["architecture"]}
            parts.append(rows.assign(point=point, **said, **{name: facts.get(name) for name in FACTS}))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _placed(entry: Entry) -> pd.DataFrame:
    return _read(str(entry.folder))


@lru_cache(maxsize=2048)  # one of some kilobytes for each result, so that a new one is all that is read
def _read(folder: str) -> pd.DataFrame:
    entry = Entry(Path(folder))
    return results.placed(entry.table("accuracy"), entry)


def _label(facts: dict) -> str:
    """'resnet18 · CIFAR-10 · global L1 90 % · seed 0'."""
    setting = Setting.from_facts(facts)
    named = setting.model.words, facts["dataset_label"], setting.prune.words, f"seed {setting.dense.seed}"
    return " · ".join(named)


@lru_cache(maxsize=64)  # so that sessions share it
def gains(
    store: Store,
    grouped: tuple[tuple[str, ...], ...],
    gain: str,
    order: str,
    bias: bool,
    prior: str,
    state: BatchNormState,
) -> pd.DataFrame:
    """One row per setting that holds both methods: FACTS, network (dense identity), n_eval, paired.COMPARED (gain as a
    fraction, on the same images; corrected for the number of settings). Shared: never change it."""
    columns = ["point", "key", "label", "architecture", "network", *FACTS, *paired.COMPARED, "n_eval"]
    if (rows := accuracies(store, grouped)).empty:
        return pd.DataFrame(columns=columns)
    repairs = [_repair(method, order, bias, prior) for method in GAINS[gain]]
    better, worse = (rows_of(rows, repair, state).set_index("point") for repair in repairs)
    points = better.index.intersection(worse.index)
    better, worse = better.loc[points].reset_index(), worse.loc[points].reset_index()
    found = paired.against(better, worse, results.right_in(store, better), results.right_in(store, worse))
    return found.rename(columns={"dense_id": "network"})[columns]


def _repair(method: str, order: str, bias: bool, prior: str) -> RepairSpec:
    given = {"prior": prior} if method == "asr_bn" else {}
    return RepairSpec.of(method, order, bias, **given)


def rows_of(rows: pd.DataFrame, repair: RepairSpec, state: BatchNormState) -> pd.DataFrame:
    """Rows of one repair in one BatchNorm state, one per setting."""
    return ablation.rows_in(tables.rows_of(rows, repair), state).drop_duplicates("point")
