"""Stored stages put together as the tables of a result: all of them at the end, those there are while a job runs."""

from typing import Any

import numpy as np
import pandas as pd

from asr_core.images import data
from asr_core.measure import diagnostics
from asr_core.pipeline import plan
from asr_core.spec.experiment import ExperimentSpec
from asr_core.spec.keys import Keys, recipe_key
from asr_core.spec.recalibration import NO_STATE, REPORTED_STATE, BatchNormState
from asr_core.spec.repairs import BN_ONLY, COLUMNS, DENSE, NO_REPAIR, RepairSpec
from asr_core.store import Store, answers
from asr_core.store.entries import Entry
from asr_core.store.results import ROW_FIELDS, TABLES, Result, dense_ids, read
from asr_core.store.tables import halved, networks, typed, with_network

MOMENT_STATES = {"repaired": NO_STATE, "recalibrated": REPORTED_STATE}  # when a repair's statistics are taken
FACTOR_FIELDS = ("gamma", "gamma_raw", "shrinkage", "prior_var", "b_new", "alive", "fallback")
CONFIDENCE = ("confidence", "ece", "temperature", "ece_tempered")
Arrays = dict[str, np.ndarray]
Measured = dict[tuple[RepairSpec, str], Entry]


def accuracy_row(
    spec: ExperimentSpec, dense_id: str, entry: Entry, network: RepairSpec, state: BatchNormState, train_images: int
) -> dict:
    """One row of the accuracy table: ROW_FIELDS."""
    images = state.calib_batches * spec.calibration.calib_batch_size
    return network.columns | {
        "prior": network.parameters.get("prior"),
        "start": state.start,
        "averaging": state.averaging,
        "momentum": state.momentum,
        "calib_batches": state.calib_batches,
        "pseudo_count": state.pseudo_count,
        "draw": spec.calibration.draw,
        "stat_images": spec.calibration.stat_images if network.order else None,
        "distinct_images": min(images, train_images) if images else None,
        "dense_id": dense_id,
        "top1": entry["top1"],
        "top1_low": entry["top1_low"],
        "top1_high": entry["top1_high"],
        "n_eval": entry["n_eval"],
    }


def accuracy_table(
    spec: ExperimentSpec, store: Store, dense_id: str, train_images: int
) -> tuple[pd.DataFrame, list[Arrays]]:
    """(rows stored so far, what is stored of each row by image): dense, dense recalibrated, no_repair,
    then each repair x state.

    Beside ROW_FIELDS: logit_gap, the largest absolute difference of the kept logits to BN only
    in the same BatchNorm state (NaN where BN only is not there): 0 where both are the same function;
    and CONFIDENCE, the facts of `asr_core.measure.confidence`.
    """
    keys, rows, kept, outputs = Keys(spec, dense_id), [], [], {}
    recalibrated = [state for state in spec.states if state.calib_batches]
    wanted = [(DENSE, state) for state in (NO_STATE, *recalibrated)] + [(NO_REPAIR, NO_STATE)]
    wanted += [(repair, state) for repair in spec.repairs for state in spec.states]
    for network, state in wanted:
        if entry := store.find("evaluation", keys.evaluation(network, state)):
            arrays = entry.arrays("predictions")
            outputs[network, state] = arrays["logits"]
            rows.append(accuracy_row(spec, dense_id, entry, network, state, train_images))
            rows[-1]["logit_gap"] = _gap(arrays["logits"], outputs.get((BN_ONLY, state)))
            rows[-1] |= {name: entry[name] for name in CONFIDENCE}
            kept.append(arrays)
    table = pd.DataFrame(rows, columns=[*ROW_FIELDS, "logit_gap", *CONFIDENCE])
    types = {"stat_images": "Int64", "distinct_images": "Int64", "pseudo_count": "Int64", "momentum": "Float64"}
    return typed(table).astype(types), kept


def _gap(logits: np.ndarray, reference: np.ndarray | None) -> float:
    return float("nan") if reference is None else float(np.abs(logits - reference).max())


