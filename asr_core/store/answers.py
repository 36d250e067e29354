"""What each network of a result says of each test image: file correct.npz. numpy only, no torch.

Per row of the result's accuracy table: `bits`, whether each image is right (packed); `answers`, (prediction - label)
modulo the number of classes, so that 0 is right and a file of mostly right answers is small; `bins`, the bins of
`asr_core.measure.confidence`. And `labels` of the images, and their number `n`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from asr_core.store.entries import Entry

FILE = "correct"


@dataclass(frozen=True, eq=False)
class Answers:
    """labels: (image,); predictions: (row, image), classes; bins: (row, bin, 3): images, sum of confidences, right.

    The rows are those of the accuracy table that lies beside them; of one of them, `row` is without that axis.
    """

    labels: np.ndarray
    predictions: np.ndarray
    bins: np.ndarray

    @property
    def correct(self) -> np.ndarray:
        """Whether each row's network is right, (row, image)."""
        return self.predictions == self.labels

    def row(self, place: int) -> "Answers":
        """What one network says: predictions (image,), bins (bin, 3)."""
        return Answers(self.labels, self.predictions[place], self.bins[place])


def packed(kept: Sequence[dict[str, np.ndarray]], labels: np.ndarray, classes: int | Any) -> dict[str, np.ndarray]:
    """The content of the file, of arrays `predictions` and `bins` per row."""
    labels = np.asarray(labels)
    predictions = np.array([arrays["predictions"] for arrays in kept], np.int64).reshape(len(kept), len(labels))
    classes = max(int(classes), 1 + int(predictions.max(initial=0)))  # a network may know more classes than its images
    small = np.uint8 if classes <= 256 else np.uint16
    return {
        "bits": np.packbits(predictions == labels, axis=1),
        "n": np.array(len(labels)),
        "labels": labels.astype(small),
        "answers": ((predictions - labels) % classes).astype(small),
        "classes": np.array(classes),
        "bins": np.array([arrays["bins"] for arrays in kept], np.float32),
    }


def read(entry: Entry) -> Answers | None:
    """The answers of a stored result, or None: results of before have only whether each is right."""
    if not entry.has(f"{FILE}.npz") or "answers" not in (found := entry.arrays(FILE)):
        return None
    labels = found["labels"].astype(np.int64)
    return Answers(labels, (found["answers"].astype(np.int64) + labels) % int(found["classes"]), found["bins"])
