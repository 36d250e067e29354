"""Which protocol is the paper's? The stored grid against table 1 under everything that the paper leaves open. Imports
no torch."""

from itertools import combinations, product

import numpy as np
import pandas as pd

from asr_core.spec.repairs import COLUMNS, ORDERS, RepairSpec
from asr_core.store import Store, results
from asr_core.store.catalogue import Stored
from asr_core.store.tables import networks, rows_of
from asr_core.studies import ablation, protocol, reproduction, severity
from asr_core.studies.cells import CANNOT_TELL, CONTRADICTS, METHODS, REPRODUCES, Variant
from asr_core.studies.protocol import Match
from asr_core.studies.reproduction import CELL

RECALIBRATIONS = (("reset", "ema"), ("keep", "ema"), ("reset", "cumulative"))
BIASES = (None, False, True)
LEVEL = 0.05  # of the sign test
# Figures 10 and 11: the largest 75th percentile of v_lw / v_dense over the layers.
PUBLISHED_RATIOS = {"resnet18": ("CIFAR-100", 12.6), "vgg16_bn": ("CIFAR-10", 19.4)}
MEASURES = [
    "cells",
    "values",
    "spearman",
    "spearman_low",
    "spearman_high",
    "kendall",
    "gain_spearman",
    "distance",
    "spread",
    "paper_spread",
    "told",
    "alike",
]


def variants(stored: list[Stored], accuracies: pd.DataFrame) -> list[Variant]:
    """start x averaging x order x bias at b = 20, and each stored value of eps and of pruned tensors."""
    there = networks(accuracies.drop_duplicates(COLUMNS)) if len(accuracies) else ()
    found = {network.changed["eps"] for network in there if "eps" in network.changed}
    answering = [item.setting.prune for item in stored if protocol.cell_of(item)]
    linears = sorted({prune.parameters["include_linear"] for prune in answering})
    axes = product(linears, (None, *sorted(found)), RECALIBRATIONS, ORDERS, BIASES)
    return [
        Variant(order=order, bias=bias, start=start, averaging=averaging, eps=eps, include_linear=linear)
        for linear, eps, (start, averaging), order, bias in axes
    ]


def study(store: Store, stored: list[Stored]) -> pd.DataFrame:
    """One row per network (its seed too) and variant with stored cells: network, `variant`, MEASURES (see `compare`),
    verdict."""
    paper = ablation.published("table1").assign(paper=lambda t: t["top1_percent"] / 100)[[*CELL, "method", "paper"]]
    every = {linear: protocol.matches(stored, linear) for linear in (False, True)}
    known = severity.accuracies(store, tuple(m.keys for found in every.values() for m in found))
    rows = []
    for variant in variants(stored, known):
        found = reproduction.answers(store, every[variant.include_linear], variant).drop_duplicates(
            [*CELL, "network", "seed", "method"]
        )
        both = found.merge(paper, on=[*CELL, "method"], validate="m:1")
        for (network, seed), own in both.groupby(["network", "seed"], sort=False):
            if (grid := whole(own)).empty:
                continue
            measured = compare(grid)
            told = {"network": f"{network}, seed {seed}", "variant": variant, "verdict": verdict(measured)}
            rows.append(told | measured)
    return pd.DataFrame(rows, columns=["network", "variant", *MEASURES, "verdict"])


