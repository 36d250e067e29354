"""Which protocol is the paper's? The stored grid against table 1 under everything that the paper leaves open. Imports
no torch."""

from dataclasses import replace
from itertools import combinations, product
from typing import Any

import numpy as np
import pandas as pd

from asr_core.measure.statistics import AHEAD, BEHIND, LEVEL, discordant, holm, mcnemar, settled_images, word
from asr_core.spec.repairs import ORDERS, RepairSpec
from asr_core.store import Store, results
from asr_core.store.catalogue import Stored
from asr_core.store.tables import rows_of
from asr_core.studies import ablation, protocol, reproduction
from asr_core.studies.cells import CANNOT_TELL, CELL, CONTRADICTS, METHODS, REPRODUCES, Variant, is_tie
from asr_core.studies.protocol import Match

RECALIBRATIONS = (("reset", "ema"), ("keep", "ema"), ("reset", "cumulative"))
BIASES = (None, False, True)
# Figures 10 and 11: the largest 75th percentile of v_lw / v_dense over the layers.
PUBLISHED_RATIOS = {"resnet18": ("CIFAR-100", 12.6), "vgg16_bn": ("CIFAR-10", 19.4)}
PAIR = ["cell", "first", "second", "gain", "paper_gain", "only_first", "only_second", "n", "networks", "p"]
STUDY = [
    *("variant", "cells", "networks", "pairs", "told", "alike", "against", "open", "p", "verdict"),
    *("spread", "paper_spread", "distance", "images", "tested"),
]


def variants(stored: list[Stored]) -> list[Variant]:
    """The distinct protocols at b = 20: start x averaging x order x bias, with and without linear layers where stored.

    Cumulative averaging is one: BatchNorm absorbs every repair there, whatever its order and bias. eps is none: 1e-5
    and 1e-8 give the same network but for channels of next to no variance.
    """
    answering = [item.setting.prune for item in stored if protocol.cell_of(item)]
    linears = sorted({prune.parameters["include_linear"] for prune in answering})
    found = [
        Variant(order=order, bias=bias, start=start, averaging=averaging, include_linear=linear)
        for linear, (start, averaging), order, bias in product(linears, RECALIBRATIONS, ORDERS, BIASES)
    ]
    once = {(v.include_linear, v.averaging) if v.averaging == "cumulative" else v: v for v in reversed(found)}
    return [v for v in found if v in once.values()]


def alike(variant: Variant) -> list[Variant]:
    """The protocols that are one with `variant`: under cumulative averaging those of any order and bias."""
    if variant.averaging != "cumulative":
        return [variant]
    return [replace(variant, order=order, bias=bias) for order, bias in product(ORDERS, BIASES)]


def study(store: Store, stored: list[Stored]) -> pd.DataFrame:
    """STUDY: one row per protocol of which whole cells are stored, seeds of a cell pooled.

    cells, networks (dense ones, seeds counted), pairs (of methods in one cell), told (told apart here, McNemar pooled
    over seeds, corrected by Holm for all pairs of all protocols), alike and against (those that the paper, by more than
    PAPER_NOISE, orders alike and the other way), open (neither told here nor a tie in the paper), p (sign test,
    corrected for all protocols) and verdict; spread, paper_spread, distance (fractions, over the same cells); images:
    test images with which the open pair that needs most would be told apart, were it as far apart as in the paper.
    """
    every = {linear: protocol.matches(stored, linear) for linear in (False, True)}
    found = {}
    for variant in variants(stored):
        grids = [
            whole(beside_paper(reproduction.answers(store, every[one.include_linear], one))) for one in alike(variant)
        ]
        grid = max(grids, key=len)
        if len(grid):
            found[variant] = grid, pairs(grid, results.right_in(store, grid))
    if not found:
        return pd.DataFrame(columns=STUDY)
    corrected = iter(holm(np.concatenate([own["p"] for _, own in found.values()])))
    rows = []
    for variant, (grid, own) in found.items():
        words = [word(gain, next(corrected)) for gain in own["gain"]]
        rows.append({"variant": variant} | summary(grid, own.assign(word=words)))
    table = pd.DataFrame(rows)
    table = table.assign(p=holm(table["p"]), tested=sum(len(own) for _, own in found.values()))
    return table.assign(verdict=[verdict(*row) for row in table[["alike", "against", "p"]].to_numpy()])[STUDY]


