"""Stored answers by class: how much of each class networks get right, and what they say instead. No torch."""

from typing import Any

import numpy as np
import pandas as pd

from asr_core.measure.statistics import compare, wilson
from asr_core.spec.repairs import NO_REPAIR, RepairSpec
from asr_core.store.answers import Answers
from asr_core.store.tables import with_network

OTHER = "another class"


def recalls(said: dict[RepairSpec, Answers], names: tuple[str, ...], repair: RepairSpec) -> pd.DataFrame:
    """Per network and class that has images: COLUMNS, class_index, class, n, right, recall, low and high (95 %,
    Wilson); on the rows of `repair`, p and word of its comparison with no repair on the class's images, corrected by
    Holm over the classes (NaN and '' elsewhere)."""
    labels = next(iter(said.values())).labels
    there = np.unique(labels)
    n = np.array([(labels == each).sum() for each in there])
    tested = _tested(said, there, repair)
    parts = []
    for network, one in said.items():
        right = np.array([one.correct[labels == each].sum() for each in there])
        low, high = wilson(right, n)
        values = {"class_index": there, "class": [name_of(names, each) for each in there], "n": n, "right": right}
        values |= {"recall": right / n, "low": low, "high": high}
        own = network == repair
        values |= {"p": tested["p"] if own else np.nan, "word": tested["word"] if own else ""}
        parts.append(with_network(pd.DataFrame(values), network))
    return pd.concat(parts, ignore_index=True)


def _tested(said: dict[RepairSpec, Answers], there: np.ndarray, repair: RepairSpec) -> dict[str, Any]:
    """p and word by class of `repair` against no repair."""
    bits, asked = {}, []
    for each in there:
        for network in (repair, NO_REPAIR):
            one = said.get(network)
            bits[network, each] = None if one is None else one.correct[one.labels == each]
        asked.append(((repair, each), (NO_REPAIR, each)))
    found = compare(bits, asked)
    return {name: found[name].to_numpy() for name in ("p", "word")}


def name_of(names: tuple[str, ...], place: int) -> str:
    """The name of a class, or 'class 7' where it is not known here.

    >>> name_of(("cat", "dog"), 1), name_of((), 7)
    ('dog', 'class 7')
    """
    return names[place] if place < len(names) else f"class {place}"


def confusions(said: dict[RepairSpec, Answers], names: tuple[str, ...]) -> pd.DataFrame:
    """Per network, class and answer: COLUMNS, class_index, class, answer_index, answer, n, share (of the class's).

    Answers beyond the classes that the images have (a network may know more) are one: OTHER.
    """
    parts = []
    for network, one in said.items():
        classes = int(one.labels.max()) + 1
        answer = np.minimum(one.predictions, classes)
        matrix = np.zeros((classes, classes + int((answer == classes).any())), int)
        np.add.at(matrix, (one.labels, answer), 1)
        place, said_class = np.indices(matrix.shape).reshape(2, -1)
        values = {"class_index": place, "class": [name_of(names, i) for i in place], "answer_index": said_class}
        values["answer"] = [OTHER if i == classes else name_of(names, i) for i in said_class]
        total = matrix.sum(1, keepdims=True)
        share = np.where(total > 0, matrix / np.maximum(total, 1), np.nan)
        parts.append(with_network(pd.DataFrame(values | {"n": matrix.ravel(), "share": share.ravel()}), network))
    return pd.concat(parts, ignore_index=True)
