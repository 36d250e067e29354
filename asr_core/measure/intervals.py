"""Statistics of accuracies: no torch, so that pages can use it."""

import numpy as np


def wilson(correct: int, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval (low, high) for `correct` of `n`."""
    from scipy.stats import binomtest

    interval = binomtest(int(correct), int(n)).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)


def mcnemar(correct_a: np.ndarray, correct_b: np.ndarray) -> float:
    """p-value of McNemar's exact test that two methods are equally often right; bool arrays, same images."""
    from scipy.stats import binomtest

    only_a, only_b = int((correct_a & ~correct_b).sum()), int((~correct_a & correct_b).sum())
    return 1.0 if only_a + only_b == 0 else float(binomtest(only_a, only_a + only_b).pvalue)
