"""How well a network's confidence says how often it is right. numpy and scipy only, no torch.

Confidence is the softmax of the predicted class. Images fall into BINS equal bins of confidence; the expected
calibration error (ECE) is the mean over images of |share right - mean confidence| of their bin (Guo et al. 2017).
"""

from typing import Any

import numpy as np

BINS = 15
HOTTEST = 50.0  # bounds of a temperature: 1 / HOTTEST to HOTTEST


def confidences(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Softmax of the predicted class, float64, shape (image,), of logits (image, class) over `temperature`.

    Where logits are not finite, NaN counts as 0 and infinite ones as large, as predictions take them.
    """
    z = _finite(logits) / temperature
    return 1 / np.exp(z - z.max(1, keepdims=True)).sum(1)


def _finite(logits: np.ndarray) -> np.ndarray:
    return np.nan_to_num(np.asarray(logits, np.float64), posinf=1e300, neginf=-1e300)


def reliability(confidence: np.ndarray, correct: np.ndarray) -> np.ndarray:
    """(BINS, 3): images, sum of confidences and images right of each bin of confidence."""
    place = np.clip(np.ceil(BINS * confidence).astype(int) - 1, 0, BINS - 1)
    columns = np.ones(len(confidence)), confidence, correct
    return np.stack([np.bincount(place, values, BINS) for values in columns], axis=1)


def ece(bins: np.ndarray) -> float:
    """Expected calibration error of `reliability` bins; NaN without images."""
    return float(np.abs(bins[:, 2] - bins[:, 1]).sum() / bins[:, 0].sum()) if bins[:, 0].sum() else float("nan")


def ece_by_chance(bins: np.ndarray) -> float:
    """The calibration error that a network of these confidences would show by chance if it were as sure as right: each
    bin's share right then lies off by sqrt(2 p (1 - p) / (pi n)) on average. NaN without images."""
    n = bins[:, 0]
    if not n.sum():
        return float("nan")
    p = np.clip(bins[:, 1] / np.maximum(n, 1), 0, 1)
    return float(np.sqrt(2 / np.pi * n * p * (1 - p)).sum() / n.sum())


def temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature at which the labels are most likely; in [1 / HOTTEST, HOTTEST]. It is fitted to these very
    images, so that on others it mends less of the likelihood; the calibration error it need not make least."""
    from scipy.optimize import minimize_scalar

    z = _finite(logits)
    z = np.clip(z - z.max(1, keepdims=True), -1e6, 0)
    own = z[np.arange(len(z)), labels]

    def loss(log_temperature: float) -> float:
        scaled = np.exp(-log_temperature)
        return float(np.log(np.exp(scaled * z).sum(1)).mean() - scaled * own.mean())

    edge = np.log(HOTTEST)
    return float(np.exp(minimize_scalar(loss, bounds=(-edge, edge), method="bounded").x))


def measure(logits: np.ndarray, labels: np.ndarray) -> tuple[dict[str, float], np.ndarray]:
    """({confidence: its mean, ece, temperature, ece_tempered: at that temperature}, `reliability` bins)."""
    correct = np.nan_to_num(logits).argmax(1) == labels
    own, best = confidences(logits), temperature(logits, labels)
    bins = reliability(own, correct)
    tempered = reliability(confidences(logits, best), correct)
    found: dict[str, Any] = {"confidence": float(own.mean()), "ece": ece(bins), "temperature": best}
    return found | {"ece_tempered": ece(tempered)}, bins
