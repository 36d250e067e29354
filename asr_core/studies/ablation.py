"""The paper's ablation (table 2) and the surface of granularity x prior: which repairs, and their accuracies. No torch."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pandas as pd

from asr_core.spec.grid import ORDERS, BatchNormState, RepairSpec

PAPER = Path(__file__).parent / "paper"
GROUP_SIZES = (1, 4, 16, 64, 0)  # channels that share a factor; 0: all of the layer
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
    named = None
    if size == 1:
        named = (
            RepairSpec.of("asr_bn", order, bias, prior=prior)
            if scale == 1
            else RepairSpec.of("raw_bn", order, bias)
            if scale == 0
            else None
        )
    elif size == 0 and scale == 0:
        named = RepairSpec.of("lw_bn", order, bias)
    return Cell(size, prior, scale, repair, named)


def surface_repairs(orders=ORDERS, biases=(False, True)) -> tuple[RepairSpec, ...]:
    """Repairs of the surface's points, after bn_only, which logits are compared with."""
    cells = [cell.repair for order in orders for bias in biases for cell in surface(order, bias)]
    return (RepairSpec.of("bn_only"), *cells)


def rows_in(accuracy: pd.DataFrame, state: BatchNormState) -> pd.DataFrame:
    """Rows of an accuracy table in one BatchNorm state."""
    keep = accuracy["calib_batches"].eq(state.batches)
    for name in ("start", "averaging", "momentum"):
        value = getattr(state, name)
        keep &= accuracy[name].isna() if value is None else accuracy[name].eq(value).fillna(False).astype(bool)
    return accuracy[keep]


def in_state(accuracy: pd.DataFrame, state: BatchNormState) -> pd.DataFrame:
    """The same by slug, each repair once."""
    return rows_in(accuracy, state).drop_duplicates("slug").set_index("slug")


def table2(accuracy: pd.DataFrame, order: str, state: BatchNormState) -> pd.DataFrame:
    """Rows of table 2: row, slug, top1, top1_low, top1_high (NaN: not stored), n_eval, paper (fractions)."""
    repairs = table2_repairs(order)
    rows = pd.DataFrame({"row": list(repairs), "slug": [repair.slug for repair in repairs.values()]})
    paper = published("table2").set_index("method")["top1_percent"] / 100
    rows = rows.join(in_state(accuracy, state)[["top1", "top1_low", "top1_high", "n_eval"]], on="slug")
    return rows.assign(paper=rows["row"].map(paper), order=order)


def surface_table(accuracy: pd.DataFrame, state: BatchNormState, orders=ORDERS, biases=(False, True)) -> pd.DataFrame:
    """Points of the surface: order, bias, group_size, prior, scale, slug (of the stored repair), named (slug or None),
    top1, top1_low, top1_high, n_eval (NaN: not stored). A point that is a method of the paper falls back on its rows."""
    rows = in_state(accuracy, state)
    found = []
    for cell in (cell for order in orders for bias in biases for cell in surface(order, bias)):
        named = cell.named.slug if cell.named else None
        slug = cell.repair.slug if cell.repair.slug in rows.index or named not in rows.index else named
        found.append((cell.repair.order, cell.repair.bias, cell.group_size, cell.prior, cell.scale, slug, named))
    table = pd.DataFrame(found, columns=["order", "bias", "group_size", "prior", "scale", "slug", "named"])
    return table.join(rows[["top1", "top1_low", "top1_high", "n_eval"]], on="slug")
