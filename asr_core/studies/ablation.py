"""The paper's ablation (table 2) and the surface of granularity x prior: which repairs, and their accuracies. No
torch."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pandas as pd

from asr_core.spec.recalibration import BatchNormState
from asr_core.spec.repairs import COLUMNS, ORDERS, RepairSpec
from asr_core.store.tables import networks, typed

PAPER = Path(__file__).parent / "paper"
GROUP_SIZES = (1, 4, 16, 64, 0)  # channels that share a factor; 0: all of the layer
MEASURED = ("top1", "top1_low", "top1_high", "n_eval")
PLACE = ["group_size", "prior", "scale"]
PRIORS = (("median", 0.0), ("median", 0.1), ("median", 1.0), ("median", 10.0), ("mean", 1.0))


@cache
def published(name: str) -> pd.DataFrame:
    """A table of numbers as the paper prints them: 'table1', 'table2', 'table3' or 'severity'; never change it."""
    return pd.read_csv(PAPER / f"{name}.csv")


def table2_repairs(order: str = "simultaneous") -> dict[str, RepairSpec]:
    """The rows of table 2 by the paper's names. Only the rows named 'bias correction' have it on."""
    return {
        "BN only": RepairSpec.of("bn_only"),
        "Layer-wise + BN": RepairSpec.of("lw_bn", order, False),
        "Channel-wise raw + BN": RepairSpec.of("raw_bn", order, False),
        "ASR, fixed prior": RepairSpec.of("asr_bn", order, False, prior="fixed"),
        "ASR, median prior": RepairSpec.of("asr_bn", order, False, prior="median"),
        "ASR, mean prior + bias correction": RepairSpec.of("asr_bn", order, True, prior="mean"),
        "ASR, median prior + bias correction": RepairSpec.of("asr_bn", order, True, prior="median"),
    }


@dataclass(frozen=True)
class Cell:
    """A point of the surface: its repair, and the paper's method that it equals (None: none)."""

    group_size: int
    prior: str
    scale: float
    repair: RepairSpec
    named: RepairSpec | None


def surface(order: str, bias: bool) -> list[Cell]:
    """All points of the surface for one order and bias setting."""
    return [_cell(size, prior, scale, order, bias) for size in GROUP_SIZES for prior, scale in PRIORS]


def _cell(size: int, prior: str, scale: float, order: str, bias: bool) -> Cell:
    repair = RepairSpec.of("grouped_bn", order, bias, group_size=size, prior=prior, prior_scale=scale)
    return Cell(size, prior, scale, repair, _named(size, prior, scale, order, bias))


def _named(size: int, prior: str, scale: float, order: str, bias: bool) -> RepairSpec | None:
    """The paper's method at a point: LW has one factor per layer, raw and ASR one per channel."""
    if (size, scale) == (0, 0):
        return RepairSpec.of("lw_bn", order, bias)
    if (size, scale) == (1, 0):
        return RepairSpec.of("raw_bn", order, bias)
    return RepairSpec.of("asr_bn", order, bias, prior=prior) if (size, scale) == (1, 1) else None


def surface_repairs(orders=ORDERS, biases=(False, True)) -> tuple[RepairSpec, ...]:
    """Repairs of the surface's points, after bn_only, which logits are compared with."""
    cells = [cell.repair for order in orders for bias in biases for cell in surface(order, bias)]
    return (RepairSpec.of("bn_only"), *cells)


def rows_in(accuracy: pd.DataFrame, state: BatchNormState) -> pd.DataFrame:
    """Rows of an accuracy table in one BatchNorm state."""
    keep = accuracy["calib_batches"].eq(state.calib_batches)
    for name in ("start", "averaging", "momentum", *(("pseudo_count",) if "pseudo_count" in accuracy else ())):
        value = getattr(state, name)
        keep &= accuracy[name].isna() if value is None else accuracy[name].eq(value).fillna(False).astype(bool)
    return accuracy[keep]


def in_state(accuracy: pd.DataFrame, state: BatchNormState) -> pd.DataFrame:
    """The same by network (RepairSpec), each once."""
    rows = rows_in(accuracy, state).drop_duplicates(COLUMNS)
    return rows.set_index(networks(rows))


def beside(repairs: list[RepairSpec], accuracy: pd.DataFrame, state: BatchNormState) -> pd.DataFrame:
    """One row per repair: COLUMNS, and MEASURED of it in one BatchNorm state (NaN: not stored), key and
    stored_row."""
    found = in_state(accuracy, state)
    kept = [name for name in (*MEASURED, "key", "stored_row") if name in found]  # the last two find its images
    measured = found[kept].reindex(repairs).reset_index(drop=True)
    return typed(pd.DataFrame([repair.columns for repair in repairs], columns=COLUMNS)).join(measured)


def table2(accuracy: pd.DataFrame, order: str, state: BatchNormState, batchnorm: bool = True) -> pd.DataFrame:
    """Rows of table 2: row, COLUMNS, MEASURED (NaN: not stored), paper (fractions); of a network without BatchNorm,
    those of repairs."""
    repairs = {name: repair for name, repair in table2_repairs(order).items() if batchnorm or repair.order}
    paper = published("table2").set_index("method")["top1_percent"] / 100
    rows = beside(list(repairs.values()), accuracy, state)
    rows.insert(0, "row", list(repairs))
    rows = rows.assign(paper=rows["row"].map(paper))
    return rows if batchnorm else rows.assign(row=rows["row"].str.removesuffix(" + BN"))


def surface_table(accuracy: pd.DataFrame, state: BatchNormState, orders=ORDERS, biases=(False, True)) -> pd.DataFrame:
    """Points of the surface: group_size, prior, scale, named (the paper's method that it equals, or None), COLUMNS of
    the
    stored repair, MEASURED (NaN: not stored). A point that is a method of the paper falls back on its rows."""
    cells = [cell for order in orders for bias in biases for cell in surface(order, bias)]
    known = set(in_state(accuracy, state).index)
    repairs = [
        cell.named if cell.named and cell.named in known and cell.repair not in known else cell.repair for cell in cells
    ]
    places = pd.DataFrame([(cell.group_size, cell.prior, cell.scale) for cell in cells], columns=PLACE)
    named = pd.Series([cell.named.method if cell.named else None for cell in cells], dtype=object)
    return places.assign(named=named).join(beside(repairs, accuracy, state))