def channels_table(store: Store, keys: Keys) -> pd.DataFrame | None:
    """layer, depth, channel, mu_dense, v_dense, mu_pruned, v_pruned, kept_fraction, kept_energy.

    None until both statistics are stored.
    """
    dense = store.find("stats", keys.stats(DENSE, NO_STATE))
    pruned = store.find("stats", keys.stats(NO_REPAIR, NO_STATE))
    if not (dense and pruned):
        return None
    table = dense.table("channels").rename(columns={"mean": "mu_dense", "variance": "v_dense"})
    pruned = pruned.table("channels").rename(columns={"mean": "mu_pruned", "variance": "v_pruned"})
    table = table.merge(pruned, on=["layer", "channel"], validate="1:1")
    table.insert(1, "depth", table.groupby("layer", sort=False).ngroup())
    kept = plan.stored(store, "prune", keys.prune).table("kept")
    return table.merge(kept, on=["layer", "channel"], how="left", validate="1:1")


def measured(spec: ExperimentSpec, store: Store, keys: Keys) -> Measured:
    """(repair, `repaired` | `recalibrated`) -> the stored channel statistics of each repair, so far."""
    known = [r for r in spec.repairs if r.order is None or store.find("repair", keys.network(r))]
    found = {
        (repair, name): store.find("stats", keys.stats(repair, state))
        for repair in known
        for name, state in MOMENT_STATES.items()
    }
    return {which: entry for which, entry in found.items() if entry}


def repairs_table(spec: ExperimentSpec, store: Store, keys: Keys, found: Measured) -> pd.DataFrame | None:
    """Per repair and channel: factors, mu/v `repaired` (before) and `recalibrated` (REPORTED_STATE).

    `found`: see `measured`. Repairs that are not measured yet are left out; None if all are.
    """
    done = [repair for repair in spec.repairs if (repair, "repaired") in found]
    if not done:
        return None
    table = pd.concat([with_network(_repair_rows(store, keys, r, found), r) for r in done], ignore_index=True)
    names = list(MOMENT_STATES)[: 2 if spec.max_batches >= REPORTED_STATE.calib_batches else 1]
    columns = [*COLUMNS, "layer", "channel", *(f"{moment}_{name}" for name in names for moment in ("mu", "v"))]
    columns += FACTOR_FIELDS if any(repair.order for repair in spec.repairs) else ()
    return table.reindex(columns=list(dict.fromkeys([*columns, *table.columns])))


def _repair_rows(store: Store, keys: Keys, repair: RepairSpec, found: Measured) -> pd.DataFrame:
    table = pd.DataFrame()
    for name in (name for name in MOMENT_STATES if (repair, name) in found):
        moments = found[repair, name].table("channels").rename(columns={"mean": f"mu_{name}", "variance": f"v_{name}"})
        table = moments if table.empty else table.merge(moments, on=["layer", "channel"], validate="1:1")
    if repair.order:
        factors = plan.stored(store, "repair", keys.network(repair)).table("factors")
        table = table.merge(factors, on=["layer", "channel"], how="left", validate="1:1")
    return table


def layers_table(channels: pd.DataFrame, repairs: pd.DataFrame | None, found: Measured) -> pd.DataFrame:
    """diagnostics.layer_damage and layer_repair per network, state (`repaired` | `recalibrated`) and layer."""
    rows = [
        NO_REPAIR.columns
        | {"state": "repaired", "layer": layer}
        | diagnostics.layer_repair(g["v_dense"], g["v_pruned"])
        for layer, g in channels.groupby("layer", sort=False)
    ]
    if repairs is not None:
        joined = repairs.merge(channels[["layer", "channel", "v_dense"]], on=["layer", "channel"], validate="m:1")
        rows += [
            repair.columns
            | {"state": state, "layer": layer}
            | diagnostics.layer_repair(group["v_dense"], group[f"v_{state}"])
            for (repair, layer), group in joined.groupby([networks(joined), "layer"], sort=False)
            for state in MOMENT_STATES
            if (repair, state) in found
        ]
    return typed(pd.DataFrame(rows)).merge(diagnostics.layer_damage(channels), on="layer", validate="m:1")


