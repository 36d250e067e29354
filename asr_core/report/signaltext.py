"""Signal tables in words: what share of the damage a factor and bias could mend."""

import numpy as np
import pandas as pd
from tabulate import tabulate

from asr_core.measure import errorparts
from asr_core.spec import labels
from asr_core.store.tables import networks

HEADERS = ("network", "state", "images", "rho", "mean", "scale", "decorrelation", "mendable")


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Per network, state and images of a `signals.read` table: network, state, images; rho, the median over layers of
    their median; mean, scale, decorrelation, error: means over layers; mendable: see `errorparts.mendable`."""
    rows = []
    parts = dict(zip(errorparts.PARTS, ("mean", "scale", "decorrelation"), strict=True))
    for (network, state, images), group in table.groupby(
        [networks(table), "state", "images"], sort=False, observed=True
    ):
        layers = errorparts.by_layer(group)
        found = {name: layers[part].mean() for part, name in parts.items()}
        whole = {"network": network, "state": state, "images": images, "rho": layers["rho"].median()}
        rows.append(whole | found | {"error": layers["error"].mean(), "mendable": errorparts.mendable(group)})
    return pd.DataFrame(rows)


def share(value: float) -> str:
    """A share of the damage in words."""
    return "undefined" if not np.isfinite(value) else f"{100 * value:.0f} %"


def text(table: pd.DataFrame) -> str:
    """`summary` for the terminal, and what its columns are."""
    found = summary(table)
    rows = [
        (labels.label(r.network), r.state, r.images, r.rho, r.mean, r.scale, r.decorrelation, share(r.mendable))
        for r in found.itertuples()
    ]
    listed = tabulate(rows, headers=HEADERS, floatfmt=".3f")
    return (
        f"{listed}\n\nrho: correlation with the dense output, median over layers of the channels' median; mean, scale, "
        "decorrelation:\nsquared error over dense variance, mean over layers; mendable: the share of it that the best "
        "factor and bias of each\nchannel could take away, each layer with the inputs that it has"
    )
