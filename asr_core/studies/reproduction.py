"""The paper's tables with the stored results beside them, and where the paper's own tables differ. Imports no torch."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from asr_core.jobs import estimate
from asr_core.spec.experiment import Setting
from asr_core.spec.recalibration import NO_STATE
from asr_core.spec.repairs import COLUMNS, DENSE, NO_REPAIR
from asr_core.store import Store, results
from asr_core.store.catalogue import Stored
from asr_core.store.tables import rows_of
from asr_core.studies import ablation, ahead, protocol, severity
from asr_core.studies.cells import (
    ABLATED,
    BIASES,
    CELL,
    DATASETS,
    METHODS,
    PAPER_NOISE,
    PRUNINGS,
    Cell,
    Variant,
    dataset_label,
)
from asr_core.studies.protocol import Match

STEPS = (0, 10, 20, 30, 50)  # of table 3
PAPER_STEP = 20  # of table 1
BAND = (0.025, 0.975)  # quantiles: what table 3 prints as "[min, max]", see `ranges`
ANSWER = [*COLUMNS, "key", "stored_row", "top1", "top1_low", "top1_high", "n_eval"]
MADE = ["repeat", "seed", "network"]
STATE = ["start", "averaging", "momentum", "calib_batches"]


def answers(store: Store, found: list[Match], variant: Variant) -> pd.DataFrame:
    """Accuracies of the matched networks: CELL, repeat, seed, network (how it was made), and ANSWER.

    Methods are dense, no_repair, and METHODS as `variant` has them; what is not stored has no row.
    """
    rows = severity.accuracies(store, tuple(match.keys for match in found))
    if rows.empty:
        return pd.DataFrame(columns=[*ANSWER, *CELL, *MADE])
    repairs = [variant.repair(method) for method in METHODS]
    wanted = (NO_STATE, (DENSE, NO_REPAIR)), (variant.state, repairs)
    parts = [ablation.rows_in(rows_of(rows, *networks), state) for state, networks in wanted]
    table = pd.concat(parts, ignore_index=True).drop_duplicates(["point", *COLUMNS], ignore_index=True)
    where = [(m.cell.architecture, m.cell.dataset, m.cell.pruning, *_made(m)) for m in found]
    places = pd.DataFrame(where, columns=[*CELL, *MADE])
    return table[["point", *ANSWER]].join(places, on="point").drop(columns="point")


def _made(match: Match) -> tuple[int, int, str]:
    return match.repeat, match.setting.dense.seed, match.network


def table1(store: Store, stored: list[Stored], variant: Variant) -> pd.DataFrame:
    """Table 1, one row per number: CELL, method, paper, then what `judged` gives; fractions, NaN where nothing is
    stored."""
    paper = ablation.published("table1")
    paper = paper.assign(paper=paper["top1_percent"] / 100).drop(columns="top1_percent")
    found = answers(store, protocol.matches(stored, variant.include_linear), variant)
    dense = found[found["method"] == "dense"].drop_duplicates([*CELL[:2], "repeat"]).assign(pruning="none")
    ours = over_repeats(pd.concat([dense, found[found["method"] != "dense"]], ignore_index=True))
    return judged(paper.merge(ours, on=[*CELL, "method"], how="left", validate="1:1"))


def fullest(store: Store, stored: list[Stored], variant: Variant) -> Variant:
    """`variant` with the mean correction under which most numbers of table 1 are stored; of equally many, as in table
    2."""
    ways = [replace(variant, bias=bias) for bias in BIASES.values()]
    return max(ways, key=lambda way: table1(store, stored, way)["top1"].notna().sum())


def over_repeats(found: pd.DataFrame) -> pd.DataFrame:
    """The first repeat of each cell and method, with `repeats` (how many) and `spread` (largest minus least; NaN for
    one)."""
    if found.empty:
        return found.assign(repeats=pd.Series(dtype=float), spread=pd.Series(dtype=float))
    by = found.sort_values("repeat", kind="stable").groupby([*CELL, "method"], sort=False)
    repeats = by["top1"].transform("size")
    spread = (by["top1"].transform("max") - by["top1"].transform("min")).where(repeats > 1)
    return (
        found.assign(repeats=repeats, spread=spread)
        .sort_values("repeat", kind="stable")
        .drop_duplicates([*CELL, "method"])
    )


def judged(table: pd.DataFrame) -> pd.DataFrame:
    """`table` with difference (ours minus the paper's, fraction) and whether it exceeds noise (missing: cannot tell).

    beyond_interval: the paper's number lies outside our 95 % Wilson interval. beyond_spread: the difference is larger
    than the largest minus the least of our repeats. beyond: all of them that are known, and PAPER_NOISE.
    """
    numbers = {name: table[name].astype(float) for name in ("top1", "top1_low", "top1_high", "spread")}
    difference = numbers["top1"] - table["paper"]
    outside = (table["paper"] < numbers["top1_low"]) | (table["paper"] > numbers["top1_high"])
    beyond_interval = outside.astype("boolean").mask(difference.isna())
    beyond_spread = (
        (difference.abs() > numbers["spread"]).astype("boolean").mask(difference.isna() | numbers["spread"].isna())
    )
    beyond = beyond_interval & beyond_spread.fillna(True) & (difference.abs() > PAPER_NOISE)
    judgement = {"difference": difference, "beyond_interval": beyond_interval, "beyond_spread": beyond_spread}
    return table.assign(**numbers, **judgement, beyond=beyond.mask(beyond_interval.isna()))


def table2(store: Store, stored: list[Stored], variant: Variant) -> pd.DataFrame:
    """Table 2 from the stored ResNet-50 on CIFAR-10 at 90 %: row, network's columns, paper, then what `judged`
    gives."""
    keys = next((m.keys for m in protocol.matches(stored, variant.include_linear) if m.cell == ABLATED), ())
    accuracy = severity.accuracies(store, (keys,)) if keys else pd.DataFrame()
    if accuracy.empty:
        accuracy = pd.DataFrame(columns=[*ANSWER, *STATE])
    return judged(ablation.table2(accuracy, variant.order, variant.state).assign(spread=float("nan")))


def table3(store: Store, stored: list[Stored], variant: Variant) -> pd.DataFrame:
    """Table 3: STEP, fractions; settings are ours.

    Ours is BN only over those stored settings that have most steps, the same at each of them; low and high at the
    quantiles BAND as the paper's are.
    """
    found, names = protocol.matches(stored, variant.include_linear), {dataset_label(name): name for name in DATASETS}
    parts = [answers(store, found, replace(variant, calib_batches=step)).assign(step=step) for step in STEPS]
    ours = pd.concat([part.query("method == 'bn_only' and repeat == 0") for part in parts], ignore_index=True)
    steps = ours.groupby(CELL)["step"].transform("nunique") if len(ours) else ours.get("step")
    ours = ours[steps == steps.max()] if len(ours) else ours  # the same settings at every step
    rows = [_step(row, ours, names) for row in ablation.published("table3").itertuples()]
    return pd.DataFrame(rows, columns=STEP)


STEP = [
    *("dataset", "step", "paper_median", "paper_low", "paper_high", "settings", "median", "low", "high", "paper_same")
]


def _step(row: Any, ours: pd.DataFrame, names: dict[str, str]) -> tuple:
    """One row of table 3. paper_same: the median of the paper's table 1 over the same settings, at its b alone."""
    here = ours[ours["step"].eq(row.step)]
    if row.dataset != "Overall":
        here = here[here["dataset"].eq(names.get(row.dataset, row.dataset))]
    top1 = here["top1"].astype(float)
    low, median, high = top1.quantile([BAND[0], 0.5, BAND[1]]) if len(top1) else (float("nan"),) * 3
    paper = ablation.published("table1").query("method == 'bn_only'").set_index(CELL)["top1_percent"] / 100
    cells = list(here[CELL].itertuples(index=False, name=None))
    same = float("nan")
    if cells and row.step == PAPER_STEP and all(cell in paper.index for cell in cells):
        same = float(paper.loc[cells].median())
    published = row.median / 100, row.min / 100, row.max / 100
    return row.dataset, row.step, *published, len(top1), median, low, high, same


def recalibrations(variant: Variant) -> dict[str, Variant]:
    """`variant` without recalibration, and under each start and averaging at its budget."""
    b, ema = variant.calib_batches or 20, f"ema {variant.momentum:g}"
    ways = {
        f"{ema} from reset": ("reset", "ema"),
        f"{ema} from keep": ("keep", "ema"),
        "cumulative": ("reset", "cumulative"),
    }
    made = {
        f"{name}, b = {b}": replace(variant, start=start, averaging=averaging, calib_batches=b)
        for name, (start, averaging) in ways.items()
    }
    return {"no recalibration": replace(variant, calib_batches=0), **made}


COUNTS = ["where", "better", "worse", "cells", "wins", "ties", "losses", *ahead.WORDS]


def counts(store: Store, stored: list[Stored], variant: Variant) -> pd.DataFrame:
    """`wins` of the paper's table 1, and of the stored cells under each recalibration: COUNTS."""
    parts = [ahead.wins(table1(store, stored, variant)).assign(where="the paper")]
    for name, way in recalibrations(variant).items():
        table = table1(store, stored, way)
        parts.append(ahead.wins(table, results.right_in(store, table)).assign(where=name))
    return pd.concat(parts, ignore_index=True)[COUNTS]


def conflict() -> pd.DataFrame:
    """Rows of tables 1 and 2 that are the same setting (ABLATED) and method: method, table1, table2, difference
    (percent)."""
    one = ablation.published("table1").set_index([*CELL, "method"])["top1_percent"]
    two = ablation.published("table2").set_index("method")["top1_percent"]
    names = {"bn_only": "BN only", "lw_bn": "Layer-wise + BN", "asr_bn": "ASR, median prior + bias correction"}
    pairs = [
        (m, one[(ABLATED.architecture, ABLATED.dataset, ABLATED.pruning, m)], two[name]) for m, name in names.items()
    ]
    table = pd.DataFrame(pairs, columns=["method", "table1", "table2"])
    return table.assign(difference=table["table2"] - table["table1"])


def ranges() -> pd.DataFrame:
    """Table 3 against table 1 at b = 20, BN only: dataset, table1_least, table3_min, quantile (all percent).

    quantile is the 2.5 % quantile of the settings: table 1's and the unprinted ones at 50 %, of which
    only their number is needed, as each lies above the few least ones.
    """
    one = ablation.published("table1")
    one = one[one["method"] == "bn_only"]
    names, rows = {dataset_label(name): name for name in DATASETS}, []
    for row in ablation.published("table3").query("step == 20").itertuples():
        values = np.sort(
            one.loc[one["dataset"].eq(names.get(row.dataset)) | (row.dataset == "Overall"), "top1_percent"]
        )
        settings = len(values) * len(PRUNINGS) // (len(PRUNINGS) - 1)
        quantile = np.quantile([*values, *[100.0] * (settings - len(values))], BAND[0])
        rows.append((row.dataset, values[0], row.min, quantile))
    return pd.DataFrame(rows, columns=["dataset", "table1_least", "table3_min", "quantile"])


def missing(store: Store, stored: list[Stored], variant: Variant, as_paper: bool = False) -> pd.DataFrame:
    """Cells of table 1 that lack a row in `variant`: cell, label, images (passes, training of the dense network
    included), seconds.

    as_paper: made by the paper's protocol, else as the stored networks are. seconds is NaN while this
    machine's speed for that network is unknown.
    """
    table = table1(store, stored, variant)
    absent = table[table["top1"].isna() & table["method"].isin(METHODS)]
    rows = []
    for cell in (Cell(*names) for names in absent[CELL].drop_duplicates().itertuples(index=False)):
        wanted = protocol.experiment(setting_of(cell, store, stored, as_paper), variant)
        tasks, speed = estimate.work(wanted, store), estimate.speed(wanted, store)
        seconds = estimate.seconds(tasks, speed, len(wanted.repairs)) if speed else float("nan")
        rows.append((cell, cell.label, sum(task.images for task in tasks), seconds))
    return pd.DataFrame(rows, columns=["cell", "label", "images", "seconds"])


def setting_of(cell: Cell, store: Store, stored: list[Stored], as_paper: bool) -> Setting:
    """The setting that would answer a cell."""
    return protocol.paper_setting(cell) if as_paper else protocol.like_stored(cell, stored, store)
