"""Many small pictures as one PNG: colours from numpy, tiles with gaps, a data address. One is faster than dozens."""

import base64
import io
from functools import lru_cache

import numpy as np

GAP = 4  # pixels between tiles
UNDEFINED = (170, 60, 60)  # NaN and infinite values: a colour of neither scale
LEVELS = 256


@lru_cache(8)
def palette(name: str) -> np.ndarray:
    """256 colours of a Plotly scale: uint8 (256, 3)."""
    from plotly.colors import sample_colorscale

    colours = sample_colorscale(name, list(np.linspace(0, 1, LEVELS)))
    return np.array([[float(part) for part in text[4:-1].split(",")] for text in colours]).round().astype(np.uint8)


def colour(values: np.ndarray, low, high, scale: str) -> np.ndarray:
    """Colours of values clipped to [low, high]: uint8 (..., 3); a range without width is drawn in the middle.

    low, high: numbers or arrays that broadcast against `values`.
    """
    width = np.asarray(high, float) - np.asarray(low, float)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        place = np.where(width > 0, (values - low) / width, 0.5)
    known = np.isfinite(values) & np.isfinite(place)
    level = np.clip(np.where(known, place, 0.5) * (LEVELS - 1), 0, LEVELS - 1).round().astype(int)
    return np.where(known[..., None], palette(scale)[level], np.array(UNDEFINED, np.uint8))


def resized(pictures: np.ndarray, side: int) -> np.ndarray:
    """Pictures (..., H, W, 3) as squares of `side` pixels: each pixel is the nearest one, nothing is smoothed."""
    rows, columns = (np.arange(side) * size // side for size in pictures.shape[-3:-1])
    return pictures[..., rows, :, :][..., columns, :]


def side_of(height: int, width: int) -> int:
    """Pixels per tile: at least 64, and every value of a map up to 160."""
    return int(min(160, max(64, height, width)))


def sheet(tiles: np.ndarray) -> np.ndarray:
    """Tiles uint8 (row, column, side, side, 3) as one picture with transparent gaps: uint8 (H, W, 4)."""
    rows, columns, side = tiles.shape[:3]
    full = np.zeros((rows, side + GAP, columns, side + GAP, 4), np.uint8)
    full[:, :side, :, :side, :3] = tiles.transpose(0, 2, 1, 3, 4)
    full[:, :side, :, :side, 3] = 255
    return full.reshape(rows * (side + GAP), columns * (side + GAP), 4)[:-GAP, :-GAP]


def address(picture: np.ndarray) -> str:
    """A picture as a PNG in a data address."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def picture(address: str) -> np.ndarray:
    """The inverse of `address`, without transparency: uint8 (H, W, 3)."""
    from PIL import Image

    content = base64.b64decode(address.partition(",")[2])
    return np.array(Image.open(io.BytesIO(content)).convert("RGB"))
