"""The statistics behind every sentence that compares: intervals, paired tests, corrections, correlations. No torch.

Words for a comparison are four, and mean this:

    ahead          more of the same test images right: McNemar's test, corrected for all pairs, gives p < LEVEL
    behind         the same the other way round
    may be equal   tested, and not told apart: no statement that the two are equal
    not measured   one of the two is not stored, or its images are not the same
"""

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

AHEAD, BEHIND, EQUAL, UNMEASURED = "ahead", "behind", "may be equal", "not measured"
LEVEL = 0.05  # of every test, after correction
EXACT = 1000  # images on which two methods differ up to which McNemar's test is exact, beyond by its chi-square
Z = 1.959963984540054  # of a 95 % interval
POWER = 0.8  # with which what is asked for would settle a difference
MANY = 1000  # units from which on t is so nearly normal that how many are needed follows from the normal one's
FEWEST_VALUES, FEWEST_NETWORKS = 8, 5  # under which no correlation is given
DRAWN = 2000  # resamples of networks
PAIRS = ["first", "second", "gain", "low", "high", "only_first", "only_second", "n", "p", "word"]


def wilson(correct: Any, n: Any) -> tuple[Any, Any]:
    """Wilson's 95 % interval (low, high) for `correct` of `n`: numbers, or arrays of them.

    >>> [round(float(edge), 3) for edge in wilson(8, 10)]
    [0.49, 0.943]
    """
    share, over = np.divide(correct, n), np.divide(Z**2, n)  # scipy.stats loads half a second, and does one at a time
    half = np.sqrt(share * (1 - share) * over + (over / 2) ** 2)
    low, high = (share + over / 2 - half) / (1 + over), (share + over / 2 + half) / (1 + over)
    return np.maximum(low, 0.0), np.minimum(high, 1.0)


def mcnemar(only_a: int, only_b: int) -> float:
    """p-value of McNemar's test that two methods are equally often right, from the numbers of images that only one of
    both has right.

    >>> mcnemar(9, 1)
    0.021484375
    """
    return float(_mcnemar(np.array([only_a]), np.array([only_b]))[0])


def _mcnemar(only_a: np.ndarray, only_b: np.ndarray) -> np.ndarray:
    from scipy.special import bdtr, chdtrc  # scipy.stats and statsmodels, which tests compare with, load a second long

    both, apart = only_a + only_b, np.abs(only_a - only_b)
    exact = 2 * bdtr(np.minimum(only_a, only_b), np.minimum(both, EXACT), 0.5)
    rough = chdtrc(1, np.maximum(apart - 1, 0) ** 2 / np.maximum(both, 1))
    return np.minimum(1.0, np.where(both == 0, 1.0, np.where(both <= EXACT, exact, rough)))


def holm(p_values: Any) -> np.ndarray:
    """p-values corrected by Holm for their number; NaN, of what is not measured, stays and does not count.

    >>> holm([0.01, 0.04, float("nan")])
    array([0.02, 0.04,  nan])
    """
    found = np.array(p_values, float)
    known = np.flatnonzero(np.isfinite(found))
    order = known[np.argsort(found[known], kind="stable")]
    steps = np.maximum.accumulate(found[order] * np.arange(len(order), 0, -1))
    found[order] = np.minimum(1.0, steps)
    return found


def difference(only_a: Any, only_b: Any, n: Any) -> tuple[Any, Any, Any]:
    """(value, low, high) of the difference of two shares on the same n images, numbers or arrays of them: 95 % by
    Bonett and Price (2012).

    >>> [round(float(value), 3) for value in difference(9, 1, 100)]
    [0.08, 0.014, 0.143]
    """
    both, middle = (only_a + only_b + 2) / (n + 2), (only_a - only_b) / (n + 2)
    half = Z * np.sqrt(np.maximum(both - middle**2, 0) / (n + 2))
    return (only_a - only_b) / n, middle - half, middle + half


def word(gain: float, p: float) -> str:
    """AHEAD, BEHIND, EQUAL or UNMEASURED from a difference and its corrected p-value."""
    if not (np.isfinite(gain) and np.isfinite(p)):
        return UNMEASURED
    return EQUAL if p >= LEVEL or gain == 0 else AHEAD if gain > 0 else BEHIND


def compare(bits: Mapping[Any, np.ndarray | Any], pairs: Any = None) -> pd.DataFrame:
    """All pairs of what is in `bits` (or these `pairs` of its names), corrected by Holm over them: PAIRS, one row each.

    bits: name -> bool array (image,), the same images for all; None where it is not stored. gain: share of the first
    minus that of the second, with its own 95 % interval; only_first, only_second: images that one of both has right.
    """
    chosen = list(combinations(bits, 2) if pairs is None else pairs)
    counts = np.array([discordant(bits[a], bits[b]) for a, b in chosen], float).reshape(-1, 3)
    only_a, only_b, n = counts.T
    known = np.isfinite(n)
    p = np.full(len(chosen), np.nan)
    p[known] = _mcnemar(only_a[known].astype(int), only_b[known].astype(int))
    p, (gain, low, high) = holm(p), difference(only_a, only_b, n)
    words = [word(*row) for row in zip(gain, p, strict=True)]
    firsts, seconds = zip(*chosen, strict=True) if chosen else ((), ())
    values = [firsts, seconds, gain, low, high, only_a, only_b, n, p, words]
    return pd.DataFrame(dict(zip(PAIRS, values, strict=True)))


