"""Image files to arrays: decoded once, to one size, written to disk chunk by chunk."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from asr_core.errors import StoreError
from asr_core.images.pixels import rgb
from asr_core.images.splits import Opened, Split, reading

CHUNK_BYTES = 2**24  # decoded at a time: under a second, so that Ctrl-C is answered soon
THREADS_FROM = 128  # pixels a side; smaller images decode faster in one thread (measured)


def decode(source: Opened, size: int, label: str, scratch: Path, progress=None) -> tuple[dict, dict]:
    """Decode both splits to `size` pixels a side, into `scratch`; returns files and facts for the store.

    Facts: label, class_names, number of images, mean and std per channel of the training split.
    Raises DataError naming an unreadable image, StoreError if the disk has too little room.
    """
    _check_space(scratch, (len(source.train.labels) + len(source.test.labels)) * 3 * size * size)
    files: dict[str, Any] = {}
    facts: dict[str, Any] = {"label": label, "class_names": list(source.class_names)}
    for split, images in (("train", source.train), ("test", source.test)):
        target = scratch / f"{split}_images.npy"
        mean, std = _write_images(target, images, size, progress)
        files[target.name] = target
        facts[f"{split}_images"] = len(images.labels)
        if split == "train":
            facts |= {"mean": mean, "std": std}
    files["labels.npz"] = {"train": source.train.labels, "test": source.test.labels}
    files["test_files.json"] = source.test.names
    return files, facts


def _check_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise StoreError(
            f"the decoded images need {needed / 1e6:,.0f} MB, {free / 1e6:,.0f} MB are free in the cache directory. "
            "Free some space, choose another with --cache-dir or ASR_CACHE_DIR, or a smaller --image-size."
        )


def _write_images(path: Path, split: Split, size: int, progress) -> tuple[list[float], list[float]]:
    """Write the split's images as uint8 (N, size, size, 3); returns mean and std per channel in [0, 1].

    Written chunk by chunk rather than through a memory map, which a full disk turns into a crash.
    """
    count, row = len(split.labels), 3 * size * size
    total, squares = np.zeros(row, np.int64), np.zeros(row, np.int64)
    chunk = np.empty((min(count, max(2, CHUNK_BYTES // row)), size, size, 3), np.uint8)
    with open(path, "wb") as file, ThreadPoolExecutor(2) as pool:
        threads = _threads(split)
        header = {"descr": "|u1", "fortran_order": False, "shape": (count, size, size, 3)}
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, count, len(chunk)):
            part = chunk[: count - start]
            shares = np.array_split(np.arange(len(part)), threads)
            list(pool.map(partial(_fill, split, start, part, size), shares))
            file.write(part.data)
            values = part.reshape(len(part), row)
            total += values.sum(axis=0, dtype=np.int64)
            squares += np.square(values, dtype=np.uint16).sum(axis=0, dtype=np.int64)
            if progress:
                progress("images", len(part))
    return _mean_and_std(total, squares, count)


def _mean_and_std(total: np.ndarray, squares: np.ndarray, count: int) -> tuple[list[float], list[float]]:
    """Per channel, of values in [0, 1], from sums over `count` images at each position and channel."""
    pixels = count * len(total) // 3
    mean = total.reshape(-1, 3).sum(axis=0) / pixels
    variance = squares.reshape(-1, 3).sum(axis=0) / pixels - mean**2
    return (mean / 255).tolist(), (np.sqrt(variance.clip(0)) / 255).tolist()


def _threads(split: Split) -> int:
    """How many threads pay: what Pillow does to a small image is too short to run beside another."""
    with reading(split, 0):
        return 2 if min(split.image(0).size) >= THREADS_FROM else 1


def _fill(split: Split, start: int, out: np.ndarray, size: int, rows: np.ndarray) -> None:
    """Decode images start + row of the split into out[row]; raises DataError naming an unreadable one."""
    for row in rows:
        with reading(split, start + row):
            image = _square(split.image(start + row), size)
            out[row] = np.frombuffer(image.tobytes(), np.uint8).reshape(size, size, 3)


def _square(image, size: int):
    """RGB; unless it has the size already, the shorter side resized (bilinear, antialiased), centre cropped.

    One call does both: `box` is the central square, and the filter sees the pixels beside it.
    """
    from PIL import Image

    image = rgb(image)
    if image.size == (size, size):
        return image
    width, height = image.size
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    return image.resize((size, size), Image.Resampling.BILINEAR, box=(left, top, left + side, top + side))
