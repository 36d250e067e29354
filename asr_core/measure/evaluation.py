"""Top-1 accuracy of a network with its interval."""

import warnings
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from asr_core.checks import whole
from asr_core.errors import DataError, ModelError, SpecError
from asr_core.measure import guards, stats
from asr_core.measure.guards import Images
from asr_core.measure.statistics import wilson
from asr_core.networks.outputs import described


class Evaluation(NamedTuple):
    """top1 and its 95 % interval in [0, 1]; predictions: class indices, int64, shape (image,)."""

    top1: float
    low: float
    high: float
    predictions: np.ndarray


def logits(model: nn.Module, images: Images, output: Any = None, size: int = 256) -> np.ndarray:
    """Outputs (float32, shape (image, class)) over images (`guards.batches`), eval mode; the model is not changed.

    output: the key or index of the logits, where the network returns a dict or tuple. Raises ModelError for outputs
    that are no logits.
    """
    with stats.frozen(model):
        found = [_logits_of(model, batch, output) for batch in guards.batches(images, size)]
    return np.concatenate(found) if found else np.empty((0, 1), np.float32)


def _logits_of(model: nn.Module, batch: torch.Tensor, output: Any) -> np.ndarray:
    """The logits (image, class) of one batch."""
    given, images = guards.forward(model, batch), len(batch)
    found = given if output is None else _picked(given, output)
    if not isinstance(found, torch.Tensor):
        raise ModelError(
            f"the network returns {described(found)}; name its logits with output=, or wrap it to return them."
        )
    if found.ndim != 2 or len(found) != images or found.shape[1] < 2:
        one = (
            " (of one logit for two classes, give both: torch.cat([-z, z], 1))" if found.shape[1:] in ((), (1,)) else ""
        )
        raise ModelError(
            f"the network returns shape {tuple(found.shape)} for {images} images; it must be (images, classes) "
            f"with 2 classes or more{one}."
        )
    return found.float().cpu().numpy()


def _picked(given: Any, output: Any) -> Any:
    try:
        return given[output]
    except (KeyError, IndexError, TypeError, AttributeError, RuntimeError):
        raise SpecError(f"output is {output!r}, but the network returns {described(given)}.") from None


def predictions_of(outputs: np.ndarray) -> np.ndarray:
    """Predicted classes (int64, shape (image,)) of logits; NaN counts as 0, so that a collapsed network predicts
    too."""
    return np.nan_to_num(outputs).argmax(1)


def score(predictions: np.ndarray, labels: Any) -> Evaluation:
    """Evaluation of predictions against labels, both of shape (image,); raises DataError if shapes differ."""
    labels = np.asarray(labels).reshape(-1)
    if len(labels) != len(predictions) or len(labels) == 0:
        raise DataError(
            f"{len(predictions)} predictions for {len(labels)} labels; give one label per image, at least one."
        )
    correct = int((predictions == labels).sum())
    low, high = wilson(correct, len(labels))
    return Evaluation(correct / len(labels), float(low), float(high), predictions)


def evaluate(
    model: nn.Module, images: Images, labels: Any = None, batch_size: int = 256, output: Any = None
) -> Evaluation:
    """top1, low, high (Wilson 95 %), predictions of `model` in eval mode; it is not changed.

    images: tensor or array (N, 3, H, W), normalised, or an iterable of batches, also of (images, labels) as a
    DataLoader gives. labels: N class indices; None: those of the batches, which must agree with `labels` where both are
    there (a loader that shuffles gives others). output: the key or index of the logits, where the network returns a
    dict or tuple: `evaluate(model, loader, output="logits")`. Warns of outputs that are not finite. Raises DataError
    for labels that are no classes of the network, or not as many as images, ModelError for outputs that are not (N,
    classes).

    >>> from asr_core.networks.cifar_resnet import CifarResNet
    >>> found = evaluate(CifarResNet(20, 10), torch.randn(8, 3, 32, 32), torch.arange(8))
    >>> found.predictions.shape, found.low <= found.top1 <= found.high
    ((8,), True)
    """
    model, size = guards.network(model, convs=False), whole("batch_size", batch_size, 1)
    known, batches = None if labels is None else guards.class_labels(labels), guards.pairs(images, size)
    if isinstance(images, (torch.Tensor, np.ndarray)) and known is not None:
        _check_count(len(images), len(known))
    theirs, parts = [], []
    with stats.frozen(model):
        for batch, given in batches:
            with suppress(TypeError):  # of what has no length
                _check_count(len(batch), len(given))
            parts.append(_logits_of(model, batch, output))
            theirs.append(given)
            _check_classes(known, parts[0].shape[1])
    outputs = np.concatenate(parts) if parts else np.empty((0, 1), np.float32)
    known = _agreed(known, theirs)
    _check_classes(known, outputs.shape[1])
    if wild := int((~np.isfinite(outputs)).any(1).sum()):
        warnings.warn(f"outputs of {wild} of {len(outputs)} images are NaN or infinite; NaN counts as 0", stacklevel=2)
    return score(predictions_of(outputs), known)


def _check_count(images: int, labels: int) -> None:
    if images != labels:
        raise DataError(f"{images} images but {labels} labels; give one label per image.")


def _check_classes(labels: np.ndarray | None, classes: int) -> None:
    if labels is not None and len(labels) and labels.max() >= classes > 1:
        raise DataError(
            f"a label is {labels.max()}, but the network has {classes} outputs, classes 0 to {classes - 1}."
        )


def _agreed(labels: np.ndarray | None, theirs: list) -> np.ndarray:
    """The labels: those given, or the batches' own; raises DataError where both are there and differ, or neither is."""
    if any(given is None for given in theirs) or (not theirs and labels is not None):
        if labels is None:
            raise DataError("labels is None and the batches hold none; give labels, or batches of (images, labels).")
        return labels
    own = np.concatenate([guards.class_labels(given) for given in theirs]) if theirs else np.empty(0, np.int64)
    if labels is not None and len(labels) == len(own) and (wrong := int((labels != own).sum())):
        raise DataError(
            f"{wrong} of {len(own)} labels differ from the batches' own: does the loader shuffle? Leave labels "
            "out to use its own."
        )
    return own if labels is None else labels