def convs_table(store: Store, keys: Keys, channels: pd.DataFrame) -> pd.DataFrame:
    """The conv index in execution order, with kept, asked, achieved and skipped per layer."""
    entry = plan.stored(store, "prune", keys.prune)
    index = entry.table("convs").drop(columns=["depth", "weights"])
    depth = channels[["layer", "depth"]].drop_duplicates()
    table = depth.merge(index, on="layer", validate="1:1")
    return table.merge(entry.table("layers"), on="layer", how="left", validate="1:1").sort_values("depth")


def setting_of(spec: ExperimentSpec, dense_id: str, store: Store, label: str) -> dict:
    """Everything that made a result, readable: specs, labels, asked and achieved sparsity."""
    recalibrated = REPORTED_STATE if spec.max_batches >= REPORTED_STATE.calib_batches else None
    return {
        "dataset_label": label,
        "dense_id": dense_id,
        **spec.facts(),
        "sparsity_asked": spec.prune.chosen.asked(spec.prune.parameters),
        "sparsity_achieved": plan.stored(store, "prune", Keys(spec, dense_id).prune)["achieved"],
        "recalibrated_state": recalibrated.canonical() if recalibrated else None,
    }


def assemble(
    spec: ExperimentSpec, store: Store, dense_id: str, train_images: int, label: str
) -> tuple[Result, list[Arrays]]:
    """(the tables that stored stages can tell, what is stored of each accuracy row by image)."""
    keys = Keys(spec, dense_id)
    accuracy, kept = accuracy_table(spec, store, dense_id, train_images)
    setting: Any = None
    channels = repairs = layers = alphas = convs = None
    if store.find("prune", keys.prune):
        setting, channels = setting_of(spec, dense_id, store, label), channels_table(store, keys)
    if channels is not None:
        found = measured(spec, store, keys)
        repairs = repairs_table(spec, store, keys, found)
        layers = layers_table(channels, repairs, found)
        alphas, convs = diagnostics.summarise_alphas(layers), convs_table(store, keys, channels)
        setting |= diagnostics.network_damage(channels)
    return Result(setting, accuracy if len(accuracy) else None, channels, repairs, layers, alphas, convs), kept


def partial(spec: ExperimentSpec, store: Store) -> Result:
    """What can be told while a job runs: tables with the columns of the finished ones, None where nothing is known
    yet."""
    for dense_id in dense_ids(store, spec, with_weights=True):
        return assemble(spec, store, dense_id, data.counts(spec.data, store)[0], data.label(spec.data, store))[0]
    nothing: dict[str, Any] = dict.fromkeys(("setting", *TABLES))
    return Result(**nothing)


def publish(spec: ExperimentSpec, store: Store, dense_id: str, dataset, seconds: float) -> Result:
    """Assemble the result of `spec` from its stored stages and store it; raises Gone where one went meanwhile."""
    counts = len(dataset.train_labels), len(dataset.test_labels)
    found, kept = assemble(spec, store, dense_id, counts[0], dataset.label)
    for task in plan.missing(spec, store, dense_id, *counts):  # what is not there now may be no row above
        plan.stored(store, task.stage, task.key)
    facts = {
        "setting": found.setting,
        "recipe": recipe_key(spec),
        "image_passes": plan.count_images(plan.tasks(spec, dense_id, *counts)).to_dict("records"),
    }
    files = {f"{name}.parquet": getattr(found, name) for name in TABLES}
    files["repairs.parquet"] = halved(found.repairs)
    indices = dataset.eval_indices(spec.evaluation.eval_images, spec.evaluation.subset)
    files["correct.npz"] = answers.packed(kept, dataset.test_labels[indices], spec.data.classes)
    return read(store.put("result", Keys(spec, dense_id).result, files, facts, spec.as_dict(), seconds))
