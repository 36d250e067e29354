"""Stored results of several rules and sparsities, with made-up correctness per image and kept weights per layer."""

import numpy as np
import pandas as pd
from fake_results import TESTS, fake_result

from asr_core.measure.statistics import wilson
from asr_core.pipeline import allocations
from asr_core.spec.experiment import ExperimentSpec, Setting
from asr_core.spec.recalibration import NO_STATE, REPORTED_STATE
from asr_core.spec.repairs import BN_ONLY, RepairSpec
from asr_core.store import Store, results
from asr_core.store.results import Result
from asr_core.store.tables import networks

LAYERS = {"conv1": 8, "layer1.0.conv1": 8, "layer2.0.conv1": 8, "layer2.0.downsample.0": 8}
WEIGHTS = {"conv1": 200, "layer1.0.conv1": 1000, "layer2.0.conv1": 2000, "layer2.0.downsample.0": 100}
ASR = RepairSpec.of("asr_bn", "simultaneous", False)
STATE = REPORTED_STATE  # ema 0.1 from reset, b = 20
STATES = (NO_STATE, STATE)


def store_run(store: Store, pruning="global_l1", sparsity=0.95, right=None, kept=None, bits=True, **setting) -> Result:
    """Store a result of BN only and ASR. right: images answered correctly by network, or by (network, batches);
    who has
    more of 1,000 right is right on all images of the others, so that McNemar's p is 2^(1 - difference). kept: weights
    by layer. bits: whether correctness per image is stored."""
    entry = fake_result(
        Store(store.root / "made"),
        pruning=pruning,
        sparsity=sparsity,
        **{"layers": LAYERS, "repairs": (BN_ONLY, ASR), "states": STATES} | setting,
    )
    tables = {name: entry.table(name) for name in results.TABLES}
    rows = tables["accuracy"]
    counts = [_count(network, row, right or {}) for network, row in zip(networks(rows), rows.itertuples(), strict=True)]
    low, high = np.array([wilson(count, TESTS) for count in counts]).T
    tables["accuracy"] = rows.assign(top1=np.array(counts) / TESTS, top1_low=low, top1_high=high)
    tables["convs"] = _convs(tables["convs"], kept or {}, sparsity or 0.5)
    files = {f"{name}.parquet": table for name, table in tables.items()}
    if bits:
        correct = np.arange(TESTS) < np.array(counts)[:, None]
        files["correct.npz"] = {"bits": np.packbits(correct, axis=1), "n": np.array(TESTS)}
    key = entry.manifest["key"]
    store.put("result", key, files, entry.manifest["facts"], entry.manifest["spec"])
    return results.open_results(store, (key,))


def _count(network: RepairSpec, row, right: dict) -> int:
    return right.get((network, row.calib_batches), right.get(network, round(TESTS * row.top1)))


def _convs(table, kept: dict, sparsity: float):
    weights = table["layer"].map(WEIGHTS)
    remaining = table["layer"].map(kept).fillna((1 - sparsity) * weights).round().astype(int)
    kernel = ["1x1" if "downsample" in layer else "3x3" for layer in table["layer"]]
    return table.assign(
        weights=weights,
        kept=remaining,
        achieved=1 - remaining / weights,
        kernel=kernel,
        out_channels=8,
        in_channels=8,
        stride="1x1",
        groups=1,
        has_bias=False,
    )


def store_repairability(store: Store, setting: Setting, dense_id: str, undefined=()) -> None:
    """Store RR of each layer: 0.25 in the first, doubling from layer to layer, and half of it at the least sparsity;
    NaN in `undefined`."""
    task = allocations.task_of(ExperimentSpec.of_setting(setting, (), STATES), dense_id)
    rows = [
        {
            "layer": layer,
            "sparsity": sparsity,
            "d_raw": 0.8 * sparsity,
            "rr": float("nan") if layer in undefined else rr,
        }
        for depth, layer in enumerate(LAYERS)
        for sparsity in task.sparsities
        for rr in [0.25 * 2**depth / (2 if sparsity == min(task.sparsities) else 1)]
    ]
    layers = pd.DataFrame(rows).assign(d_res=lambda table: table["rr"] * table["d_raw"])
    channels = layers.assign(channel=0)
    store.put("repairability", task.key, {"layers.parquet": layers, "channels.parquet": channels}, {})
