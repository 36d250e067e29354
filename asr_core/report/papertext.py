"""The paper's tables beside the stored results as text: python -m asr_core paper."""

from typing import Any

import pandas as pd
from tabulate import tabulate

from asr_core.measure.statistics import AHEAD, BEHIND, EQUAL
from asr_core.report.words import described, number
from asr_core.spec.experiment import Setting
from asr_core.spec.labels import method_label
from asr_core.store import Store
from asr_core.store.catalogue import Stored
from asr_core.studies import card as cards
from asr_core.studies import protocol, reproduction
from asr_core.studies.cells import ARCHITECTURES, DATASETS, PRUNING_LABELS, Variant, dataset_label

MARK = "*"  # of a difference beyond noise


def marked(row) -> str:
    """The difference in points, with MARK where it is beyond noise."""
    beyond = MARK if not pd.isna(row.beyond) and row.beyond else ""
    return f"{number(row.difference, sign=True)}{beyond}"


def table1(table: pd.DataFrame, dataset: str, style: str = "simple") -> str:
    """One dataset of reproduction.table1: cells 'paper | ours | difference'."""
    rows = [
        (
            ARCHITECTURES[row.architecture],
            method_label(row.method),
            PRUNING_LABELS[row.pruning],
            f"{number(row.paper, 2)} | {number(row.top1)} | {marked(row)}".rstrip(" |"),
        )
        for row in table[table["dataset"] == dataset].itertuples()
    ]
    long = pd.DataFrame(rows, columns=["architecture", "method", "pruning", "cell"])
    wide = long.pivot(index=["architecture", "method"], columns="pruning", values="cell").fillna("")
    order = (
        long[["architecture", "method"]]
        .drop_duplicates()
        .sort_values("architecture", key=lambda s: s.map(list(ARCHITECTURES.values()).index), kind="stable")
    )
    columns = [label for label in PRUNING_LABELS.values() if label in wide.columns]
    wide = wide.loc[pd.MultiIndex.from_frame(order), columns].rename(columns={"": "dense"}).reset_index()
    return tabulate(wide, headers="keys", tablefmt=style, showindex=False, disable_numparse=True)


def table2(table: pd.DataFrame, style: str = "simple") -> str:
    """Rows of reproduction.table2."""
    rows = [(row.row, number(row.paper, 2), number(row.top1), marked(row)) for row in table.itertuples()]
    return tabulate(rows, headers=("method", "paper", "here", "difference"), tablefmt=style, disable_numparse=True)


def table3(table: pd.DataFrame, style: str = "simple") -> str:
    """Rows of reproduction.table3 as median [low, high]."""
    rows = [
        (
            row.dataset,
            row.step,
            band(row.paper_median, row.paper_low, row.paper_high, 2),
            band(row.median, row.low, row.high),
            row.settings,
        )
        for row in table.itertuples()
    ]
    return tabulate(
        rows, headers=("dataset", "step", "paper", "here", "settings here"), tablefmt=style, disable_numparse=True
    )


def band(median, low, high, digits: int = 1) -> str:
    """'68.6 [63.5, 73.7]', or nothing for what is not known."""
    return "" if pd.isna(median) else f"{number(median, digits)} [{number(low, digits)}, {number(high, digits)}]"


def counts(table: pd.DataFrame, style: str = "simple") -> str:
    """Rows of reproduction.counts: '33 of 36 (1 tie)'."""
    rows = [
        (
            row.where,
            f"{method_label(row.better)} over {method_label(row.worse)}",
            wins(row),
            tested(row),
        )
        for row in table.itertuples()
    ]
    return tabulate(rows, headers=("where", "higher", "in cells", "told apart"), tablefmt=style, disable_numparse=True)


def wins(row) -> str:
    """'33 of 36 (1 tie)', or that no cell is stored."""
    ties = f" ({row.ties} tie{'s' if row.ties > 1 else ''})" if row.ties else ""
    return f"{row.wins} of {row.cells}{ties}" if row.cells else "no cell stored"


