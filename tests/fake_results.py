"""Stored results with made-up numbers but true shapes and keys: pages and figures are tested on them in
milliseconds."""

import numpy as np
import pandas as pd

from asr_core.measure import diagnostics
from asr_core.measure.statistics import wilson
from asr_core.pipeline import assembly
from asr_core.spec.experiment import ExperimentSpec, Setting
from asr_core.spec.keys import Keys, recipe_key
from asr_core.spec.recalibration import NO_STATE, REPORTED_STATE, default_states
from asr_core.spec.repairs import DENSE, METHODS, NO_REPAIR, RepairSpec
from asr_core.spec.repairs import repairs as default_repairs
from asr_core.store import Store
from asr_core.store.entries import Entry
from asr_core.store.tables import typed, with_network

LAYERS = {"conv1": 16, "layer1.0.conv1": 16, "layer1.0.conv2": 24, "layer2.0.conv1": 32, "layer2.0.conv2": 32}
TESTS = 1000


def fake_result(
    store: Store, layers=None, repairs=None, states=None, dead=0.1, spread=0.6, dense_id=None, **values
) -> Entry:
    """A stored result of Setting.of(**values): `dead` share of dead channels in the last layer, `spread` of ln
    gamma_raw.

    dense_id: of the dense network; another one for each seed if it is not given. In a folder, `digest` and `classes`.
    """
    spec = ExperimentSpec.of_setting(
        Setting.of(**values),
        default_repairs() if repairs is None else repairs,
        default_states() if states is None else states,
    )
    dense_id = dense_id or f"{spec.dense.seed:016x}"
    sparsity = spec.prune.parameters.get("sparsity", 0.5)
    random = np.random.default_rng([spec.dense.seed, round(1e4 * sparsity), spec.calibration.stat_images])
    channels = fake_channels(layers or LAYERS, sparsity, dead, spread, random)
    repaired = pd.concat([fake_repair(channels, repair, random) for repair in spec.repairs], ignore_index=True)
    measured = {(repair, state) for repair in spec.repairs for state in ("repaired", "recalibrated")}
    table = assembly.layers_table(channels, repaired, measured)
    facts = spec.facts() | {
        "dataset_label": f"{spec.data.dataset} (made up)",
        "dense_id": dense_id,
        "sparsity_asked": sparsity,
        "sparsity_achieved": sparsity,
        "recalibrated_state": REPORTED_STATE.canonical(),
    }
    tables = {
        "accuracy": fake_accuracy(spec, dense_id, sparsity, random),
        "channels": channels,
        "repairs": repaired,
        "layers": table,
        "alphas": diagnostics.summarise_alphas(table),
        "convs": fake_convs(channels, sparsity),
    }
    files = {f"{name}.parquet": value for name, value in tables.items()} | {"correct.npz": right(tables["accuracy"])}
    stored = {"setting": facts | diagnostics.network_damage(channels), "recipe": recipe_key(spec), "image_passes": []}
    return store.put("result", Keys(spec, dense_id).result, files, stored, spec.as_dict(), 1.0)


def right(accuracy: pd.DataFrame) -> dict:
    """correct.npz of an accuracy table: who has more of TESTS images right is right on all images of the others, so
    that McNemar's p is 2^(1 - difference)."""
    counts = (TESTS * accuracy["top1"].to_numpy(float)).round()
    return {"bits": np.packbits(np.arange(TESTS) < counts[:, None], axis=1), "n": np.array(TESTS)}