def discordant(one: np.ndarray | Any, other: np.ndarray | Any) -> tuple[float, float, float]:
    """Images that only the one, only the other has right, and all; NaN where they cannot be compared."""
    if one is None or other is None or len(one) != len(other) or not len(one):
        return (float("nan"),) * 3
    both = np.count_nonzero(one & other)
    return float(np.count_nonzero(one) - both), float(np.count_nonzero(other) - both), float(len(one))


def settled(gain: float, deviation: float, tests: int = 1) -> float:
    """How many units (draws, seeds), 3 at least, would tell a mean difference of `gain` with this standard deviation
    from 0, by a t-test at LEVEL over so many `tests` (Bonferroni) and POWER; NaN where it cannot be told.

    The least count whose quantiles of t fit between 0 and the difference: what the noncentral t asks for, or one unit
    less. So where as many are there already, the test tells the two apart.

    >>> settled(0.02, 0.02)
    10.0
    """
    from scipy.special import ndtri, stdtrit

    if not (np.isfinite(gain) and np.isfinite(deviation)) or gain == 0:
        return float("nan")
    size, level = abs(gain) / deviation if deviation > 0 else np.inf, 1 - LEVEL / (2 * tests)

    def quantiles(count: Any) -> Any:
        return stdtrit(count - 1, level) + stdtrit(count - 1, POWER)

    counts = np.arange(3.0, MANY)
    enough = quantiles(counts) <= size * np.sqrt(counts)
    if enough.any():
        return float(counts[enough.argmax()])
    nearly = ((ndtri(level) + ndtri(POWER)) / size) ** 2
    return float(np.ceil((quantiles(nearly) / size) ** 2))


def settled_images(only_a: float, only_b: float, n: int, tests: int = 1) -> float:
    """How many test images would tell the two apart by McNemar's test at LEVEL over so many `tests` and POWER, if they
    go on to differ on the same shares of them; infinite where both are right equally often."""
    from scipy.special import ndtri

    apart, both = (only_a - only_b) / n, (only_a + only_b) / n
    if apart == 0:
        return float("inf")
    quantiles = ndtri(1 - LEVEL / (2 * tests)) * np.sqrt(both), ndtri(POWER) * np.sqrt(max(both - apart**2, 0.0))
    return float(np.ceil(sum(quantiles) ** 2 / apart**2))


def correlation(x: Any, y: Any, networks: Any) -> dict[str, Any]:
    """n, distinct (values of the one that has fewer), networks, Pearson and Spearman with 95 % intervals.

    Intervals by resampling networks, not points: points of one network are not independent. NaN with fewer than
    FEWEST_VALUES distinct values of either, or than FEWEST_NETWORKS networks.
    """
    x, y, networks = np.asarray(x, float), np.asarray(y, float), np.asarray(networks, object)
    use = np.isfinite(x) & np.isfinite(y)
    x, y, networks = x[use], y[use], networks[use]
    known = list(dict.fromkeys(networks))
    distinct = min(len(np.unique(x)), len(np.unique(y)))
    names = ("pearson", "pearson_low", "pearson_high", "spearman", "spearman_low", "spearman_high")
    told = {"n": len(x), "distinct": distinct, "networks": len(known)} | dict.fromkeys(names, float("nan"))
    if distinct < FEWEST_VALUES or len(known) < FEWEST_NETWORKS:
        return told
    of = np.array([known.index(network) for network in networks])
    even = np.full(len(known), 1 / len(known))
    times = np.random.default_rng(0).multinomial(len(known), even, DRAWN)[:, of]  # how often each point is drawn
    samples, values = _both(x, y, times), _both(x, y, np.ones((1, len(x))))[:, 0]
    low, high = np.nanpercentile(samples, [2.5, 97.5], axis=1)
    return told | dict(zip(names, (values[0], low[0], high[0], values[1], low[1], high[1]), strict=True))


def _both(x: np.ndarray, y: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Pearson and Spearman (by ranks in all points) of samples that hold each point so many `times`: (2, sample)."""
    from scipy.stats import rankdata

    return np.array([_pearson(x, y, times), _pearson(rankdata(x), rankdata(y), times)])


def _pearson(x: np.ndarray, y: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Weighted Pearson correlation per row of `times`; NaN for constant values."""
    total = times.sum(1, keepdims=True)
    left, right = x - times @ x[:, None] / total, y - times @ y[:, None] / total
    with np.errstate(all="ignore"):
        product = (times * left * right).sum(1) / np.sqrt((times * left**2).sum(1) * (times * right**2).sum(1))
    return np.clip(np.where(np.isfinite(product), product, np.nan), -1, 1)
