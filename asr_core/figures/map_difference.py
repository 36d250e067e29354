"""Spatial maps of two settings, one minus the other."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from asr_core.figures import NothingToDraw, map_sheets, sprites, style

PLACE = ["image", "row", "column"]
TOLD = ["image", "file", "class", "row", "column"]
HOVER = (
    "<b>%{customdata[1]}</b>, test image %{customdata[0]}<br>"
    "current − pinned: lowest %{customdata[2]}, highest %{customdata[3]}<br>"
    "root mean square %{customdata[4]}<extra></extra>"
)


def difference(pinned: pd.DataFrame, current: pd.DataFrame) -> pd.DataFrame:
    """Current minus pinned of tables of maps.table: what tells a pixel, and a column per network of both, in activation
    units."""
    ours, theirs = (map_sheets.shape_of(pixels) for pixels in (current, pinned))
    if ours != theirs:
        sizes = " and ".join(f"{height} × {width}" for height, width in (theirs, ours))
        raise NothingToDraw(
            f"The pinned and the current maps are {sizes} values large, so there is no difference to show. "
            "Choose a layer of the same size."
        )
    if any(pinned.attrs["data"][name] != current.attrs["data"][name] for name in ("dataset", "digest")):
        raise NothingToDraw(
            "The pinned and the current maps answer to images of different datasets, so there is no difference to show."
        )
    own = current.attrs["networks"]
    shared = {name: own[name] for name in own if name in pinned.attrs["networks"]}
    both = current.merge(pinned[[*PLACE, *shared]], on=PLACE, suffixes=("", "_pinned"))
    if both.empty:
        raise NothingToDraw(
            "The pinned and the current maps have no test image in common, so there is no difference to show."
        )
    made = both[TOLD].assign(**{name: both[name] - both[f"{name}_pinned"] for name in shared})
    made.attrs = current.attrs | {"networks": shared}
    return made


def spans(values: np.ndarray, scale: str) -> np.ndarray:
    """Largest finite |difference| of each map, of each image's maps, or of all; shape broadcasts to the maps."""
    axes = {"map": (2, 3), "row": (1, 2, 3), "global": (0, 1, 2, 3)}[scale]
    return map_sheets.finite_range(np.abs(values), axes)[1]


def difference_figure(pixels: pd.DataFrame, scale: str = "row", inputs: bool = True, **_ranges) -> go.Figure:
    """One sprite: a row per image; the input where it is known, then each network, current minus pinned; 0 is white."""
    values, (names, shared) = map_sheets.stacked(pixels), style.titles(style.headed(pixels).values())
    span, side = spans(values, scale), sprites.side_of(*values.shape[2:])
    tiles = sprites.resized(sprites.colour(values, -span, span, style.RATIO), side)
    given = map_sheets.input_tiles(pixels, side) if inputs else None
    titles = [f"{name}<br>current − pinned" for name in names]
    if given is not None:
        tiles, titles = np.concatenate([given[:, None], tiles], 1), ["input", *titles]
    made = go.Figure(go.Image(source=sprites.address(sprites.sheet(tiles)), hoverinfo="skip"))
    _marks(made, pixels, values, side, 0 if given is None else 1)
    return map_sheets.framed(made, pixels, titles, side, shared)


def _marks(made: go.Figure, pixels: pd.DataFrame, values: np.ndarray, side: int, first: int) -> None:
    """Transparent squares over the tiles, with the numbers behind the colours."""
    images, names = pixels["image"].unique(), list(pixels.attrs["networks"])
    places = [(column, row) for row in range(len(images)) for column in range(len(names))]
    low, high = (edge.ravel() for edge in map_sheets.finite_range(values, (2, 3)))
    size = np.sqrt(np.mean(np.square(values), axis=(2, 3))).ravel()
    custom = [
        [str(images[row]), names[column], *(f"{number:.3g}" for number in numbers)]
        for (column, row), *numbers in zip(places, low, high, size, strict=True)
    ]
    map_sheets.marks(made, [(first + column, row) for column, row in places], side, custom, HOVER)