def fake_channels(layers: dict, sparsity: float, dead: float, spread: float, random) -> pd.DataFrame:
    """Variances that shrink with depth and differ between channels."""
    parts = []
    for depth, (layer, count) in enumerate(layers.items()):
        v_dense = random.lognormal(-1, 1.2, count)
        gone = np.exp(
            -2 * sparsity**3 * (0.3 + 1.5 * depth / max(1, len(layers) - 1))
            + spread * (depth > 0) * random.normal(size=count)
        )
        v_pruned = np.where(
            (random.random(count) < dead) & (depth == len(layers) - 1), 0.0, v_dense * np.minimum(gone, 1.5)
        )
        kept = np.clip(1 - sparsity + 0.1 * random.normal(size=count), 0.001, 1)
        parts.append(
            pd.DataFrame(
                {
                    "layer": layer,
                    "depth": depth,
                    "channel": np.arange(count),
                    "mu_dense": random.normal(size=count),
                    "v_dense": v_dense,
                    "mu_pruned": random.normal(size=count),
                    "v_pruned": v_pruned,
                    "kept_fraction": kept,
                    "kept_energy": np.sqrt(kept),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def fake_repair(channels: pd.DataFrame, repair, random) -> pd.DataFrame:
    """Factors of eq. 1, 4 or 7, and variances that overshoot with depth where statistics are stale."""
    table = channels[["layer", "channel"]].copy()
    v, dense = channels["v_pruned"], channels["v_dense"]
    raw = np.sqrt(dense / (v + 1e-8)).where(v > 1e-12, 1.0)
    layer = channels.groupby("layer", sort=False)
    shrinkage = v / (v + layer["v_pruned"].transform("median") + 1e-12)
    lw = np.sqrt(layer["v_dense"].transform("mean") / layer["v_pruned"].transform("mean"))
    gamma = {"lw_bn": lw, "raw_bn": raw, "asr_bn": 1 + shrinkage * (raw - 1)}.get(
        repair.method, pd.Series(1.0, channels.index)
    )
    gamma = gamma.where(channels["depth"] > 0, 1.0)
    stale = np.exp(0.3 * channels["depth"] * (repair.order == "simultaneous"))
    noise = np.exp(0.1 * random.normal(size=len(v)))
    table["mu_repaired"], table["v_repaired"] = channels["mu_pruned"], gamma**2 * v * stale * noise
    table["mu_recalibrated"], table["v_recalibrated"] = channels["mu_pruned"], dense * noise
    if repair.order:
        told = gamma if repair.scales else float("nan")  # new weights are no factors
        table = table.assign(
            gamma=told, gamma_raw=raw, shrinkage=shrinkage, prior_var=0.1, b_new=0.0, alive=v > 1e-12, fallback=False
        )
    return with_network(table, repair)


def fake_accuracy(spec: ExperimentSpec, dense_id: str, sparsity: float, random) -> pd.DataFrame:
    """Accuracies that rise with the budget, more slowly from reset."""
    cost = sparsity**6
    rows = [
        _row(spec, dense_id, DENSE, NO_STATE, 0.93),
        *(_row(spec, dense_id, DENSE, s, 0.9 - 0.3 * 0.9**s.calib_batches) for s in spec.states if s.calib_batches),
        _row(spec, dense_id, NO_REPAIR, NO_STATE, 0.93 - 0.8 * cost),
    ]
    for repair in spec.repairs:
        own = 0.02 * METHODS.index(repair.method) if repair.method in METHODS else 0.0
        for state in spec.states:
            slow = (0.8 if state.start != "keep" else 0.3) * (1 - 10 * own)
            top1 = 0.93 - 0.2 * cost - cost * _left(state) * slow + 0.003 * random.normal()
            rows.append(_row(spec, dense_id, repair, state, float(np.clip(top1, 0.05, 1))))
    types = {"stat_images": "Int64", "distinct_images": "Int64", "pseudo_count": "Int64", "momentum": "Float64"}
    return typed(pd.DataFrame(rows)).astype(types)


def _left(state) -> float:
    """What is lost in a state, as a share."""
    if state.averaging == "ema":
        return (1 - (state.momentum or 1)) ** state.calib_batches
    return 0.0 if state.calib_batches else 0.6


def _row(spec: ExperimentSpec, dense_id: str, network: RepairSpec, state, top1: float) -> dict:
    correct = round(TESTS * top1)
    low, high = wilson(correct, TESTS)
    entry = {"top1": correct / TESTS, "top1_low": low, "top1_high": high, "n_eval": TESTS}
    return assembly.accuracy_row(spec, dense_id, entry, network, state, 1437) | {"logit_gap": 0.0}


def fake_convs(channels: pd.DataFrame, sparsity: float) -> pd.DataFrame:
    """The conv index of `channels`."""
    table = channels.groupby(["layer", "depth"], as_index=False, sort=False).size().rename(columns={"size": "weights"})
    return table.assign(absorbed="yes", reason="", kept=1, asked=sparsity, achieved=sparsity, skipped="")
