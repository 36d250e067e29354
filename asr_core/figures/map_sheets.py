"""Spatial maps as one sprite: a row per test image; its input, each network's map, and each one minus dense.

A table of maps (`figures.maps.table`) has a column of values per network, headed by its label; which network a heading
stands for, and the input images, are in its attrs.
"""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from asr_core.figures import sprites, style

SCALES = {
    "row": "per row: each image's maps share the range of its dense map",
    "map": "per map: each map has its own range, so only its form can be compared",
    "global": "global: one range for all, that of the dense maps",
}
TILE, WIDTH, BARS = 112, 1180, 158  # pixels on the screen: of a tile at most, of the figure, of both colour bars
LONG = 280  # pixels of a colour bar, whose title needs them
LINE = 14  # pixels of a line of a column's title
HOVER = (
    "<b>%{customdata[1]}</b>, test image %{customdata[0]}<br>lowest %{customdata[2]}, highest %{customdata[3]}<br>"
    "standard deviation %{customdata[4]}<br>root mean square of the difference to dense %{customdata[5]}<extra></extra>"
)


def shape_of(pixels: pd.DataFrame) -> tuple[int, int]:
    """Rows and columns of the maps."""
    return int(pixels["row"].max()) + 1, int(pixels["column"].max()) + 1


def stacked(pixels: pd.DataFrame) -> np.ndarray:
    """The maps of a table: float32 (image, network, H, W)."""
    height, width = shape_of(pixels)
    maps = [pixels[name].to_numpy(np.float32).reshape(-1, height, width) for name in pixels.attrs["networks"]]
    return np.stack(maps, axis=1)


