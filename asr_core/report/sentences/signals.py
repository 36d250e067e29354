"""Signal or noise in words: what could be mended, what the error consists of, whether shrinkage follows the signal."""

import numpy as np
import pandas as pd

from asr_core.measure.errorparts import PARTS
from asr_core.report import naming
from asr_core.report.signaltext import share
from asr_core.spec.repairs import NO_REPAIR
from asr_core.store.tables import networks, rows_of


def profile(table: pd.DataFrame) -> str:
    """What share of the damage any factor and bias could mend, and how the methods compare in correlation."""
    plain = rows_of(table, NO_REPAIR)
    told = []
    if len(plain):
        value = plain["mendable"].iloc[0]
        told.append(
            "Pruning leaves no error that could be divided up."
            if not np.isfinite(value)
            else f"Of the squared error that pruning leaves, the best factor and bias of every channel could mend "
            f"{share(value)}; the other {share(1 - value)} none can."
        )
    rho = table.groupby(networks(table), sort=False, observed=True)["rho"].median().dropna()
    rho = rho[[network for network in rho.index if network != NO_REPAIR]]
    if len(rho) and rho.max() > rho.min():
        names, shared = naming.in_words(rho.index)
        told.append(
            f"Median correlation over layers{shared}: highest {rho.max():.2f} ({names[rho.idxmax()]}), lowest "
            f"{rho.min():.2f} ({names[rho.idxmin()]})."
        )
    return " ".join(told) or "The methods have equal correlation with the dense outputs, or none that is defined."


def parts(table: pd.DataFrame) -> str:
    """The largest part of each network's error."""
    found = table.groupby(networks(table), sort=False, observed=True)
    names, shared = naming.in_words(found.groups)
    told = [f"{names[network]}: {_largest_part(rows)}" for network, rows in found]
    return f"Largest part of the error{shared}, all layers alike: {'; '.join(told)}."


def _largest_part(rows: pd.DataFrame) -> str:
    """Name and share of the largest part over the layers of one network in which it is finite; how many are not."""
    finite = rows[np.isfinite(rows[list(PARTS)]).all(axis=1)]
    if finite.empty:
        return "not finite in any layer"
    sums, gone = finite[list(PARTS)].sum(), len(rows) - len(finite)
    name = str(sums.idxmax()).removeprefix("error_")
    text = f"{name} {share(sums.max() / sums.sum())}" if sums.sum() > 0 else "no error"
    return f"{text} (not finite in {gone} of {len(rows)} layers)" if gone else text


def shrinkage(table: pd.DataFrame) -> str:
    """Whether shrinkage follows correlation."""
    varied = len(table) > 2 and table["rho"].nunique() > 1 and table["shrinkage"].nunique() > 1
    follows = float(np.corrcoef(table["rho"], table["shrinkage"])[0, 1]) if varied else float("nan")
    said = (
        f"Over its {len(table)} live channels, the paper's shrinkage and the correlation have a correlation of "
        f"{follows:.2f}"
        if np.isfinite(follows)
        else f"Its {len(table)} live channels do not vary enough to say whether shrinkage follows correlation"
    )
    dropped = table["left_out"].iloc[0]
    return f"{table['layer'].iloc[0]}: {said}{f'; {dropped} dead channels are left out' if dropped else ''}."
