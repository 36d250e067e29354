"""Sentences about the paper's tables and figures beside what is stored here."""

import pandas as pd

from asr_core.measure.statistics import EQUAL
from asr_core.report.words import accuracy, counted, in_state, listed, relation, tested
from asr_core.studies.cells import PAPER_NOISE


def table2(table: pd.DataFrame) -> str:
    """The highest row here, what it is against the others, and how many pairs of rows are ordered as in the paper.
    table: figures.ablation.table2_table."""
    have = table.dropna(subset="top1")
    best = have[have["best"]].iloc[0]
    others = have[~have["best"] & (have["top1"] != best.top1)]
    level = have[have["top1"] == best.top1]
    highest = f"{listed(level['row'])} {'are' if len(level) > 1 else 'is'} highest"
    text = f"Here, {in_state(table)}, {highest} with {accuracy(best)}"
    if len(have) < len(table):
        text += f" of the {len(have)} of {len(table)} rows that are stored"
    if len(others):
        text += f": {relation([*others['row']], [*others['word']], 'other row')} ({tested(int(best.pairs))})"
    told, alike = int(best.told), int(best.alike)
    if told:
        text += f". Of {counted(told, 'pair')} of rows told apart here and {_apart()} in the paper, {alike} "
        text += f"{'is' if alike == 1 else 'are'} ordered as in the paper"
    elif len(have) > 1:
        text += f". No pair of rows is both told apart here and {_apart()} in the paper"
    reach = f"{100 * table['paper'].min():.1f} to {100 * table['paper'].max():.1f} %"
    if best.same_network:
        return f"{text}. The paper's numbers ({reach}) are of its own weights of this architecture and sparsity."
    return f"{text}. The paper's numbers are of another setting ({reach}): compare the order, not the height."


def _apart() -> str:
    return f"more than {100 * PAPER_NOISE:g} points apart"


def surface(table: pd.DataFrame) -> str:
    """The highest point of the surface, and how many others may be equal. table: figures.ablation.surface_table."""
    have = table.dropna(subset="top1")
    best = have[have["best"]].iloc[0]
    where = f"{best.order}, bias {'on' if best.bias else 'off'}, {point(best)}"
    text = f"{len(have)} of {len(table)} points are stored at b = {best.b}. The highest, {accuracy(best)}, is at"
    text = f"{text} {where}"
    others = have[~have["best"]]
    if others.empty:
        return text + "."
    same = others[others["word"] == EQUAL]
    untested = int((~others["word"].isin(("ahead", EQUAL))).sum())
    more = f"; {untested} are not measured against it" if untested else ""
    told = f"{len(same) or 'none'} of {counted(len(others), 'other')} {EQUAL} to it"
    if len(same):
        told += f", {int(same['named'].notna().sum()) or 'none'} of the paper's methods among them"
    return f"{text}; {told}{more} ({tested(int(best.pairs))})."


PRIORS = {
    ("median", 0.0): "none",
    ("median", 0.1): "0.1 × median",
    ("median", 1.0): "median",
    ("median", 10.0): "10 × median",
    ("mean", 1.0): "mean",
}


def size(channels: int) -> str:
    """1, 4, ... or 'all' channels of a layer."""
    return "all" if channels == 0 else str(channels)


def point(row) -> str:
    """A point of the surface in words: '4 channels per factor, prior 10 × median'."""
    channels = "channel" if row.group_size == 1 else "channels"
    return f"{size(row.group_size)} {channels} per factor, prior {PRIORS[row.prior, row.scale]}"


def steps(table: pd.DataFrame) -> str:
    """What stands behind each median, what the last steps gain, and the paper at the same settings. table:
    figures.paper.steps_table."""
    parts = []
    ours = table[(table["whose"] == "here") & (table["dataset"] != "Overall")]
    for dataset, rows in ours.groupby("dataset", sort=False):
        median, count = rows.set_index("step")["median"], int(rows["settings"].max())
        steps = listed(map(str, median.index))
        text = f"{dataset}: median of {counted(count, 'stored setting')}, the same at b = {steps}"
        if {20, 50} <= set(median.index):
            text += f", {100 * (median[50] - median[20]):+.1f} points from b = 20 to 50"
        same = rows["paper_same"].dropna()
        if len(same):
            text += (
                f"; at b = 20 {100 * median[20]:.1f} %, in the paper's table 1 {100 * same.iloc[0]:.1f} % of the same"
            )
        parts.append(text)
    paper = table[table["whose"] == "paper"].set_index(["dataset", "step"])["median"]
    gain = 100 * (paper["Overall", 50] - paper["Overall", 20])
    return (
        f"BN only over settings. {'. '.join(parts)}. The paper's bands are over 16 settings per dataset, not these; "
        f"its median over all of them gains {gain:+.1f} points from b = 20 to 50."
    )