def finite_range(values: np.ndarray, axes) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest finite value over `axes` (kept); 0 and 0 where none is finite."""
    known = np.isfinite(values)
    low = np.where(known, values, np.inf).min(axes, keepdims=True)
    high = np.where(known, values, -np.inf).max(axes, keepdims=True)
    none = low > high
    return np.where(none, 0, low), np.where(none, 0, high)


def ranges(values: np.ndarray, scale: str, low=None, high=None, span=None) -> list[np.ndarray]:
    """low and high of maps, shape (image, network, 1, 1), and the span of differences, (image, network - 1, 1, 1).

    values: (image, network, H, W). low, high, span: fix those of scale `global`.
    """
    differences = values[:, 1:] - values[:, :1]
    axes = {"map": (2, 3), "row": (1, 2, 3), "global": (0, 1, 2, 3)}[scale]
    own = finite_range(values if scale == "map" else values[:, :1], axes)
    edges = [*own, finite_range(np.abs(differences), axes)[1]]
    if scale == "global":
        given = zip(edges, (low, high, span), strict=True)
        edges = [edge if fixed is None else np.full((1, 1, 1, 1), fixed) for edge, fixed in given]
    count, shown = values.shape[:2]
    return [np.broadcast_to(edge, (count, shown - last, 1, 1)) for edge, last in zip(edges, (0, 0, 1), strict=True)]


def limits(tables) -> dict:
    """The dense range and the largest difference over all tables, for scale `global`."""
    every = [stacked(pixels) for pixels in tables]
    found = [ranges(values, "global") for values in every]
    low, high, span = (np.array([float(part.flat[0]) for part in parts]) for parts in zip(*found, strict=True))
    return {"low": float(low.min()), "high": float(high.max()), "span": float(span.max())}


def input_tiles(pixels: pd.DataFrame, side: int) -> np.ndarray | None:
    """The input images as tiles, or None where they were not on the machine."""
    found = pixels.attrs["inputs"]
    if found is None:
        return None
    return sprites.resized(np.stack([sprites.picture(found[str(image)]) for image in pixels["image"].unique()]), side)


def figure(
    pixels: pd.DataFrame, scale: str = "row", overlay: bool = False, inputs: bool = True, low=None, high=None, span=None
) -> go.Figure:
    """One sprite: a row per image; the input, then each network's map, then each one minus dense.

    scale: `row`, `map` or `global` (see SCALES). overlay: maps half transparent over the input image.
    inputs: whether the input images are drawn, where they are in the table.
    low, high, span: the ranges of scale `global`.
    """
    values, (names, shared) = stacked(pixels), style.titles(style.headed(pixels).values())
    low, high, span = ranges(values, scale, low, high, span)
    side = sprites.side_of(*values.shape[2:])
    shown = sprites.resized(sprites.colour(values, low, high, style.MAGNITUDE), side)
    far = sprites.resized(sprites.colour(values[:, 1:] - values[:, :1], -span, span, style.RATIO), side)
    given = input_tiles(pixels, side) if inputs else None
    if overlay and given is not None:
        grey = given.mean(-1, keepdims=True)[:, None]
        shown = (0.45 * grey + 0.55 * shown).astype(np.uint8)
    blocks = [shown, far] if given is None else [given[:, None], shown, far]
    titles = [*(["input"] if given is not None else []), *names, *(f"{name}<br>− dense" for name in names[1:])]
    made = go.Figure(go.Image(source=sprites.address(sprites.sheet(np.concatenate(blocks, 1))), hoverinfo="skip"))
    _marks(made, pixels, values, side, len(blocks) - 2)
    _bars(made, scale, low, high, span)
    return framed(made, pixels, titles, side, shared)


def marks(made: go.Figure, places: list, side: int, custom: list, hover: str) -> None:
    """Transparent squares over the tiles at `places` (column, row): they answer hover and click."""
    step = side + sprites.GAP
    made.add_scatter(
        x=[column * step + side / 2 for column, _ in places],
        y=[row * step + side / 2 for _, row in places],
        mode="markers",
        marker={"symbol": "square", "size": 60, "opacity": 0},
        customdata=custom,
        showlegend=False,
        hovertemplate=hover,
    )


def _marks(made: go.Figure, pixels: pd.DataFrame, values: np.ndarray, side: int, first: int) -> None:
    """The marks of each map and of its difference to dense; `first`: columns of tiles before the maps."""
    names, places, custom = list(pixels.attrs["networks"]), [], []
    for row, image in enumerate(pixels["image"].unique()):
        for column, name in enumerate(names):
            own = [column, len(names) + column - 1] if column else [0]
            places += [(first + place, row) for place in own]
            custom += [[str(image), name, *_told(values[row, column], values[row, 0])]] * len(own)
    marks(made, places, side, custom, HOVER)


def _told(one: np.ndarray, dense: np.ndarray) -> list[str]:
    """Lowest, highest, standard deviation, and root mean square difference to dense of a map."""
    if not np.isfinite(one).any():
        return ["NaN"] * 4
    far = np.sqrt(np.nanmean((one - dense) ** 2))
    return [f"{number:.3g}" for number in (np.nanmin(one), np.nanmax(one), np.nanstd(one), far)]


def _bars(made: go.Figure, scale: str, low, high, span) -> None:
    """Two colour bars: of the maps, and of the differences."""
    whose = {"row": "of the row's dense map", "map": "of each map", "global": "of all dense maps"}[scale]
    ends = ["lowest", "highest"], ["−largest", "0", "+largest"]
    if scale == "global":
        reach = float(span.flat[0])
        ends = [f"{float(edge.flat[0]):.3g}" for edge in (low, high)], [f"{-reach:.3g}", "0", f"{reach:.3g}"]
    _bar(made, f"activation, range {whose}", style.MAGNITUDE, ends[0], 1.01)
    _bar(made, "difference to dense", style.RATIO, ends[1], 1.14)


def _bar(made: go.Figure, title: str, colours: str, texts: list[str], x: float) -> None:
    bar = {"thickness": 12, "x": x, "y": 1, "yanchor": "top", "lenmode": "pixels", "len": LONG}
    bar |= {"tickvals": list(np.linspace(0, 1, len(texts))), "ticktext": texts}
    bar["title"] = {"text": title, "side": "right"}
    marker = {"colorscale": colours, "cmin": 0, "cmax": 1, "color": [0], "showscale": True, "colorbar": bar}
    made.add_scatter(x=[None], y=[None], mode="markers", hoverinfo="skip", showlegend=False, marker=marker)


def framed(made: go.Figure, pixels: pd.DataFrame, titles: list[str], side: int, shared: str) -> go.Figure:
    """Titles over the columns, files beside the rows, square tiles."""
    rows = pixels.drop_duplicates("image")
    step, shown = side + sprites.GAP, min(TILE, WIDTH // len(titles))
    names = [f"{row['class']}<br>{row['file'].rsplit('/', 1)[-1][-18:]}" for _, row in rows.iterrows()]
    over = LINE * (1 + max(title.count("<br>") for title in titles))
    style.finish(made, 110 + max(LONG, shown * len(rows)), "", "", shared, top=16 + over).update_layout(
        margin={"r": BARS}
    )
    plain = {"tickfont": {"size": 11}, "showgrid": False, "zeroline": False, "constrain": "domain"}
    middle = [i * step + side / 2 for i in range(max(len(titles), len(rows)))]
    across = {"tickvals": middle[: len(titles)], "ticktext": titles, "range": [-1, len(titles) * step]}
    made.update_xaxes(side="top", tickangle=0, **across, **plain)
    down = {"tickvals": middle[: len(rows)], "ticktext": names, "range": [len(rows) * step, -1]}
    made.update_yaxes(scaleanchor="x", constraintoward="top", **down, **plain)
    return made.update_layout(meta={"aspect": len(rows) / len(titles)})  # no blank below where the place is narrow
