"""Spatial maps of two settings, one minus the other: MAPS of figures.maps with its difference view."""

from dataclasses import replace

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from asr_core.figures import NothingToDraw, maps, sprites, style

PLACE = ["image", "row", "column"]


def difference(pinned: pd.DataFrame, current: pd.DataFrame) -> pd.DataFrame:
    """Current minus pinned of tables of maps.table: PIXEL columns and one per network of both, in activation units."""
    ours, theirs = (maps.shape_of(pixels) for pixels in (current, pinned))
    if ours != theirs:
        sizes = " and ".join(f"{height} × {width}" for height, width in (theirs, ours))
        raise NothingToDraw(
            f"The pinned and the current maps are {sizes} values large, so there is no difference to show. Choose a layer of the same size."
        )
    if any(pinned.attrs["data"][name] != current.attrs["data"][name] for name in ("dataset", "digest")):
        raise NothingToDraw(
            "The pinned and the current maps answer to images of different datasets, so there is no difference to show."
        )
    shared = [name for name in maps.networks(current) if name in set(maps.networks(pinned))]
    both = current.merge(pinned[[*PLACE, *shared]], on=PLACE, suffixes=("", "_pinned"))
    if both.empty:
        raise NothingToDraw(
            "The pinned and the current maps have no test image in common, so there is no difference to show."
        )
    made = both[list(maps.PIXEL)].assign(**{name: both[name] - both[f"{name}_pinned"] for name in shared})
    made.attrs = current.attrs
    return made


def spans(values: np.ndarray, scale: str) -> np.ndarray:
    """Largest finite |difference| of each map, of each image's maps, or of all: (image, network, 1, 1) or what broadcasts to it."""
    axes = {"map": (2, 3), "row": (1, 2, 3), "global": (0, 1, 2, 3)}[scale]
    return maps.finite_range(np.abs(values), axes)[1]


def difference_figure(pixels: pd.DataFrame, scale: str = "row", inputs: bool = True, **_ranges) -> go.Figure:
    """One sprite: a row per image; the input where it is on this machine, then each network, current minus pinned; 0 is white."""
    values, names = maps.stacked(pixels), maps.networks(pixels)
    span, side = spans(values, scale), sprites.side_of(*values.shape[2:])
    tiles = sprites.resized(sprites.colour(values, -span, span, style.RATIO), side)
    given = maps.input_tiles(pixels, side) if inputs else None
    titles = [f"{maps.short(name)}<br>current − pinned" for name in names]
    if given is not None:
        tiles, titles = np.concatenate([given[:, None], tiles], 1), ["input", *titles]
    made = go.Figure(go.Image(source=sprites.address(sprites.sheet(tiles)), hoverinfo="skip"))
    _marks(made, pixels, values, side, 0 if given is None else 1)
    return maps.framed(made, pixels, titles, side)


def _marks(made: go.Figure, pixels: pd.DataFrame, values: np.ndarray, side: int, first: int) -> None:
    """Transparent squares over the tiles, with the numbers behind the colours."""
    images, names, step = pixels["image"].unique(), maps.networks(pixels), side + sprites.GAP
    rows, columns = np.divmod(np.arange(len(images) * len(names)), len(names))
    low, high = (edge.ravel() for edge in maps.finite_range(values, (2, 3)))
    size = np.sqrt(np.mean(np.square(values), axis=(2, 3))).ravel()
    made.add_scatter(
        x=(columns + first) * step + side / 2,
        y=rows * step + side / 2,
        mode="markers",
        showlegend=False,
        marker={"symbol": "square", "size": 60, "opacity": 0},
        customdata=[
            [str(images[r]), style.label(names[c]), *(f"{number:.3g}" for number in numbers)]
            for r, c, *numbers in zip(rows, columns, low, high, size, strict=True)
        ],
        hovertemplate="<b>%{customdata[1]}</b>, test image %{customdata[0]}<br>current − pinned: lowest %{customdata[2]}, highest %{customdata[3]}"
        "<br>root mean square %{customdata[4]}<extra></extra>",
    )


MAPS = replace(maps.MAPS, difference=difference, difference_figure=difference_figure)
