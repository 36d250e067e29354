"""ImageFolder trees: what is in them, and the digest that names their content.

A tree is PATH/train/CLASS/... and PATH/test/CLASS/... with the same classes in both. Its digest
depends on the relative paths and contents of its images alone, so a copied or moved tree keeps its
results. The store's sources.json remembers the digest of each tree seen, so that an unchanged tree
is not read again, and tells where the images of a digest lie.
"""

import hashlib
import json
import os
import stat
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

from asr_core.errors import DataError, ImagesAbsent
from asr_core.images.splits import Opened, Split
from asr_core.store import Store, disk_errors
from asr_core.store.entries import digest_file, write_json

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
SOURCES = "sources.json"
FIELDS = {"fingerprint", "digest", "classes", "images", "label"}
CIFAR10_JPEG = "78086fc20c1b1c15"
KNOWN = {CIFAR10_JPEG: "CIFAR-10 (JPEG copy)"}
REMEDY = (
    "Name their folder: `--dataset folder:PATH` on the command line, or under *Own network and data* in the sidebar "
    "of the dashboard."
)


@dataclass(frozen=True)
class Tree:
    """A valid ImageFolder tree; `files` maps a split to its sorted relative paths, SPLIT/CLASS/..."""

    root: Path
    class_names: tuple[str, ...]
    files: dict[str, list[str]] = field(repr=False)
    fingerprint: str

    def labels(self, split: str) -> list[int]:
        """Index of each file's class among the sorted class names."""
        index = {name: i for i, name in enumerate(self.class_names)}
        return [index[file.split("/", 2)[1]] for file in self.files[split]]


def read_tree(root: Path | str, splits: tuple[str, ...] = ("train", "test")) -> Tree:
    """List and check a tree without reading an image; raises DataError naming what is wrong.

    `fingerprint` is the sha256 over relative path, size and modification time of every image.
    Hidden names and files without an image suffix are not counted.
    """
    root = Path(os.path.abspath(Path(root).expanduser()))
    with _readable():
        for split in splits:
            _check_folder(root, split, splits)
        found = {split: _classes(root, split) for split in splits}
    _same_classes(root, found)
    listing = sorted(item for classes in found.values() for files in classes.values() for item in files)
    digest = hashlib.sha256()
    for name, size, changed in listing:
        digest.update(b"%s\0%d %d\n" % (os.fsencode(name), size, changed))
    files = {split: [item[0] for item in listing if item[0].startswith(f"{split}/")] for split in splits}
    return Tree(root, tuple(sorted(found[splits[0]])), files, digest.hexdigest())


def _check_folder(root: Path, split: str, splits: tuple[str, ...]) -> None:
    if not (root / split).is_dir():
        lacks = f"{root} has no folder {split}/" if root.is_dir() else f"there is no folder {root}"
        raise DataError(
            f"{lacks}; an image folder needs {'/CLASS/... and '.join(splits)}/CLASS/..., with the same classes in each."
        )


def _classes(root: Path, split: str) -> dict[str, list[tuple[str, int, int]]]:
    """Class name -> (relative path, size, mtime in ns) of its images, none of them empty."""
    with os.scandir(root / split) as found:
        names = sorted(entry.name for entry in found if entry.is_dir() and not entry.name.startswith("."))
    if len(names) < 2:
        raise DataError(
            f"{root / split} holds {len(names)} class folder{'' if len(names) == 1 else 's'}; "
            "at least 2 are needed, one folder per class with its images inside."
        )
    classes = {name: list(_images(f"{root}/", f"{split}/{name}")) for name in names}
    for name, files in classes.items():
        if not files:
            raise DataError(
                f"{root / split / name} holds no image ({', '.join(SUFFIXES)}); add images, or remove the class "
                "from every split."
            )
    return classes


def _images(base: str, folder: str, above: tuple[tuple[int, int], ...] = ()):
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
                continue
            if entry.is_dir(follow_symlinks=False) or (entry.is_dir() and not entry.name.lower().endswith(SUFFIXES)):
                yield from _images(base, name, (*above, here))
            elif entry.is_symlink() and not os.path.exists(entry.path):
                raise DataError(f"{entry.path} is a link to nothing; mend or remove it.")
            elif entry.name.lower().endswith(SUFFIXES):
                yield (name, *_size_and_time(entry))


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


