"""Sentences about what pruning did to channels and layers, and what repairs made of their variances."""

import numpy as np
import pandas as pd

from asr_core import registry
from asr_core.measure import diagnostics
from asr_core.report import naming
from asr_core.report.words import counted
from asr_core.spec.repairs import NO_REPAIR
from asr_core.store.tables import rows_of

DIVERGED = "its factors were measured before the layers ahead of it were repaired, and their gains multiply with depth"


def strip(table: pd.DataFrame) -> str:
    """Where the damage is. table: figures.overview.strip_table."""
    name, dead = table["shown"].iloc[0], int(table["dead"].sum())
    gone = f"{dead} of {counted(int(table['channels'].sum()), 'channel')} {'is' if dead == 1 else 'are'} dead."
    live = table[np.isfinite(table["damage"])]
    if live.empty:
        return f"No layer has a {name}: {gone}"
    worst, least = live.loc[live["damage"].idxmax()], live["damage"].min()
    if len(live) == 1 or np.isclose(least, worst.damage):
        where = f"of {worst.layer}, the only layer that has one," if len(live) == 1 else "is the same in every layer,"
        return f"The {name} {where} {'is ' if len(live) == 1 else ''}{worst.damage:.3g}. {gone}"
    half = live["depth"] > live["depth"].median()
    early, late = live.loc[~half, "damage"].mean(), live.loc[half, "damage"].mean()
    text = f"The {name} is largest in {worst.layer} ({worst.damage:.3g}); on average it {_trend(early, late)} "
    return f"{text}({early:.3g} in the first half of the layers, {late:.3g} in the second). {gone}"


def _trend(early: float, late: float) -> str:
    if late > 1.25 * early:
        return "grows with depth"
    return "falls with depth" if early > 1.25 * late else "is about as large early as late"


def spread(table: pd.DataFrame) -> str:
    """What the best scalar per layer leaves. table: figures.spread.spread_table."""
    share, more = table["within_share"].iloc[0], table["spread"] > table["shared"].abs()
    if not table["live"].any():
        return "No channel of a repaired layer is live, so no factor can mend anything: the share is undefined."
    if not np.isfinite(share):
        return "No live channel is damaged, so there is nothing to mend: the within-layer share is undefined."
    return (
        f"{share:.1%} of the mean-square damage (ln γ_raw squared) of live channels is left by the best scalar per "
        f"layer; in {int(more.sum())} of {len(table)} repaired layers the channels differ by more than they share."
    )


def cells(table: pd.DataFrame) -> str:
    """How far from 1 the ratios of variances are, per network. table: figures.heatmaps.cells_table."""
    ratios = table[~table["statistic"].isin(("share", "rho"))]
    share = table.loc[table["statistic"] == "share", "value"].mean()
    names, shared = naming.in_words(naming.in_table(ratios))
    parts = []
    for network, rows in naming.each(ratios):
        far, none = rows["log2"].abs().median(), int(rows["value"].eq(0).sum())
        typical = _times(2**far) if np.isfinite(far) else "undefined"
        parts.append(f"{names[network]} {typical}" + (f" ({none} of {len(rows)} are 0)" if none else ""))
    return (
        f"On average {share:.0%} of a layer's channels fall under the dense 5th percentile. "
        f"Typical distance of the quartiles of v / v_dense from 1{shared}: {', '.join(parts)}."
    )


def variances(table: pd.DataFrame, fits: pd.DataFrame) -> str:
    """How far each network's variances are from the dense ones. table: figures.variance.points_table; fits: its
    alphas."""
    shared = naming.in_words(naming.in_table(table))[1]
    layer, channels = table["layer"].iloc[0], table["channel"].nunique()
    dead = int(rows_of(table, NO_REPAIR)["dead"].sum())
    parts = [f"{row.label} {_times(row.alpha_ratio)} (slope {_number(row.alpha_slope)})" for row in fits.itertuples()]
    text = f"Variance of the {counted(channels, 'channel')} of {layer} relative to dense{shared}: {'; '.join(parts)}."
    text += f" Pruning left {dead} without any variance." if dead else ""
    return text + _untouched(table) + _beyond(table)


