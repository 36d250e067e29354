"""Spatial maps in words: how far each network's maps are from the dense ones."""

import numpy as np
import pandas as pd

from asr_core.figures.map_sheets import shape_of
from asr_core.spec.labels import REFERENCES

READABLE = 4  # maps with fewer rows or columns cannot be read as pictures
DENSE, NO_REPAIR = REFERENCES["dense"], REFERENCES["no_repair"]  # headings of their columns


def errors(pixels: pd.DataFrame) -> pd.DataFrame:
    """Per network by its label: error (rms difference to dense / standard deviation of dense), correlation with dense,
    spread (standard deviation / dense's), over all images; NaN where dense does not vary or values are not finite."""
    dense = pixels[DENSE].to_numpy(float)
    rows = {name: _error(pixels[name].to_numpy(float), dense) for name in list(pixels.attrs["networks"])[1:]}
    return pd.DataFrame.from_dict(rows, orient="index", columns=["error", "correlation", "spread"])


def _error(one: np.ndarray, dense: np.ndarray) -> tuple[float, float, float]:
    deviation = dense.std()
    if not deviation > 0:
        return (np.nan,) * 3
    with np.errstate(all="ignore"):
        spread = one.std() / deviation
        common = ((one - one.mean()) * (dense - dense.mean())).mean()
        both = common / (one.std() * deviation) if spread > 0 else np.nan
        return np.sqrt(np.mean((one - dense) ** 2)) / deviation, both, spread


def sentence(pixels: pd.DataFrame) -> str:
    """How far the pruned maps are from the dense ones, and which repair comes nearest."""
    count, (height, width) = pixels["image"].nunique(), shape_of(pixels)
    what = f"Channel {pixels.attrs['channel']} of {pixels.attrs['layer']}, {count} test image{'s' * (count > 1)}"
    text = f"{what}, maps of {height} × {width}."
    if min(height, width) < READABLE:
        text += f" Maps under {READABLE} × {READABLE} are too small to read as pictures: compare their numbers."
    dense = pixels[DENSE].to_numpy()
    if not np.isfinite(dense).all() or dense.std() == 0:
        return text + " The dense maps do not vary (or are not finite), so there is nothing to compare with."
    found = errors(pixels)
    text += _pruned(found.loc[NO_REPAIR]) + _repaired(found)
    broken = [name for name in found.index if not np.isfinite(pixels[name].to_numpy()).all()]
    return text + (f" Values that are not finite (red): {', '.join(broken)}." if broken else "")


def _pruned(pruned: pd.Series) -> str:
    if pruned["spread"] == 0:
        return " Pruned, the channel is dead: its map is constant, whatever the image, and no factor brings it back."
    return (
        f" Pruned, they vary {pruned['spread']:.2g} times as much as dense ones and differ from them by "
        f"{pruned['error']:.2g} of their standard deviation (correlation {pruned['correlation']:.2f})."
    )


def _repaired(found: pd.DataFrame) -> str:
    rest = found.drop(NO_REPAIR)["error"].dropna()
    if rest.empty:
        return ""
    if np.allclose(rest, found.loc[NO_REPAIR, "error"], rtol=1e-3):
        return " The repairs leave this channel as it is here."
    text = f" Nearest to dense is {rest.idxmin()}: the difference is {rest.min():.2g} of the standard deviation"
    return text + (f", with {rest.idxmax()} {rest.max():.2g}." if len(rest) > 1 else ".")


def pixel_sentence(pixels: pd.DataFrame) -> str:
    """What the networks answer to one image."""
    row = pixels.iloc[0]
    found = errors(pixels)["error"].dropna().sort_values()
    text = f"Test image {row['image']} ({row['file']}, class {row['class']})."
    if found.empty:
        return text + " The dense map does not vary, so there is nothing to compare with."
    parts = ", ".join(f"{name} {error:.2g}" for name, error in found.items())
    return f"{text} Difference to dense, in its standard deviations: {parts}."