def beside_paper(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of `reproduction.answers` that table 1 has too, with its number: paper (fraction)."""
    paper = ablation.published("table1").assign(paper=lambda t: t["top1_percent"] / 100)[[*CELL, "method", "paper"]]
    once = rows.drop_duplicates([*CELL, "network", "seed", "method"])
    return once.merge(paper, on=[*CELL, "method"], validate="m:1")


def whole(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of METHODS of networks that have all of them."""
    known = rows[rows["method"].isin(METHODS)]
    own = known.groupby([*CELL, "network", "seed"])["method"].transform("nunique") if len(known) else None
    return known.reset_index(drop=True) if own is None else known[own == len(METHODS)].reset_index(drop=True)


def pairs(grid: pd.DataFrame, right: list[Any]) -> pd.DataFrame:
    """PAIR: each two methods of each cell, first minus second over all seeds: gain, the paper's, images that one of
    both has right (summed over seeds, NaN where they are not kept), p of McNemar's test on them."""
    rows = []
    for cell, own in grid.groupby(CELL, sort=False):
        of = {(seed, method): place for place, seed, method in own[["seed", "method"]].itertuples()}
        seeds = list(dict.fromkeys(own["seed"]))
        paper = own.drop_duplicates("method").set_index("method")["paper"]
        for a, b in combinations(METHODS, 2):
            both = [(of[seed, a], of[seed, b]) for seed in seeds]
            gain = float(np.mean([grid["top1"][i] - grid["top1"][j] for i, j in both]))
            counts = np.array([discordant(right[i], right[j]) for i, j in both], float).sum(0)
            p = mcnemar(*map(int, counts[:2])) if np.isfinite(counts).all() else float("nan")
            rows.append((cell, a, b, gain, paper[a] - paper[b], *counts, len(seeds), p))
    return pd.DataFrame(rows, columns=PAIR)


def summary(grid: pd.DataFrame, own: pd.DataFrame) -> dict[str, Any]:
    """What STUDY says of one protocol, p before its correction. own: `pairs` with `word`."""
    told, tie = own["word"].isin((AHEAD, BEHIND)), is_tie(own["paper_gain"])
    same = np.sign(own["gain"]) == np.sign(own["paper_gain"])
    alike, against = int((told & ~tie & same).sum()), int((told & ~tie & ~same).sum())
    by = grid.groupby([*CELL, "method"])[["top1", "paper"]].mean().astype(float).unstack("method")
    reach = {name: float((by[name].max(axis=1) - by[name].min(axis=1)).mean()) for name in ("top1", "paper")}
    needed = [_needed(row) for row in own[~told & ~tie].itertuples()]
    return {
        "cells": len(by),
        "networks": len(grid[[*CELL, "seed"]].drop_duplicates()),
        "pairs": len(own),
        "told": int(told.sum()),
        "alike": alike,
        "against": against,
        "open": len(needed),
        "p": mcnemar(alike, against),  # a sign test: as likely ordered one way as the other
        "spread": reach["top1"],
        "paper_spread": reach["paper"],
        "distance": float((by["top1"] - by["paper"]).abs().to_numpy().mean()),
        "images": float(np.nanmax(needed)) if np.isfinite(needed).any() else float("nan"),
    }


def _needed(row: Any) -> float:
    """Test images that would tell a pair apart that differs by what the paper has, on as many images as here."""
    both = max((row.only_first + row.only_second) / row.n, abs(row.paper_gain)) if row.n == row.n else float("nan")
    if not np.isfinite(both):
        return float("nan")
    first, second = (both + row.paper_gain) / 2, (both - row.paper_gain) / 2
    return settled_images(first * row.n, second * row.n, row.n)


def verdict(alike: float, against: float, p: float) -> str:
    """REPRODUCES or CONTRADICTS where the corrected sign test says so at LEVEL, else CANNOT_TELL.

    Pairs that share a cell are not independent, so the test is a little too sure.
    """
    return CANNOT_TELL if p >= LEVEL else REPRODUCES if alike > against else CONTRADICTS


def ratios(store: Store, stored: list[Stored]) -> pd.DataFrame:
    """What figures 10 and 11 of the paper name, here: network, dataset, order, bias, largest (75th percentile of v_lw
    / v_dense
    over the layers, before recalibration), layer, paper_dataset, paper; only architectures of PUBLISHED_RATIOS.
    """
    rows = []
    for match in protocol.matches(stored):
        if match.repeat or match.cell.pruning != "global_l1_0.90" or match.cell.architecture not in PUBLISHED_RATIOS:
            continue
        tables = [entry.table("layers") for entry in results.entries(store, match.keys)]
        if not tables:  # damaged since they were listed
            continue
        layers = pd.concat(tables, ignore_index=True)
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
