"""Spatial maps: what one channel of one layer answers to test images, in every network."""

from dataclasses import asdict
from functools import lru_cache

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from asr_core.errors import DataError
from asr_core.figures import Chart, NothingToDraw, sprites, style
from asr_core.pipeline import maps
from asr_core.spec import experiment as spec
from asr_core.spec.experiment import DataSpec, ExperimentSpec
from asr_core.spec.grid import BatchNormState
from asr_core.store import Store, default_root
from asr_core.store.results import Result

PIXEL = ("image", "file", "class", "row", "column")
SCALES = {
    "row": "per row: each image's maps share the range of its dense map",
    "map": "per map: each map has its own range, so only its form can be compared",
    "global": "global: one range for all, that of the dense maps",
}
TILE, WIDTH, BARS = 112, 1180, 158  # pixels on the screen: of a tile at most, of the figure, of both colour bars


@lru_cache(2)
def opened_store(root: str) -> Store:
    """The store at `root`, opened once: its files are checked once."""
    return Store(root)


def experiment_of(result: Result, slugs=()) -> ExperimentSpec:
    """The experiment of a stored result, with the repairs `slugs`."""
    stored = spec.from_dict(result.entry.manifest["spec"])
    return stored.with_(repairs=tuple(maps.repair_of(slug) for slug in slugs))


def wanted_of(layer: str, start="reset", averaging="ema", momentum=0.1, b=0, images=8) -> maps.MapSpec:
    """Which maps; b = 0: networks as repaired, before recalibration."""
    state = BatchNormState.of(start, averaging, momentum, b)
    return maps.MapSpec(layer=layer, state=state, images=images)


def shown_slugs(slugs, b: int) -> list[str]:
    """Without recalibration BN only is the pruned network: it is not drawn twice."""
    return [slug for slug in slugs if b or maps.repair_of(slug).order]


def table(
    result: Result,
    layer: str,
    channel: int,
    slugs=(),
    start="reset",
    averaging="ema",
    momentum=0.1,
    b=0,
    images=8,
    dense=None,
) -> pd.DataFrame:
    """One row per pixel: image (index into the test split), file, class, row, column, and a column per network.

    Networks are dense, no_repair and those of `slugs` that are stored; values are in activation units.
    dense: identity of another dense network of the recipe (None: the result's own).
    """
    slugs = shown_slugs(slugs, b)
    experiment = experiment_of(result, slugs)
    wanted = wanted_of(layer, start, averaging, momentum, b, images)
    found = maps.read(experiment, opened_store(str(default_root())), dense or result.setting["dense_id"], wanted)
    if found is None or "no_repair" not in found.of:
        raise NothingToDraw(f"The maps of {layer} are not stored for this setting; compute them.")
    count, channels, height, width = found.of["dense"].shape
    if not 0 <= channel < channels:
        raise NothingToDraw(f"{layer} has {channels} channels, 0 to {channels - 1}; there is no channel {channel}.")
    repeat = height * width
    columns = {"image": found.images, "file": found.files, "class": found.classes}
    values = {name: np.repeat(of, repeat) for name, of in columns.items()}
    values["row"] = np.tile(np.repeat(np.arange(height), width), count)
    values["column"] = np.tile(np.arange(width), count * height)
    values |= {name: np.asarray(array[:, channel], np.float32).ravel() for name, array in found.of.items()}
    made = pd.DataFrame(values)
    made.attrs = {"layer": layer, "channel": int(channel), "data": asdict(experiment.data), "fewer": found.fewer}
    return made


def networks(pixels: pd.DataFrame) -> list[str]:
    """The networks of a table, dense first."""
    return [name for name in pixels.columns if name not in PIXEL]


def shape_of(pixels: pd.DataFrame) -> tuple[int, int]:
    """Rows and columns of the maps."""
    return int(pixels["row"].max()) + 1, int(pixels["column"].max()) + 1


def stacked(pixels: pd.DataFrame) -> np.ndarray:
    """The maps of a table: float32 (image, network, H, W)."""
    height, width = shape_of(pixels)
    return np.stack([pixels[name].to_numpy(np.float32).reshape(-1, height, width) for name in networks(pixels)], axis=1)


