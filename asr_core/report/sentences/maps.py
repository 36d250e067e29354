"""Sentences about one channel: how far each network's maps are from the dense ones, and what is left of its kernel."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from asr_core.report import naming
from asr_core.report.words import counted, listed
from asr_core.spec.labels import REFERENCES

READABLE = 4  # maps with fewer rows or columns cannot be read as pictures
DENSE, NO_REPAIR = REFERENCES["dense"], REFERENCES["no_repair"]  # headings of their columns


def errors(pixels: pd.DataFrame) -> pd.DataFrame:
    """Per network by its label: error (rms difference to dense / standard deviation of dense), correlation with dense,
    spread (standard deviation / dense's), over all images; NaN where dense does not vary or values are not finite."""
    dense = pixels[DENSE].to_numpy(float)
    rows = {name: _error(pixels[name].to_numpy(float), dense) for name in list(pixels.attrs["networks"])[1:]}
    return pd.DataFrame.from_dict(rows, orient="index", columns=["error", "correlation", "spread"])


def _deviation(values: np.ndarray) -> float:
    """Standard deviation; exactly 0 where all values are one, which their rounded mean can miss."""
    return 0.0 if values.min() == values.max() else float(values.std())


def _error(one: np.ndarray, dense: np.ndarray) -> tuple[float, float, float]:
    with np.errstate(all="ignore"):
        deviation = _deviation(dense)
        if not deviation > 0:
            return (np.nan,) * 3
        spread = _deviation(one) / deviation
        common = ((one - one.mean()) * (dense - dense.mean())).mean()
        both = common / (one.std() * deviation) if spread > 0 else np.nan
        return np.sqrt(np.mean((one - dense) ** 2)) / deviation, both, spread


def sentence(pixels: pd.DataFrame) -> str:
    """How far the pruned maps are from the dense ones, and which network comes nearest."""
    count, (height, width) = pixels["image"].nunique(), (pixels[["row", "column"]].max() + 1)
    what = f"Channel {pixels.attrs['channel']} of {pixels.attrs['layer']}, {counted(count, 'test image')}"
    text = f"{what}, maps of {height} × {width}."
    if min(height, width) < READABLE:
        text += f" Maps under {READABLE} × {READABLE} are too small to read as pictures: compare their numbers."
    dense = pixels[DENSE].to_numpy(float)
    if not np.isfinite(dense).all() or _deviation(dense) == 0:
        return text + " The dense maps do not vary (or are not finite), so there is nothing to compare with."
    found = errors(pixels)
    return text + _pruned(found.loc[NO_REPAIR]) + _repaired(pixels, found) + _broken(pixels)


def _broken(pixels: pd.DataFrame) -> str:
    """Whose values are not all finite."""
    names, _ = naming.headed_in_words(pixels)
    broken = [short for name, short in names.items() if not np.isfinite(pixels[name].to_numpy()).all()]
    return f" Values that are not finite (red): {', '.join(broken)}." if broken else ""


def _pruned(pruned: pd.Series) -> str:
    if not np.isfinite(pruned["error"]):
        return ""
    if pruned["spread"] == 0:
        return " Pruned, the channel is dead on these images: its map is constant, and no factor brings it back."
    return (
        f" Pruned, they vary {pruned['spread']:.2g} times as much as dense ones and differ from them by "
        f"{pruned['error']:.2g} of their standard deviation (correlation {pruned['correlation']:.2f})."
    )


def _repaired(pixels: pd.DataFrame, found: pd.DataFrame) -> str:
    rest = found.drop(NO_REPAIR)["error"].replace(np.inf, np.nan).dropna()
    if rest.empty:
        return ""
    plain, pruned = found.loc[NO_REPAIR, "error"], pixels[NO_REPAIR]
    if all(np.allclose(pixels[name], pruned, rtol=1e-3, atol=1e-6) for name in rest.index):
        return " The repairs leave this channel as it is here."
    if np.isfinite(plain) and plain <= rest.min():
        nearest = f"{rest.min():.2g} with {_named(pixels, [rest.idxmin()])}"
        return f" No repair is nearer to dense than none: {plain:.2g}, against {nearest}."
    near = np.isclose(rest, rest.min(), rtol=1e-3)
    best, far = _named(pixels, rest.index[near]), _named(pixels, [rest.idxmax()])
    names, shared = naming.headed_in_words(pixels)
    if best.endswith(shared):  # said once
        far = names[rest.idxmax()]
    text = f" Nearest to dense on these images is {best}: the difference is {rest.min():.2g} of the standard deviation"
    return text + ("." if near.all() else f", with {far} {rest.max():.2g}.")


def _named(pixels: pd.DataFrame, some: Iterable[str]) -> str:
    """Some of the networks, with what all repairs share, unless it says nothing of these: BN only has no order."""
    names, shared = naming.headed_in_words(pixels)
    networks = naming.headed(pixels)
    return listed([names[name] for name in some], "or") + (shared if any(networks[name].order for name in some) else "")


def pixel_sentence(pixels: pd.DataFrame) -> str:
    """What the networks answer to one image."""
    row = pixels.iloc[0]
    found = errors(pixels)["error"].replace(np.inf, np.nan).dropna().sort_values()
    text = f"Test image {row['image']} ({row['file']}, class {row['class']})."
    if found.empty:
        return text + " The dense map does not vary (or is not finite), so there is nothing to compare with."
    names, shared = naming.headed_in_words(pixels)
    parts = ", ".join(f"{names[name]} {error:.2g}" for name, error in found.items())
    what = f"Difference of pruned and repaired maps{shared} to dense, in its standard deviations"
    return f"{text} {what}: {parts}.{_broken(pixels)}"


def kernel(weights: pd.DataFrame) -> str:
    """What pruning left of a kernel, and what the repairs multiply it by. weights: figures.kernels.table."""
    names, shared = naming.headed_in_words(weights)
    dense, pruned, *repaired = (weights[name] for name in names)
    kept, energy = int((pruned != 0).sum()), float((pruned**2).sum() / (dense**2).sum()) if (dense != 0).any() else 0.0
    inputs = weights.loc[pruned != 0, "input"].nunique()
    text = (
        f"Pruning left {kept} of {len(weights)} weights of this kernel, from {inputs} of {weights['input'].nunique()} "
        f"input channels, with {energy:.1%} of its energy (sum of squares)."
    )
    if kept == 0:
        return text + " Nothing is left to scale: the channel is dead."
    factors = [f"{names[of.name]} {of.abs().sum() / pruned.abs().sum():.3g}" for of in repaired]
    return text + (f" Repairs{shared} multiply what is left by: {', '.join(factors)}." if factors else "")
