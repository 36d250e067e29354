"""Spatial maps: what one channel of one layer answers to test images, in every network."""

from dataclasses import asdict
from functools import lru_cache

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from asr_core import maps, spec
from asr_core.errors import DataError
from asr_core.figures import Chart, NothingToDraw, sprites, style
from asr_core.results import Result
from asr_core.spec import BatchNormState, DataSpec, ExperimentSpec
from asr_core.store import Store, default_root

PIXEL = ("image", "file", "class", "row", "column")
SCALES = {
    "row": "per row: each image's maps share the range of its dense map",
    "map": "per map: each map has its own range, so only its form can be compared",
    "global": "global: one range for all, that of the dense maps",
}
TILE, WIDTH = 112, 1180  # pixels on the screen: of a tile at most, of the figure


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


def table(result: Result, layer: str, channel: int, slugs=(), start="reset", averaging="ema", momentum=0.1, b=0, images=8, dense=None) -> pd.DataFrame:
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
    edges = [*finite_range(values if scale == "map" else values[:, :1], axes), finite_range(np.abs(differences), axes)[1]]
    if scale == "global":
        edges = [own if fixed is None else np.full((1, 1, 1, 1), fixed) for own, fixed in zip(edges, (low, high, span), strict=True)]
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


def figure(pixels: pd.DataFrame, scale: str = "row", overlay: bool = False, inputs: bool = True, low=None, high=None, span=None) -> go.Figure:
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
            numbers = [f"{number:.3g}" for number in (np.nanmin(one), np.nanmax(one), np.nanstd(one), np.sqrt(np.nanmean((one - dense) ** 2)))] if np.isfinite(one).any() else ["NaN"] * 4
            places = [column, len(names) + column - 1] if column else [0]
            for place in places:
                x.append((place + first) * step + side / 2)
                y.append(row * step + side / 2)
                custom.append([str(image), style.label(name), *numbers])
    made.add_scatter(
        x=x, y=y, mode="markers", marker={"symbol": "square", "size": 60, "opacity": 0}, customdata=custom, showlegend=False,
        hovertemplate="<b>%{customdata[1]}</b>, test image %{customdata[0]}<br>lowest %{customdata[2]}, highest %{customdata[3]}<br>"
        "standard deviation %{customdata[4]}<br>root mean square of the difference to dense %{customdata[5]}<extra></extra>",
    )  # fmt: skip


def _bars(made: go.Figure, scale: str, low, high, span) -> None:
    """Two colour bars: of the maps, and of the differences."""
    whose = {"row": "of the row's dense map", "map": "of each map", "global": "of all dense maps"}[scale]
    ends = ["lowest", "highest"], ["−largest", "0", "+largest"]
    if scale == "global":
        reach = float(span.flat[0])
        ends = [f"{float(edge.flat[0]):.3g}" for edge in (low, high)], [f"{-reach:.3g}", "0", f"{reach:.3g}"]
    for title, colours, texts, x in ((f"activation, range {whose}", style.MAGNITUDE, ends[0], 1.01), ("difference to dense", style.RATIO, ends[1], 1.085)):
        made.add_scatter(
            x=[None], y=[None], mode="markers", hoverinfo="skip", showlegend=False,
            marker={
                "colorscale": colours, "cmin": 0, "cmax": 1, "color": [0], "showscale": True,
                "colorbar": {"tickvals": list(np.linspace(0, 1, len(texts))), "ticktext": texts, "thickness": 12, "x": x, "len": 1, "title": {"text": title, "side": "right"}},
            },
        )  # fmt: skip


