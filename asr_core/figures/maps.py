"""Spatial maps: what one channel of one layer answers to test images, in every network."""

from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from asr_core.errors import DataError
from asr_core.figures import Chart, NothingToDraw, map_difference, map_pixels, map_sheets, sprites, style
from asr_core.pipeline import maps
from asr_core.report.sentences import maps as words
from asr_core.spec import experiment as spec
from asr_core.spec.experiment import ExperimentSpec
from asr_core.spec.parts import DataSpec
from asr_core.spec.recalibration import NO_STATE, BatchNormState
from asr_core.spec.repairs import DENSE, NO_REPAIR, RepairSpec
from asr_core.store import Store
from asr_core.store.results import Result


def experiment_of(result: Result, repairs=()) -> ExperimentSpec:
    """The experiment of a stored result, with these repairs."""
    stored = spec.from_dict(result.entry.manifest["spec"])
    return stored.with_(repairs=tuple(style.in_order(repairs)))


def shown_repairs(repairs, state: BatchNormState) -> list[RepairSpec]:
    """Without recalibration BN only is the pruned network: it is not drawn twice."""
    return [repair for repair in repairs if state.calib_batches or repair.order]


def table(
    result: Result,
    store: Store,
    layer: str,
    channel: int,
    repairs=(),
    state: BatchNormState = NO_STATE,
    images: int = 8,
    dense: str | None = None,
    alone: int | None = None,
) -> pd.DataFrame:
    """One row per pixel: image (index into the test split), file, class, row, column, and a column per network.

    Networks are dense, no_repair and those of `repairs` that are stored, headed by their labels; values are in
    activation units. attrs: layer, channel, data, fewer; networks: heading -> COLUMNS; inputs: image -> picture.
    dense: identity of another dense network of the recipe (None: the result's own).
    state: of the repaired networks (NO_STATE: before recalibration). alone: a test image, of which alone the maps are.
    """
    experiment = experiment_of(result, shown_repairs(repairs, state))
    wanted = maps.MapSpec(layer=layer, state=state, images=images, image=alone)
    found = maps.read(experiment, store, dense or result.setting["dense_id"], wanted)
    if found is None or NO_REPAIR not in found.of:
        raise NothingToDraw(f"The maps of {layer} are not stored for this setting.")
    count, channels, height, width = found.of[DENSE].shape
    if not 0 <= channel < channels:
        raise NothingToDraw(f"{layer} has {channels} channels, 0 to {channels - 1}; there is no channel {channel}.")
    columns: dict[str, Any] = {"image": found.images, "file": found.files, "class": found.classes}
    values = {name: np.repeat(of, height * width) for name, of in columns.items()}
    values["row"] = np.tile(np.repeat(np.arange(height), width), count)
    values["column"] = np.tile(np.arange(width), count * height)
    own = {network: np.asarray(of[:, channel], np.float32).ravel() for network, of in found.of.items()}
    made = style.beside(own, **values)
    made.attrs |= {"layer": layer, "channel": int(channel), "data": asdict(experiment.data), "fewer": found.fewer}
    made.attrs["inputs"] = _inputs(experiment.data, store, found.images, sprites.side_of(height, width))
    return made


def _inputs(data: DataSpec, store: Store, images: list[int], side: int) -> dict[str, str] | None:
    """The input images as pictures in tiles of `side` pixels, or None where they are not on this machine."""
    try:
        found = sprites.resized(maps.inputs(data, store, [int(image) for image in images]), side)
    except DataError:
        return None
    return {str(image): sprites.address(tile) for image, tile in zip(images, found, strict=True)}


def one_image(result: Result, store: Store, layer: str, channel: int, image: int, **what) -> pd.DataFrame:
    """The table of a single image, chosen by its index into the test split."""
    pixels = table(result, store, layer, channel, **what)
    attrs, pixels = pixels.attrs, pixels[pixels["image"] == image]
    if pixels.empty:
        raise NothingToDraw(f"No maps of test image {image} are stored here.")
    pixels.attrs = attrs
    return pixels.reset_index(drop=True)


MAPS = Chart(
    "maps.MAPS",
    table,
    map_sheets.figure,
    words.sentence,
    map_sheets.limits,
    map_difference.difference,
    map_difference.difference_figure,
    counts="",
)
PIXELS = Chart("maps.PIXELS", one_image, map_pixels.figure, words.pixel_sentence, map_sheets.limits, counts="")
