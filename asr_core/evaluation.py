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


def predict(model: nn.Module, batches, after_batch=lambda images: None) -> np.ndarray:
    """Predicted classes (int64, shape (image,)) over batches (N, 3, H, W), eval mode; NaN logits predict class 0."""
    device = next(model.parameters()).device
    found = []
    with stats.frozen(model):
        for batch in batches:
            found.append(model(batch.to(device)).nan_to_num().argmax(1).cpu().numpy())
            after_batch(len(batch))
    return np.concatenate(found) if found else np.empty(0, np.int64)


def score(predictions: np.ndarray, labels) -> Evaluation:
    """Evaluation of predictions against labels, both of shape (image,); raises DataError if shapes differ."""
    labels = np.asarray(labels).reshape(-1)
    if len(labels) != len(predictions) or len(labels) == 0:
        raise DataError(f"{len(predictions)} predictions for {len(labels)} labels; give one label per image, at least one.")
    correct = int((predictions == labels).sum())
    return Evaluation(correct / len(labels), *wilson(correct, len(labels)), predictions)


def evaluate(model: nn.Module, images, labels, batch_size: int = 256) -> Evaluation:
    """top1, low, high (Wilson 95 %), predictions of `model` in eval mode; it is not changed.

    images: tensor (N, 3, H, W), normalised, or an iterable of batches; labels: N class indices.
    Raises DataError when their numbers differ.
    """
    return score(predict(model, stats.as_batches(images, batch_size)), labels)