@contextmanager
def _readable():
    """Name the file or folder that cannot be read."""
    try:
        yield
    except OSError as error:
        raise DataError(f"{error.filename} cannot be read: {error.strerror}. Mend or remove it.") from error


def content_digest(tree: Tree) -> str:
    """16 hex digits of the sha256 over the sorted (relative path, sha256 of content) of all images."""
    digest = hashlib.sha256()
    with _readable():
        for name in sorted(name for files in tree.files.values() for name in files):
            digest.update(b"%s\0%s\n" % (os.fsencode(name), digest_file(f"{tree.root}/{name}").encode()))
    return digest.hexdigest()[:16]


def opened_tree(tree: Tree, splits: tuple[str, str] = ("train", "test"), class_names=None) -> Opened:
    """An ImageFolder tree, in the order of its sorted relative paths."""

    import numpy as np

    def part(split: str) -> Split:
        names = tree.files[split]
        labels = np.array(tree.labels(split), dtype=np.int64)
        return Split(labels, names, lambda i: _image(f"{tree.root}/{names[i]}"), str(tree.root))

    return Opened(class_names or tree.class_names, *map(part, splits))


def _image(path: str):
    """A PIL image of bytes in memory: faster than a file handle, and none is left open on an error."""
    from PIL import Image

    with open(path, "rb", buffering=0) as file:
        return Image.open(BytesIO(file.read()))


def identify(root: Path | str, store: Store) -> dict:
    """What the tree at `root` is: {fingerprint, digest, classes, images (by split), label}; raises DataError.

    The images are read only if the listing differs from the one remembered in the store.
    """
    tree = read_tree(root)
    known = _sources(store).get(str(tree.root))
    if known and known["fingerprint"] == tree.fingerprint:
        return known
    digest = content_digest(tree)
    found = {
        "fingerprint": tree.fingerprint,
        "digest": digest,
        "classes": len(tree.class_names),
        "images": {split: len(files) for split, files in tree.files.items()},
        "label": KNOWN.get(digest, tree.root.name),
    }
    with store.lock("sources"), disk_errors(store.root):
        write_json(store.root / SOURCES, {**_sources(store), str(tree.root): found})
    return found


def locate(digest: str, store: Store) -> Tree:
    """The unchanged tree whose content has `digest`; raises DataError if none is at hand."""
    places = [(path, known) for path, known in _sources(store).items() if known["digest"] == digest]
    for path, known in places:
        with suppress(DataError):
            if (tree := read_tree(path)).fingerprint == known["fingerprint"]:
                return tree
    seen = f"; they were at {places[-1][0]}, which has changed or gone" if places else ""
    raise ImagesAbsent(f"the images of folder {digest} are not on this machine{seen}. {REMEDY}")


def counts(digest: str, store: Store) -> tuple[int, int]:
    """Training and test images of the folder with `digest`, as last listed; raises DataError if it was never seen."""
    for known in _sources(store).values():
        if known["digest"] == digest:
            return known["images"]["train"], known["images"]["test"]
    raise ImagesAbsent(f"the images of folder {digest} are not on this machine. {REMEDY}")


def classes(digest: str, store: Store) -> int | None:
    """Classes of the folder with `digest`, as last listed; None if it was never seen."""
    return next((known["classes"] for known in _sources(store).values() if known["digest"] == digest), None)


def label(digest: str, store: Store) -> str:
    """Human name of the folder with `digest`: a known name, or the base name of its path."""
    if digest in KNOWN:
        return KNOWN[digest]
    seen = [known["label"] for known in _sources(store).values() if known["digest"] == digest]
    return seen[0] if seen else f"folder {digest}"


def _sources(store: Store) -> dict:
    """Absolute path -> what `identify` found there. Only a cache: what cannot be read, or lacks a field, is left
    out."""
    try:
        found = json.loads((store.root / SOURCES).read_text())
        return {path: known for path, known in found.items() if known.keys() >= FIELDS}
    except (OSError, ValueError, AttributeError):
        return {}
