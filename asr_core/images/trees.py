"""ImageFolder trees: PATH/train/CLASS/... and PATH/test/CLASS/..., the same classes in both; what is in them, listed
and checked without reading an image. Imports no torch."""

import hashlib
import os
import stat
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

from asr_core.errors import DataError
from asr_core.images.splits import Opened, Split

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
SPLITS, VAL = ("train", "test"), "val"
HIDDEN, OTHER, LOOSE = "hidden", "without an image suffix", "beside the class folders"
Listing = tuple[str, int, int]  # relative path, size, modification time in ns


@dataclass(frozen=True)
class Tree:
    """A valid ImageFolder tree; `files` maps a split to its sorted relative paths, SPLIT/CLASS/...

    splits: the folders that train and test lie in; notes: in words, what was left out or stands in for something.
    """

    root: Path
    class_names: tuple[str, ...]
    files: dict[str, list[str]] = field(repr=False)
    fingerprint: str
    splits: tuple[str, str] = SPLITS
    notes: tuple[str, ...] = ()

    def labels(self, split: str) -> list[int]:
        """Index of each file's class among the sorted class names."""
        index = {name: i for i, name in enumerate(self.class_names)}
        return [index[file.split("/", 2)[1]] for file in self.files[split]]

    @property
    def counts(self) -> dict[str, int]:
        """Number of images by `train` and `test`."""
        return {name: len(self.files[split]) for name, split in zip(SPLITS, self.splits, strict=True)}


def read_tree(root: Path | str) -> Tree:
    """List and check a tree without reading an image; raises DataError naming what is wrong.

    val/ stands in for test/ where only it is there. Links are followed, to files and folders, as torchvision does; a
    link back up is refused. Hidden names and files without an image suffix are left out, and counted in the notes.
    `fingerprint` is the sha256 over relative path, size and modification time of every image.
    """
    root = Path(os.path.abspath(Path(root).expanduser()))
    skipped: Counter[str] = Counter()
    with _readable():
        splits = _splits(root)
        found = {split: _classes(root, split, skipped) for split in splits}
    _same_classes(root, found)
    listing = sorted(item for classes in found.values() for files in classes.values() for item in files)
    digest = hashlib.sha256()
    for name, size, changed in listing:
        digest.update(b"%s\0%d %d\n" % (os.fsencode(name), size, changed))
    files = {split: [item[0] for item in listing if item[0].startswith(f"{split}/")] for split in splits}
    notes = _notes(root, splits, skipped)
    return Tree(root, tuple(sorted(found[splits[0]])), files, digest.hexdigest(), splits, notes)


def _splits(root: Path) -> tuple[str, str]:
    """The folders of training and test images; raises DataError where one is not there."""
    test = VAL if not (root / SPLITS[1]).is_dir() and (root / VAL).is_dir() else SPLITS[1]
    for split in (SPLITS[0], test):
        if not (root / split).is_dir():
            lacks = f"{root} has no folder {split}/" if root.is_dir() else f"there is no folder {root}"
            raise DataError(
                f"{lacks}; an image folder needs train/CLASS/... and test/CLASS/... (or val/), with the same classes "
                "in each."
            )
    return SPLITS[0], test


def _classes(root: Path, split: str, skipped: Counter) -> dict[str, list[Listing]]:
    """Class name -> (relative path, size, mtime in ns) of its images, none of them empty."""
    with os.scandir(root / split) as found:
        entries = list(found)
    names = sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))
    skipped[HIDDEN] += sum(entry.name.startswith(".") for entry in entries)
    skipped[LOOSE] += sum(not entry.is_dir() and not entry.name.startswith(".") for entry in entries)
    if len(names) < 2:
        raise DataError(
            f"{root / split} holds {len(names)} class folder{'' if len(names) == 1 else 's'}; "
            "at least 2 are needed, one folder per class with its images inside."
        )
    classes = {name: list(_images(f"{root}/", f"{split}/{name}", skipped)) for name in names}
    for name, files in classes.items():
        if not files:
            raise DataError(
                f"{root / split / name} holds no image ({', '.join(SUFFIXES)}); add images, or remove the class "
                "from every split."
            )
    return classes


def _images(base: str, folder: str, skipped: Counter, above: tuple[tuple[int, int], ...] = ()) -> Iterator[Listing]:
    """(relative path, size, mtime in ns) of each image under base + folder, at any depth; links are followed.

    above: device and inode of the folders on the way, by which a link back to one of them is known.
    """
    info = os.stat(base + folder)
    if (here := (info.st_dev, info.st_ino)) in above:
        raise DataError(f"{base}{folder} is a link to a folder that it lies in; remove it.")
    with os.scandir(base + folder) as found:
        for entry in found:
            name = f"{folder}/{entry.name}"
            if entry.name.startswith("."):
                skipped[HIDDEN] += 1
            elif entry.is_dir():
                yield from _images(base, name, skipped, (*above, here))
            elif entry.is_symlink() and not os.path.exists(entry.path):
                raise DataError(f"{entry.path} is a link to nothing; mend or remove it.")
            elif entry.name.lower().endswith(SUFFIXES):
                yield (name, *_size_and_time(entry))
            else:
                skipped[OTHER] += 1


def _size_and_time(entry: os.DirEntry) -> tuple[int, int]:
    info = entry.stat()
    if not stat.S_ISREG(info.st_mode):
        raise DataError(f"{entry.path} is named like an image but is not a file; rename or remove it.")
    return info.st_size, info.st_mtime_ns


def _same_classes(root: Path, found: dict) -> None:
    (first, classes), *others = found.items()
    for split, other in others:
        for have, lack, names in ((first, split, classes - other.keys()), (split, first, other - classes.keys())):
            if names:
                raise DataError(
                    f"{root / have} has the class {sorted(names)[0]!r}, {root / lack} has not; "
                    "every split needs the same class folders."
                )


def _notes(root: Path, splits: tuple[str, str], skipped: Counter) -> tuple[str, ...]:
    notes = ["val/ stands in for test/"] if splits[1] == VAL else []
    if splits[1] != VAL and (root / VAL).is_dir():
        notes.append("val/ is left out, for test/ is there")
    if counted := skipped_words(skipped):
        notes.append(counted)
    return tuple(notes)


def skipped_words(skipped: Counter) -> str:
    """What of a tree is no image, in words: 'skipped: 2 files hidden, 1 file without an image suffix'; '' for
    nothing."""
    parts = [f"{n:,} file{'s' * (n > 1)} {kind}" for kind in (HIDDEN, OTHER, LOOSE) if (n := skipped[kind])]
    return f"skipped: {', '.join(parts)}" if parts else ""


@contextmanager
def _readable() -> Iterator[None]:
    """Name the file or folder that cannot be read."""
    try:
        yield
    except OSError as error:
        raise DataError(f"{error.filename} cannot be read: {error.strerror}. Mend or remove it.") from error


def opened_tree(tree: Tree, class_names: tuple[str, ...] | None = None) -> Opened:
    """An ImageFolder tree, in the order of its sorted relative paths."""
    import numpy as np

    def part(split: str) -> Split:
        names = tree.files[split]
        labels = np.array(tree.labels(split), dtype=np.int64)
        return Split(labels, names, lambda i: _image(f"{tree.root}/{names[i]}"), str(tree.root))

    return Opened(class_names or tree.class_names, *map(part, tree.splits))


def _image(path: str) -> Any:
    """A PIL image of bytes in memory: faster than a file handle, and none is left open on an error."""
    from PIL import Image

    with open(path, "rb", buffering=0) as file:
        return Image.open(BytesIO(file.read()))