def tested(row) -> str:
    """'ahead 12, behind 2, may be equal 22'; of the paper by its own noise."""
    if not row.cells:
        return ""
    return f"{AHEAD} {row.ahead}, {BEHIND} {row.behind}, {EQUAL} {row.equal}"


def conflicts(style: str = "simple") -> str:
    """Where the paper's tables differ from each other."""
    one = [
        (method_label(row.method), f"{row.table1:.2f}", f"{row.table2:.2f}", f"{row.difference:+.2f}")
        for row in reproduction.conflict().itertuples()
    ]
    two = [
        (row.dataset, f"{row.table1_least:.2f}", f"{row.table3_min:.2f}", f"{row.quantile:.2f}")
        for row in reproduction.ranges().itertuples()
    ]
    return "\n\n".join(
        [
            tabulate(
                one,
                headers=(reproduction.ABLATED.label, "table 1", "table 2", "difference"),
                tablefmt=style,
                disable_numparse=True,
            ),
            tabulate(
                two,
                headers=("BN only, b = 20", "least in table 1", "“min” in table 3", "2.5 % quantile of the settings"),
                tablefmt=style,
                disable_numparse=True,
            ),
        ]
    )


def report(store: Store, stored: list[Stored], variant: Variant) -> str:
    """All tables of the paper with ours beside them."""
    table = reproduction.table1(store, stored, variant)
    second, third = (find(store, stored, variant) for find in (reproduction.table2, reproduction.table3))
    standing = reproduction.counts(store, stored, variant)
    blocks = [
        f"Table 1 here: {described(variant)}. paper | here | difference in points; {MARK}: beyond our 95 % "
        "interval, the spread of stored repeats and the paper's own noise (1.6 points).",
        *(f"{dataset_label(name)}\n{table1(table, name)}" for name in DATASETS),
        f"Table 2 ({reproduction.ABLATED.label})\n{table2(second)}",
        f"Table 3: BN only, median [2.5 %, 97.5 % quantile] over settings\n{table3(third)}",
        f"Who is ahead in how many cells\n{counts(standing)}",
        f"Where the paper's own tables differ, %\n{conflicts()}",
        f"The paper's protocol and this one\n{card(stored, variant)}",
    ]
    return "\n\n".join(blocks)


def card(stored: list[Stored], variant: Variant) -> str:
    """protocol.card of the first stored network that answers a cell, or of the paper's protocol as it runs here."""
    setting, label = card_of(stored, variant)
    return tabulate(
        cards.card(setting, label, variant),
        headers="keys",
        tablefmt="simple",
        showindex=False,
        disable_numparse=True,
        maxcolwidths=[None, 60, 60],
    )


def card_of(stored: list[Stored], variant: Variant) -> tuple[Setting, str]:
    """(setting, name of its images) of the first stored network that answers a cell; of the paper's protocol where
    none does."""
    for match in protocol.matches(stored, variant.include_linear):
        return match.setting, next(item.facts["dataset_label"] for item in stored if item.key == match.keys[0])
    return protocol.paper_setting(reproduction.ABLATED), dataset_label(reproduction.ABLATED.dataset)


def as_json(store: Store, stored: list[Stored], variant: Variant) -> dict[str, Any]:
    """The same tables as one object; numbers are fractions, null where nothing is stored."""
    setting, label = card_of(stored, variant)
    tables = {
        "table1": reproduction.table1(store, stored, variant),
        "table2": reproduction.table2(store, stored, variant),
        "table3": reproduction.table3(store, stored, variant),
        "counts": reproduction.counts(store, stored, variant),
        "conflict": reproduction.conflict(),
        "ranges": reproduction.ranges(),
        "protocol": cards.card(setting, label, variant),
    }
    plain = {name: table.astype(object).where(table.notna(), None).to_dict("records") for name, table in tables.items()}
    return {"variant": described(variant), **plain}