def finite_range(values: np.ndarray, axes) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest finite value over `axes` (kept); 0 and 0 where none is finite."""
    known = np.isfinite(values)
    low = np.where(known, values, np.inf).min(axes, keepdims=True)
    high = np.where(known, values, -np.inf).max(axes, keepdims=True)
    none = low > high
    return np.where(none, 0, low), np.where(none, 0, high)


def ranges(values: np.ndarray, scale: str, low=None, high=None, span=None) -> list[np.ndarray]:
    """low and high of the maps, shape (image, network, 1, 1), and the span of the differences, (image, network - 1, 1, 1).

    values: (image, network, H, W). low, high, span: fix those of scale `global`.
    """
    differences = values[:, 1:] - values[:, :1]
    axes = {"map": (2, 3), "row": (1, 2, 3), "global": (0, 1, 2, 3)}[scale]
    edges = [
        *finite_range(values if scale == "map" else values[:, :1], axes),
        finite_range(np.abs(differences), axes)[1],
    ]
    if scale == "global":
        edges = [
            own if fixed is None else np.full((1, 1, 1, 1), fixed)
            for own, fixed in zip(edges, (low, high, span), strict=True)
        ]
    count, shown = values.shape[:2]
    return [np.broadcast_to(edge, (count, shown - last, 1, 1)) for edge, last in zip(edges, (0, 0, 1), strict=True)]


def limits(tables) -> dict:
    """The dense range and the largest difference over all tables, for scale `global`."""
    every = [stacked(pixels) for pixels in tables]
    found = [ranges(values, "global") for values in every]
    low, high, span = (np.array([float(part.flat[0]) for part in parts]) for parts in zip(*found, strict=True))
    return {"low": float(low.min()), "high": float(high.max()), "span": float(span.max())}


def input_tiles(pixels: pd.DataFrame, side: int) -> np.ndarray | None:
    """The input images as tiles, or None where they are not on this machine."""
    try:
        indices = [int(i) for i in pixels["image"].unique()]
        found = maps.inputs(DataSpec(**pixels.attrs["data"]), opened_store(str(default_root())), indices)
    except DataError:
        return None
    return sprites.resized(found, side)


def figure(
    pixels: pd.DataFrame, scale: str = "row", overlay: bool = False, inputs: bool = True, low=None, high=None, span=None
) -> go.Figure:
    """One sprite: a row per image; the input, then each network's map, then each one minus dense.

    scale: `row`, `map` or `global` (see SCALES). overlay: maps half transparent over the input image.
    inputs: whether the input images are drawn, where they are on this machine.
    low, high, span: the ranges of scale `global`.
    """
    values, names = stacked(pixels), networks(pixels)
    low, high, span = ranges(values, scale, low, high, span)
    side = sprites.side_of(*values.shape[2:])
    shown = sprites.resized(sprites.colour(values, low, high, style.MAGNITUDE), side)
    far = sprites.resized(sprites.colour(values[:, 1:] - values[:, :1], -span, span, style.RATIO), side)
    given = input_tiles(pixels, side) if inputs else None
    if overlay and given is not None:
        grey = given.mean(-1, keepdims=True)[:, None]
        shown = (0.45 * grey + 0.55 * shown).astype(np.uint8)
    blocks = [shown, far] if given is None else [given[:, None], shown, far]
    titles = [] if given is None else ["input"]
    titles += [short(name) for name in names] + [f"{short(name)}<br>− dense" for name in names[1:]]
    made = go.Figure(go.Image(source=sprites.address(sprites.sheet(np.concatenate(blocks, 1))), hoverinfo="skip"))
    _marks(made, pixels, values, side, 0 if given is None else 1)
    _bars(made, scale, low, high, span)
    return framed(made, pixels, titles, side)


def short(name: str) -> str:
    """A network's name on several lines."""
    return {"dense": "dense", "no_repair": "pruned"}.get(name) or style.label(name).replace(" · ", "<br>")


def _marks(made: go.Figure, pixels: pd.DataFrame, values: np.ndarray, side: int, first: int) -> None:
    """Transparent squares over the tiles: what a tile holds on hover, and what a click selects."""
    images, names = pixels["image"].unique(), networks(pixels)
    step, x, y, custom = side + sprites.GAP, [], [], []
    for row, image in enumerate(images):
        for column, name in enumerate(names):
            one, dense = values[row, column], values[row, 0]
            numbers = (
                [
                    f"{number:.3g}"
                    for number in (
                        np.nanmin(one),
                        np.nanmax(one),
                        np.nanstd(one),
                        np.sqrt(np.nanmean((one - dense) ** 2)),
                    )
                ]
                if np.isfinite(one).any()
                else ["NaN"] * 4
            )
            places = [column, len(names) + column - 1] if column else [0]
            for place in places:
                x.append((place + first) * step + side / 2)
                y.append(row * step + side / 2)
                custom.append([str(image), style.label(name), *numbers])
    made.add_scatter(
        x=x,
        y=y,
        mode="markers",
        marker={"symbol": "square", "size": 60, "opacity": 0},
        customdata=custom,
        showlegend=False,
        hovertemplate="<b>%{customdata[1]}</b>, test image %{customdata[0]}<br>lowest %{customdata[2]}, highest %{customdata[3]}<br>"
        "standard deviation %{customdata[4]}<br>root mean square of the difference to dense %{customdata[5]}<extra></extra>",
    )