def whole(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of METHODS in cells that have all of them."""
    known = rows[rows["method"].isin(METHODS)]
    return known[known.groupby(CELL)["method"].transform("nunique") == len(METHODS)]


def compare(grid: pd.DataFrame) -> dict:
    """MEASURES of one grid of whole cells: rows with CELL, method, top1 with its interval, paper (fractions).

    spearman (with 95 % interval), kendall: of all
    accuracies, NaN for fewer than severity.FEWEST. gain_spearman: of the gains over BN only, which no
    longer hold how hard a cell is. distance: mean |ours - paper|; spread, paper_spread: mean over cells of
    the best minus the worst method (fractions). told, alike: pairs of methods in one cell whose intervals
    are apart here, and those of them that the paper orders alike.
    """
    accuracy = severity.correlation(grid["top1"], grid["paper"])
    gains = grid.pivot(index=CELL, columns="method", values=["top1", "paper"])
    lift = {
        name: (gains[name][["lw_bn", "asr_bn"]].sub(gains[name]["bn_only"], axis=0)).to_numpy().ravel()
        for name in ("top1", "paper")
    }
    ranges = {name: float((gains[name].max(axis=1) - gains[name].min(axis=1)).mean()) for name in ("top1", "paper")}
    told, alike = pairs(grid)
    return {
        "cells": len(gains),
        "values": len(grid),
        **{name: accuracy[name] for name in ("spearman", "spearman_low", "spearman_high")},
        "kendall": kendall(grid["top1"], grid["paper"]),
        "gain_spearman": severity.correlation(*lift.values())["spearman"],
        "distance": float((grid["top1"] - grid["paper"]).abs().mean()),
        "spread": ranges["top1"],
        "paper_spread": ranges["paper"],
        "told": told,
        "alike": alike,
    }


def kendall(x, y) -> float:
    """Kendall's tau-b, which counts ties; NaN for fewer than severity.FEWEST values or constant ones."""
    from scipy.stats import kendalltau

    if len(x) < severity.FEWEST or np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    return float(kendalltau(x, y).statistic)


def pairs(grid: pd.DataFrame) -> tuple[int, int]:
    """(pairs of methods in one cell whose 95 % intervals are apart and that the paper does not tie, those ordered as
    in the paper)."""
    told = alike = 0
    for _, cell in grid.groupby(CELL):
        for a, b in combinations(cell.itertuples(), 2):
            if a.paper != b.paper and (a.top1_low > b.top1_high or b.top1_low > a.top1_high):
                told += 1
                alike += (a.top1 > b.top1) == (a.paper > b.paper)
    return told, alike


def verdict(measured: dict) -> str:
    """REPRODUCES or CONTRADICTS where a one-sided sign test over the told pairs says so at LEVEL, else CANNOT_TELL.

    Pairs that share a cell are not independent, so the test is a little too sure.
    """
    from scipy.stats import binomtest

    told, alike = measured["told"], measured["alike"]
    for name, count in ((REPRODUCES, alike), (CONTRADICTS, told - alike)):
        if told and binomtest(count, told, 0.5, alternative="greater").pvalue <= LEVEL:
            return name
    return CANNOT_TELL


def ratios(store: Store, stored: list[Stored]) -> pd.DataFrame:
    """What figures 10 and 11 of the paper name, here: network, dataset, order, bias, largest (75th percentile of v_lw
    / v_dense
    over the layers, before recalibration), layer, paper_dataset, paper; only architectures of PUBLISHED_RATIOS.
    """
    rows = []
    for match in protocol.matches(stored):
        if match.repeat or match.cell.pruning != "global_l1_0.90" or match.cell.architecture not in PUBLISHED_RATIOS:
            continue
        layers = pd.concat([entry.table("layers") for entry in results.entries(store, match.keys)], ignore_index=True)
        rows += _ratios(match, layers[layers["state"] == "repaired"].dropna(subset="q75"))
    columns = ["network", "dataset", "order", "bias", "largest", "layer", "paper_dataset", "paper"]
    return pd.DataFrame(rows, columns=columns)


def _ratios(match: Match, layers: pd.DataFrame) -> list[tuple]:
    """The worst layer of LW in each order, with and without mean correction."""
    found = []
    for order, bias in product(ORDERS, (False, True)):
        own = rows_of(layers, RepairSpec.of("lw_bn", order, bias))
        if len(own):
            worst = own.loc[own["q75"].idxmax()]
            told = worst["q75"], worst["layer"], *PUBLISHED_RATIOS[match.cell.architecture]
            found.append((match.network, match.cell.dataset, order, bias, *told))
    return found
