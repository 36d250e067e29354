"""Top-1 accuracy of a network with its interval."""

from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from asr_core import stats
from asr_core.errors import DataError
from asr_core.intervals import wilson


class Evaluation(NamedTuple):
    """top1 and its 95 % interval in [0, 1]; predictions: class indices, int64, shape (image,)."""

    top1: float
    low: float
    high: float
    predictions: np.ndarray


def logits(model: nn.Module, batches) -> np.ndarray:
    """Outputs (float32, shape (image, class)) over batches (N, 3, H, W), eval mode; the model is not changed."""
    device = next(model.parameters()).device
    with stats.frozen(model):
        found = [model(batch.to(device)).float().cpu().numpy() for batch in batches]
    return np.concatenate(found) if found else np.empty((0, 1), np.float32)


def predictions_of(outputs: np.ndarray) -> np.ndarray:
    """Predicted classes (int64, shape (image,)) of logits; NaN counts as 0, so that a collapsed network predicts too."""
    return np.nan_to_num(outputs).argmax(1)


def score(predictions: np.ndarray, labels) -> Evaluation:
    """Evaluation of predictions against labels, both of shape (image,); raises DataError if shapes differ."""
    labels = np.asarray(labels).reshape(-1)
    if len(labels) != len(predictions) or len(labels) == 0:
        raise DataError(
            f"{len(predictions)} predictions for {len(labels)} labels; give one label per image, at least one."
        )
    correct = int((predictions == labels).sum())
    return Evaluation(correct / len(labels), *wilson(correct, len(labels)), predictions)


def evaluate(model: nn.Module, images, labels, batch_size: int = 256) -> Evaluation:
    """top1, low, high (Wilson 95 %), predictions of `model` in eval mode; it is not changed.

    images: tensor (N, 3, H, W), normalised, or an iterable of batches; labels: N class indices.
    Raises DataError when their numbers differ.
    """
    if torch.is_tensor(images) and len(images) != len(labels):
        raise DataError(f"{len(images)} images but {len(labels)} labels; give one label per image.")
    return score(predictions_of(logits(model, stats.as_batches(images, batch_size))), labels)