def framed(made: go.Figure, pixels: pd.DataFrame, titles: list[str], side: int) -> go.Figure:
    """Titles over the columns, files beside the rows, square tiles."""
    rows = pixels.drop_duplicates("image")
    step, shown = side + sprites.GAP, min(TILE, WIDTH // len(titles))
    names = [f"{row['class']}<br>{row['file'].rsplit('/', 1)[-1][-18:]}" for _, row in rows.iterrows()]
    style.finish(made, 110 + shown * len(rows), "", "")
    made.update_xaxes(
        side="top", tickvals=[i * step + side / 2 for i in range(len(titles))], ticktext=titles, tickfont={"size": 11}, tickangle=0,
        showgrid=False, zeroline=False, range=[-1, len(titles) * step], constrain="domain",
    )  # fmt: skip
    made.update_yaxes(
        tickvals=[i * step + side / 2 for i in range(len(rows))], ticktext=names, tickfont={"size": 11}, showgrid=False, zeroline=False,
        range=[len(rows) * step, -1], scaleanchor="x", constrain="domain",
    )  # fmt: skip
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
            both = ((one - one.mean()) * (dense - dense.mean())).mean() / (one.std() * deviation) if spread > 0 else np.nan
            far = np.sqrt(np.mean((one - dense) ** 2)) / deviation if deviation > 0 else np.nan
        rows.append((name, far, both, spread))
    return pd.DataFrame(rows, columns=["slug", "error", "correlation", "spread"])


def sentence(pixels: pd.DataFrame) -> str:
    """How far the pruned maps are from the dense ones, and which repair comes nearest."""
    count, (height, width) = pixels["image"].nunique(), shape_of(pixels)
    text = f"Channel {pixels.attrs['channel']} of {pixels.attrs['layer']}, {count} test image{'s' * (count > 1)}, maps of {height} × {width}."
    if min(height, width) < maps.READABLE:
        text += f" Maps under {maps.READABLE} × {maps.READABLE} are too small to read as pictures: compare their numbers."
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


def one_image(result: Result, layer: str, channel: int, image: int, **what) -> pd.DataFrame:
    """The table of a single image, chosen by its index into the test split."""
    pixels = table(result, layer, channel, **what)
    attrs, pixels = pixels.attrs, pixels[pixels["image"] == image]
    if pixels.empty:
        raise NothingToDraw(f"No maps of test image {image} are stored here.")
    pixels.attrs = attrs
    return pixels.reset_index(drop=True)


def pixel_figure(pixels: pd.DataFrame, scale: str = "row", low=None, high=None, span=None) -> go.Figure:
    """One image: each network's map, and each one minus dense beneath; hover shows every value."""
    values, names = stacked(pixels), networks(pixels)
    low, high, span = (edge[0, :, 0, 0] for edge in ranges(values, scale, low, high, span))
    titles = [short(name) for name in names]
    made = make_subplots(2, len(names), column_titles=titles, horizontal_spacing=0.012, vertical_spacing=0.04)
    for i, name in enumerate(names):
        _grid(made, 1, i + 1, values[0, i], style.MAGNITUDE, low[i], high[i], style.label(name))
        if i:
            _grid(made, 2, i + 1, values[0, i] - values[0, 0], style.RATIO, -span[i - 1], span[i - 1], f"{style.label(name)} − dense")
    style.finish(made, 110 + 2 * min(190, WIDTH // len(names)), "", "")
    made.update_annotations(font_size=11)
    made.update_xaxes(visible=False, constrain="domain")
    made.update_yaxes(visible=False, autorange="reversed", constrain="domain")
    for i in range(1, 2 * len(names) + 1):
        made.layout[f"yaxis{i if i > 1 else ''}"].scaleanchor = f"x{i if i > 1 else ''}"
    made.update_layout(margin={"t": 64})
    return made


def _grid(made: go.Figure, row: int, column: int, values: np.ndarray, colours: str, low: float, high: float, name: str) -> None:
    low, high = (low, high) if high > low else (low - 1, low + 1)
    made.add_heatmap(
        z=values, zmin=float(low), zmax=float(high), colorscale=colours, showscale=False, row=row, col=column,
        hovertemplate=f"{name}<br>row %{{y}}, column %{{x}}: %{{z:.4g}}<extra></extra>",
    )  # fmt: skip


def pixel_sentence(pixels: pd.DataFrame) -> str:
    """What the networks answer to one image."""
    row = pixels.iloc[0]
    found = errors(pixels).dropna(subset="error").sort_values("error")
    text = f"Test image {row['image']} ({row['file']}, class {row['class']})."
    if found.empty:
        return text + " The dense map does not vary, so there is nothing to compare with."
    return text + " Difference to dense, in its standard deviations: " + ", ".join(f"{style.label(r.slug)} {r.error:.2g}" for r in found.itertuples()) + "."


PIXELS = Chart("maps.PIXELS", one_image, pixel_figure, pixel_sentence, limits)


def numbers(result: Result, layer: str, channel: int, slugs=()) -> pd.DataFrame:
    """One channel's numbers, a row per network: variance, after recalibration, ratio to dense, gamma, gamma_raw, shrinkage."""
    row = result.channels[(result.channels["layer"] == layer) & (result.channels["channel"] == channel)].iloc[0]
    rows = [{"slug": "dense", "variance": row["v_dense"]}, {"slug": "no_repair", "variance": row["v_pruned"]}]
    own = result.repairs[(result.repairs["layer"] == layer) & (result.repairs["channel"] == channel)].set_index("slug")
    names = {"v_repaired": "variance", "v_recalibrated": "recalibrated", "gamma": "gamma", "gamma_raw": "gamma_raw", "shrinkage": "shrinkage"}
    rows += [{"slug": slug} | {new: own.loc[slug, old] for old, new in names.items() if old in own} for slug in slugs if slug in own.index]
    made = pd.DataFrame(rows, columns=["slug", *names.values()])
    ratio = made["variance"] / row["v_dense"] if row["v_dense"] > 0 else np.nan
    made.insert(1, "network", [style.label(slug) for slug in made["slug"]])
    return made.assign(ratio=ratio)


def ranking(result: Result, layer: str, slugs=(), stage: str = "repaired") -> pd.DataFrame:
    """Channels of a layer: channel, damage, gain, disagreement, dead.

    With r = sqrt(v / v_dense): damage |r_pruned - 1|; gain: by how much the best of `slugs` makes
    |r - 1| smaller; disagreement: largest minus smallest r among `slugs`. NaN where v_dense is 0.
    """
    rows = result.channels[result.channels["layer"] == layer].set_index("channel")
    dense = rows["v_dense"].where(rows["v_dense"] > 0)
    damage = (np.sqrt(rows["v_pruned"] / dense) - 1).abs()
    own = result.repairs[(result.repairs["layer"] == layer) & result.repairs["slug"].isin(list(slugs))]
    moment = f"v_{stage}" if f"v_{stage}" in own else "v_repaired"
    roots = np.sqrt(own.pivot(index="channel", columns="slug", values=moment).reindex(rows.index).div(dense, axis=0))
    made = pd.DataFrame({"damage": damage, "gain": damage - (roots - 1).abs().min(axis=1), "disagreement": roots.max(axis=1) - roots.min(axis=1)})
    return made.assign(dead=rows["v_pruned"].eq(0) | rows["v_pruned"].isna()).rename_axis("channel").reset_index()


def ranked(found: pd.DataFrame, by: str) -> list[int]:
    """Channels in the order of `by` (`channel`, or a column of `ranking`, largest first; undefined ones last)."""
    if by == "channel":
        return found["channel"].tolist()
    return found.sort_values(by, ascending=False, kind="stable", na_position="last")["channel"].tolist()
