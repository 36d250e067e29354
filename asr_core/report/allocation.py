"""Where rules leave the weights of one network, as text and as plain objects: python -m asr_core allocate."""

import json
from typing import Any

import pandas as pd
from tabulate import tabulate

from asr_core.pipeline.allocations import Allocation
from asr_core.pipeline.plan import READING
from asr_core.studies import densities

MEASURES = {
    "rr": "RR = D_res / D_raw: the share of a layer's local damage that variance matching leaves, by trial sparsity "
    f"({READING})",
    "d_raw": "D_raw: squared damage of pruning one layer alone, over the variance of its dense outputs",
    "d_res": "D_res: the same after channelwise variance matching",
}


def protected(found: Allocation) -> pd.DataFrame:
    """What each rule keeps (nearly) dense: `densities.protected`."""
    table = found.densities.assign(pruning=found.densities["rule"])
    return densities.protected(densities.densities(table, table["sparsity"].iloc[0]))


def as_json(found: Allocation) -> dict[str, Any]:
    """Plain objects; what is undefined is null."""
    tables = {
        "densities": found.densities,
        "repairability": found.repairability,
        "protected": protected(found),
    }
    plain = {name: json.loads(table.to_json(orient="records")) for name, table in tables.items()}
    return {"spec": found.spec.as_dict(), "dense_id": found.dense_id, "rr_is": READING, **plain}


def text(found: Allocation) -> str:
    """What `asr_core allocate` prints: densities by rule, repairability by trial sparsity, and what each rule keeps
    dense."""
    spec = found.spec
    rows = [(row.rule, row.layers, f"{row.share:.1%}", row.names) for row in protected(found).itertuples()]
    parts = [
        f"{spec.model.architecture} on {spec.data.dataset}, dense {found.dense_id[:8]}: "
        f"share of each layer's weights kept at {found.densities['sparsity'].iloc[0]:.4g} sparsity, in percent",
        _densities(found.densities),
        f"rr: densities in proportion to RR, {READING}",
        *(f"{what}\n\n{_by_trial(found.repairability, name)}" for name, what in MEASURES.items()),
        f"kept dense (density of at least {densities.DENSE:g})",
        tabulate(rows, headers=("rule", "layers", "of the kept weights", "which")),
    ]
    return "\n\n".join(parts)


def _densities(table: pd.DataFrame) -> str:
    """Layers as rows, rules as columns, and the whole network below."""
    rules, layers = (list(dict.fromkeys(table[column])) for column in ("rule", "layer"))
    density = (100 * table["kept"] / table["weights"]).groupby([table["layer"], table["rule"]]).first().unstack()
    whole = table.groupby("rule")[["kept", "weights"]].sum()
    rows = [(layer, *density.loc[layer, rules]) for layer in layers]
    rows.append(("all", *(100 * whole["kept"] / whole["weights"])[rules]))
    return tabulate(rows, headers=("layer", *rules), floatfmt=".3f")


def _by_trial(table: pd.DataFrame, name: str) -> str:
    """One measure of repairability: layers as rows, trial sparsities as columns."""
    wide = table.pivot(index="layer", columns="sparsity", values=name).loc[table["layer"].unique()]
    rows = [
        (layer, *("undefined" if value != value else f"{value:.4g}" for value in values))
        for layer, values in zip(wide.index, wide.to_numpy(), strict=True)
    ]
    return tabulate(
        rows,
        headers=("layer", *(f"{sparsity:g}" for sparsity in wide.columns)),
        disable_numparse=True,
        stralign="right",
        colalign=("left",),
    )