def _untouched(table: pd.DataFrame) -> str:
    """Methods that left the whole layer as it was, and why: not their factors, a guard."""
    told = []
    for network, rows in naming.each(table[table["fallback"]]):
        why = registry.get("repair method", network.method).fallback_words
        told.append(f"{rows['label'].iloc[0]}: {why} {rows['layer'].iloc[0]}")
    return f" {'; '.join(told)}." if told else ""


def _beyond(table: pd.DataFrame) -> str:
    """Networks whose signal diverged in this layer, and why where that is known."""
    wild = table[table["diverged"]]
    if wild.empty:
        return ""
    parts, stale = [], False
    for network, rows in naming.each(wild):
        finite = rows["v"][np.isfinite(rows["v"])]
        most = f"up to {finite.max():.0e}" if len(finite) else "beyond the range of numbers"
        parts.append(f"{rows['label'].iloc[0]} in {counted(len(rows), 'channel')} ({most})")
        stale |= network.order == "simultaneous"
    why = f": in simultaneous order a layer diverges where {DIVERGED}" if stale else ""
    return f" Diverged, drawn on the upper edge: {', '.join(parts)}{why}."


def _times(value: float) -> str:
    return "undefined" if not np.isfinite(value) else f"×{value:.3g}"


def _number(value: float) -> str:
    return "undefined" if not np.isfinite(value) else f"{value:.2f}"


def spectrum(table: pd.DataFrame) -> str:
    """Which part of the spectrum pruning hit. table: figures.variance.points_table."""
    rows, layer = rows_of(table, NO_REPAIR), table["layer"].iloc[0]
    rows = rows[rows["v_dense"] > diagnostics.FLOOR].sort_values("v_dense")
    if len(rows) < 4:
        return f"{layer} has too few live channels to compare weak with strong ones."
    ratio = (rows["v"] / rows["v_dense"]).to_numpy()
    quarter = max(1, len(rows) // 4)
    weak, strong = np.median(ratio[:quarter]), np.median(ratio[-quarter:])
    return (
        f"Pruning leaves a median {weak:.1%} of the variance in the weakest quarter of the channels and {strong:.1%} "
        f"in the strongest quarter of {layer}."
    )


def panels(table: pd.DataFrame) -> str:
    """In how many layers each network's typical variance is within a factor of two of the dense one. table:
    figures.multiples.panels_table."""
    layers = table["layer"].nunique()
    names, shared = naming.in_words(naming.in_table(table))
    parts = []
    for network, rows in naming.each(table):
        near = rows.loc[rows["middle"].between(0.5, 2), "layer"].nunique()
        parts.append(f"{names[network]} {near} of {layers}")
    return (
        "Layers whose median live channel (of all, drawn or not) is within a factor of 2 of its "
        f"dense variance{shared}: {'; '.join(parts)}."
    )


def energy(table: pd.DataFrame) -> str:
    """Whether channels that keep more weight energy keep more variance. table: figures.energy.energy_table."""
    values = table[["kept_energy", "variance_kept"]].replace([np.inf, -np.inf], np.nan).dropna()
    values = values.astype(float).round(6)  # equal shares that were divided differently are ties
    enough = min(values[name].nunique() for name in values) >= 8
    rank = values.corr("spearman").iloc[0, 1] if enough else np.nan
    less = int((values["variance_kept"] < values["kept_energy"]).sum())
    tie = f"is {rank:.2f}" if np.isfinite(rank) else "is not given for fewer than 8 distinct values"
    return (
        f"Over the {counted(len(values), 'channel')} of {table['layer'].iloc[0]} with dense variance, the rank "
        f"correlation of kept weight energy and kept variance {tie}; {less:,} of them keep less variance than weight "
        "energy."
    )
