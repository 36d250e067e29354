"""Test images of a group, with what each network answers and how sure it is, as rows of a table."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from asr_core.errors import DataError
from asr_core.figures import NothingToDraw, sprites
from asr_core.figures.classes import names_of
from asr_core.figures.paying import said
from asr_core.pipeline import maps
from asr_core.spec import labels
from asr_core.spec.experiment import Setting
from asr_core.spec.recalibration import NO_STATE, BatchNormState
from asr_core.spec.repairs import DENSE, NO_REPAIR, RepairSpec
from asr_core.store import Store
from asr_core.store.results import Result
from asr_core.studies import answered, byclass, paying

SIDE = 64  # pixels of a picture
MOST = 24  # images at a time


class Listed(NamedTuple):
    """table: rows of at most MOST images of a group, evenly over all; found: how many there are; why: why there are no
    pictures, or None; unsure: networks whose confidence in single images is not stored, by label.

    Columns: image (index into the test split), picture (data address; not where pictures are not at hand), class, and
    per network its answer, with its confidence where that is stored.
    """

    table: pd.DataFrame
    found: int
    why: str | Any
    unsure: list[str]


def listed(result: Result, store: Store, repairs: Any, state: BatchNormState, repair: RepairSpec, group: str) -> Listed:
    """Images of a group of `paying.GROUPS`; raises NothingToDraw where the answers of `repair` are not stored."""
    there = said(result, repairs, state)
    if repair not in there:
        raise NothingToDraw(f"The answers of {labels.label(repair)} are not stored in this state.")
    places = np.flatnonzero(paying.group({network: one.correct for network, one in there.items()}, group, repair))
    shown = places[np.linspace(0, len(places) - 1, min(MOST, len(places))).round().astype(int)]
    names, (texts, _), unsure = names_of(result, store), labels.labels(there), []
    columns: dict[str, Any] = {"class": [byclass.name_of(names, each) for each in there[DENSE].labels[shown]]}
    for network, one in there.items():
        own = NO_STATE if network in (DENSE, NO_REPAIR) else state
        sure = answered.sureness(result, store, network, own, shown)
        answers = [byclass.name_of(names, each) for each in one.predictions[shown]]
        columns[texts[network]] = answers if sure is None else _with_confidence(answers, sure)
        unsure += [texts[network]] if sure is None else []
    indices, pictures, why = _pictures(result, store, shown)
    front = {"image": indices} | ({"picture": pictures} if pictures else {})
    return Listed(pd.DataFrame(front | columns), len(places), why, unsure)


def _with_confidence(answers: list[str], sure: np.ndarray) -> list[str]:
    return [f"{answer} {100 * own:.0f} %" for answer, own in zip(answers, sure, strict=True)]


def _pictures(result: Result, store: Store, places: np.ndarray) -> tuple[list[int] | None, list[str], str | None]:
    """(indices into the test split, pictures of these images, why there are none)."""
    try:
        indices = answered.test_images(result.setting, store)[places]
    except DataError as error:
        return [-1] * len(places), [], str(error)
    try:
        found = maps.inputs(Setting.from_facts(result.setting).data, store, [int(each) for each in indices])
    except DataError as error:
        return [int(each) for each in indices], [], str(error)
    tiles = sprites.resized(found, SIDE)
    return [int(each) for each in indices], [sprites.address(tile) for tile in tiles], None
