"""Which stored setting is shown to who learns, by one rule, and numbers of it that lessons ask for. No torch."""

from collections.abc import Iterable

import pandas as pd

from asr_core.measure.diagnostics import FLOOR
from asr_core.spec.recalibration import NO_STATE
from asr_core.spec.repairs import BN_ONLY, ORDERS, RepairSpec
from asr_core.store import Store, catalogue, results
from asr_core.store.catalogue import Stored
from asr_core.store.results import Result
from asr_core.store.tables import networks, rows_of, with_network
from asr_core.studies import ablation

RULE = (
    "Chosen by a rule: of the stored settings of global L1 with all channels and all four methods, the one whose "
    "severity is nearest to one half."
)
METHODS = ("lw_bn", "raw_bn", "asr_bn")
ONE, EACH, SHRUNK = (RepairSpec.of(method, "simultaneous", False) for method in METHODS)
REPAIRS = (ONE, EACH, SHRUNK)
ALL = (
    BN_ONLY,
    *(RepairSpec.of(method, order, bias) for method in METHODS for order in ORDERS for bias in (False, True)),
)


def chosen(store: Store, everything: list[Stored]) -> list[Stored]:
    """The stored results of the setting that RULE names, most rows first; empty if there is none."""
    for item in sorted(filter(_plain, everything), key=lambda item: abs(item.facts["severity"] - 0.5)):
        found = catalogue.covering(everything, item.setting, item.dense_id)
        if _whole(store, found):
            return found
    return []


def _plain(item: Stored) -> bool:
    """Convs pruned by global L1 alone, with a severity."""
    prune, severity = item.setting.prune, item.facts.get("severity")
    known = isinstance(severity, float) and severity == severity
    return known and prune.pruning == "global_l1" and not prune.parameters["include_linear"]


def _whole(store: Store, found: list[Stored]) -> bool:
    """Whether the channels and all four methods in both orders are stored."""
    entries = results.entries(store, [item.key for item in found])
    if not any(entry.has("channels.parquet") for entry in entries):
        return False
    have = set(networks(pd.concat([entry.table("accuracy") for entry in entries])).unique())
    return have.issuperset(ALL)


def siblings(everything: list[Stored], like: Stored) -> dict[float, tuple[str, ...]]:
    """Keys of the stored settings that differ from `like` in their sparsity only, by sparsity."""
    found = {}
    for item in filter(_plain, everything):
        same = {**item.setting.values(), "sparsity": None} == {**like.setting.values(), "sparsity": None}
        if same and item.dense_id == like.dense_id:
            keys = catalogue.keys_of(catalogue.covering(everything, item.setting, item.dense_id))
            found[item.setting.prune.parameters["sparsity"]] = keys
    return dict(sorted(found.items()))


def repaired_layers(result: Result) -> pd.DataFrame:
    """What pruning did to each layer that is repaired, all but the first conv; index: layer."""
    layers = result.layers[result.layers["depth"] > 0]
    return layers.drop_duplicates("layer").set_index("layer")


def contrasting_layer(result: Result) -> str:
    """The repaired layer whose channels are damaged most unevenly: where one number per layer misses most.

    Only of layers with at least eight channels in which shrinkage is at work: with a prior at the floor its factors are
    1 throughout. The first conv is not repaired.
    """
    layers, shrunk = repaired_layers(result), rows_of(result.repairs, SHRUNK)
    at_work = layers[~layers.index.isin(shrunk.loc[shrunk["fallback"].eq(True), "layer"])]
    layers = at_work if len(at_work) else layers
    wide = layers[layers["channels"] - layers["dead"] >= 8]
    spread = (wide if len(wide) else layers)["within_spread"].fillna(-1)
    return str(spread.idxmax())


def ratios(result: Result, repairs: Iterable[RepairSpec] = REPAIRS) -> pd.DataFrame:
    """Per repair and channel that is live when dense and pruned, in repaired layers.

    COLUMNS, layer, depth, channel, v_dense, before (v_pruned / v_dense), predicted (γ² v_pruned / v_dense), measured
    (v_repaired / v_dense, nothing recalibrated).
    """
    base = result.channels[["layer", "depth", "channel", "v_dense", "v_pruned"]]
    base = base[(base["v_dense"] > FLOOR) & (base["v_pruned"] > FLOOR) & (base["depth"] > 0)]
    base = base.assign(before=base["v_pruned"] / base["v_dense"])
    parts = []
    for repair in repairs:
        own = rows_of(result.repairs, repair)[["layer", "channel", "gamma", "v_repaired"]]
        rows = base.merge(own.astype({"layer": object}), on=["layer", "channel"])
        rows = rows.assign(predicted=rows["gamma"] ** 2 * rows["before"], measured=rows["v_repaired"] / rows["v_dense"])
        parts.append(with_network(rows.drop(columns=["v_repaired", "v_pruned"]), repair))
    return pd.concat(parts, ignore_index=True)


def forgotten(result: Result) -> int:
    """The largest stored number of batches of a plain mean (cumulative), 0 if there is none."""
    rows = result.accuracy[result.accuracy["averaging"].eq("cumulative").fillna(False).astype(bool)]
    return int(rows["calib_batches"].max()) if len(rows) else 0


def top1(result: Result, repair: RepairSpec, state=NO_STATE) -> float:
    """Accuracy of a repair in a BatchNorm state, NaN where it is not stored."""
    rows = ablation.rows_in(rows_of(result.accuracy, repair), state)
    return float(rows["top1"].iloc[0]) if len(rows) else float("nan")
