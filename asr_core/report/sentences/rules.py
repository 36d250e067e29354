"""Sentences about pruning rules: where they leave the weights, what a repair could mend there, which one wins."""

import numpy as np
import pandas as pd

from asr_core.measure.statistics import AHEAD, EQUAL, UNMEASURED
from asr_core.pipeline.plan import READING
from asr_core.report.naming import percent
from asr_core.report.words import counted, listed, tested
from asr_core.studies import densities, transition


def bars(table: pd.DataFrame) -> str:
    """Per rule, the densest and the sparsest layer. table: figures.allocation.bars_table."""
    parts = []
    for rule, rows in table.groupby("rule", sort=False):
        most, least = rows.loc[rows["density"].idxmax()], rows.loc[rows["density"].idxmin()]
        if np.isclose(most["density"], least["density"], rtol=1e-3):
            where = "its only layer" if len(rows) == 1 else "every layer"
            parts.append(f"{rule} keeps {most['density']:.3g} of {where}")
        else:
            ends = f"{most['density']:.3g} of {most['layer']} and {least['density']:.3g} of {least['layer']}"
            parts.append(f"{rule} keeps {ends}")
    at = percent(table["sparsity"].iloc[0])
    return (
        f"Share of each layer's weights that is kept at {at} sparsity, by {counted(len(parts), 'rule')}: "
        f"{'; '.join(parts)}. The dotted line is the density of all layers together."
    )


def repairability(table: pd.DataFrame) -> str:
    """At the highest trial sparsity: where matching variances leaves least and most. table:
    figures.repairability.repairability_table."""
    rows = table[(table["measure"] == "rr") & (table["sparsity"] == table["sparsity"].max())]
    at, known = percent(rows["sparsity"].iloc[0]), rows.dropna(subset="value")
    if known.empty:
        return f"RR ({READING}) is undefined in every layer at {at}: pruning one layer alone changes nothing."
    best, worst = known.loc[known["value"].idxmin()], known.loc[known["value"].idxmax()]
    text = (
        f"RR ({READING}): with one layer pruned to {at}, channelwise variance matching leaves between "
        f"{best['value']:.2g} of the damage ({best['layer']}) and {worst['value']:.2g} ({worst['layer']}), "
        f"in the median {known['value'].median():.2g}"
    )
    if len(known) == 1:
        text = f"RR ({READING}): with {best['layer']} alone pruned to {at}, {best['value']:.2g} of the damage is left"
    above, absent = int((known["value"] > 1).sum()), len(rows) - len(known)
    text += f"; above 1, that is worse than no repair, in {above} of {counted(len(rows), 'layer')}"
    return text + (f"; undefined in {absent}." if absent else ".")


def bands(table: pd.DataFrame) -> str:
    """Where each rule's repair is ahead of what fails, and where that is not stored. table:
    figures.transition.transition_table."""
    repaired, alone = table["repaired"].iloc[0], alone_in_words(table["b"].iloc[0])
    grid = sorted(table["sparsity"].unique())
    parts = [f"{rule} {band(table[table['rule'] == rule], grid)}" for rule in transition.in_order(table)]
    points = 100 * transition.FAILS
    return (
        f"Where {alone} lies at least {points:g} points under the dense network and {repaired} is ahead of it: "
        f"{'; '.join(parts)}."
    )


def alone_in_words(b: int) -> str:
    """What a repair is compared with: without recalibration, BN only is the pruned network itself."""
    return "BatchNorm recalibration alone" if b else "the pruned network (b = 0: no recalibration)"


def band(rows: pd.DataFrame, grid: list[float]) -> str:
    """The runs of one rule in words: '90 and 94 to 95 %; not stored at 97 %'."""
    said = rows.drop_duplicates("sparsity").set_index("sparsity")["inside"]
    absent = [s for s in grid if said.get(s, transition.ABSENT) == transition.ABSENT]
    untested = [s for s in grid if said.get(s) == UNMEASURED]
    found = transition.runs(rows, grid)
    words = [f"{100 * low:.4g}" if low == high else f"{100 * low:.4g} to {100 * high:.4g}" for low, high in found]
    told = len(grid) - len(absent) - len(untested)
    text = f"at {listed(words)} %" if words else f"at none of {told} stored" if told and told < len(grid) else "at none"
    if not words and not told:
        text = "not told"
    text += f"; not stored at {listed(f'{100 * s:.4g}' for s in absent)} %" if absent else ""
    return text + (f"; not tested at {listed(f'{100 * s:.4g}' for s in untested)} %" if untested else "")


def verdict(found: pd.DataFrame, repaired: str) -> str:
    """At how many sparsities the highest rule is ahead of every other. found: studies.transition.verdict."""
    if found.empty:
        return "No sparsity is stored for two rules with this repair and recalibration, so there is no verdict."
    clear = found[found["ahead_of_all"]]
    names = "; ".join(f"{row.rule} at {100 * row.sparsity:.4g} %" for row in clear.itertuples())
    return (
        f"After {repaired}, one rule is {AHEAD} of every other stored one at **{len(clear)} of {len(found)}** "
        f"sparsities{': ' if names else ''}{names} ({tested(int(found['pairs'].iloc[0]))})."
    )


def verdict_row(row) -> dict:
    """One row of studies.transition.verdict as a reader wants it."""
    noise = f"{row.word}, p = {row.p:.2g}" if row.p == row.p else UNMEASURED
    return {
        "sparsity": f"{100 * row.sparsity:.4g} %",
        "highest": row.rule,
        "top-1": f"{row.top1:.2%}",
        "over the next": f"{100 * row.gain:+.2f} points ({row.second})",
        "that is": noise,
        f"{EQUAL} to": ", ".join(row.level) or "no other stored rule",
        UNMEASURED: ", ".join(row.unmeasured),
        "rules": row.rules,
        "images": row.n_eval,
    }


def protection(table: pd.DataFrame) -> str:
    """Whether ERK keeps more of the projections than every other stored rule. table: studies.densities.densities."""
    answer, rows = densities.over_protects(table), densities.projections(table)
    if rows.empty:
        return "cannot be checked, since this network has no 1x1 projection on a shortcut."
    if answer is None:
        return "needs ERK and another rule stored at this sparsity."
    words = [f"{row.rule} {row.density:.1%} (for {row.share:.1%} of its budget)" for row in rows.itertuples()]
    meaning = (
        "ERK keeps a larger share of the projections' weights than every other rule stored here"
        if answer
        else "another rule stored here keeps as large a share of the projections' weights as ERK"
    )
    return (
        f"**{'it does' if answer else 'it does not'}** keep most of them: {meaning}. Kept of the 1x1 projections: "
        f"{'; '.join(words)}. That it is too much does not follow from this; the accuracies below say what it cost."
    )