def _bars(made: go.Figure, scale: str, low, high, span) -> None:
    """Two colour bars: of the maps, and of the differences."""
    whose = {"row": "of the row's dense map", "map": "of each map", "global": "of all dense maps"}[scale]
    ends = ["lowest", "highest"], ["−largest", "0", "+largest"]
    if scale == "global":
        reach = float(span.flat[0])
        ends = [f"{float(edge.flat[0]):.3g}" for edge in (low, high)], [f"{-reach:.3g}", "0", f"{reach:.3g}"]
    for title, colours, texts, x in (
        (f"activation, range {whose}", style.MAGNITUDE, ends[0], 1.01),
        ("difference to dense", style.RATIO, ends[1], 1.085),
    ):
        made.add_scatter(
            x=[None],
            y=[None],
            mode="markers",
            hoverinfo="skip",
            showlegend=False,
            marker={
                "colorscale": colours,
                "cmin": 0,
                "cmax": 1,
                "color": [0],
                "showscale": True,
                "colorbar": {
                    "tickvals": list(np.linspace(0, 1, len(texts))),
                    "ticktext": texts,
                    "thickness": 12,
                    "x": x,
                    "y": 1,
                    "yanchor": "top",
                    "lenmode": "pixels",
                    "len": 280,
                    "title": {"text": title, "side": "right"},
                },
            },
        )


def framed(made: go.Figure, pixels: pd.DataFrame, titles: list[str], side: int) -> go.Figure:
    """Titles over the columns, files beside the rows, square tiles."""
    rows = pixels.drop_duplicates("image")
    step, shown = side + sprites.GAP, min(TILE, WIDTH // len(titles))
    names = [f"{row['class']}<br>{row['file'].rsplit('/', 1)[-1][-18:]}" for _, row in rows.iterrows()]
    style.finish(made, 110 + shown * len(rows), "", "").update_layout(margin={"r": BARS})
    made.update_xaxes(
        side="top",
        tickvals=[i * step + side / 2 for i in range(len(titles))],
        ticktext=titles,
        tickfont={"size": 11},
        tickangle=0,
        showgrid=False,
        zeroline=False,
        range=[-1, len(titles) * step],
        constrain="domain",
    )
    made.update_yaxes(
        tickvals=[i * step + side / 2 for i in range(len(rows))],
        ticktext=names,
        tickfont={"size": 11},
        showgrid=False,
        zeroline=False,
        range=[len(rows) * step, -1],
        scaleanchor="x",
        constrain="domain",
        constraintoward="top",
    )
    return made


def errors(pixels: pd.DataFrame) -> pd.DataFrame:
    """Per network: error (rms difference to dense / standard deviation of dense), correlation with dense, spread
    (standard deviation / dense's), over all images; NaN where dense does not vary or values are not finite."""
    dense = pixels["dense"].to_numpy(float)
    deviation, rows = dense.std(), []
    for name in networks(pixels)[1:]:
        one = pixels[name].to_numpy(float)
        with np.errstate(all="ignore"):
            spread = one.std() / deviation if deviation > 0 else np.nan
            both = (
                ((one - one.mean()) * (dense - dense.mean())).mean() / (one.std() * deviation) if spread > 0 else np.nan
            )
            far = np.sqrt(np.mean((one - dense) ** 2)) / deviation if deviation > 0 else np.nan
        rows.append((name, far, both, spread))
    return pd.DataFrame(rows, columns=["slug", "error", "correlation", "spread"])


def sentence(pixels: pd.DataFrame) -> str:
    """How far the pruned maps are from the dense ones, and which repair comes nearest."""
    count, (height, width) = pixels["image"].nunique(), shape_of(pixels)
    text = f"Channel {pixels.attrs['channel']} of {pixels.attrs['layer']}, {count} test image{'s' * (count > 1)}, maps of {height} × {width}."
    if min(height, width) < maps.READABLE:
        text += (
            f" Maps under {maps.READABLE} × {maps.READABLE} are too small to read as pictures: compare their numbers."
        )
    found = errors(pixels).set_index("slug")
    pruned = found.loc["no_repair"]
    if not np.isfinite(pixels["dense"].to_numpy()).all() or pixels["dense"].std() == 0:
        return text + " The dense maps do not vary (or are not finite), so there is nothing to compare with."
    if pruned["spread"] == 0:
        text += " Pruned, the channel is dead: its map is constant, whatever the image, and no factor brings it back."
    else:
        text += f" Pruned, they vary {pruned['spread']:.2g} times as much as dense ones and differ from them by {pruned['error']:.2g} of their standard deviation (correlation {pruned['correlation']:.2f})."
    rest = found.drop("no_repair")["error"].dropna()
    if len(rest) and np.allclose(rest, pruned["error"], rtol=1e-3):
        text += " The repairs leave this channel as it is here."
    elif len(rest):
        text += f" Nearest to dense is {style.label(rest.idxmin())}: the difference is {rest.min():.2g} of the standard deviation"
        text += f", with {style.label(rest.idxmax())} {rest.max():.2g}." if len(rest) > 1 else "."
    broken = [style.label(name) for name in networks(pixels)[1:] if not np.isfinite(pixels[name].to_numpy()).all()]
    return text + (f" Values that are not finite (red): {', '.join(broken)}." if broken else "")


MAPS = Chart("maps.MAPS", table, figure, sentence, limits)
