"""ImageFolder trees by their content: identified by the pixels of their images, located again, named.

A copied, moved or converted tree keeps its results, and one that holds a known data set is that data set. The store's
sources.json remembers what each tree is, so that an unchanged one is not read again, and tells where the images of a
digest lie; the store's stage `order` keeps the canonical order of the images of each listing.
"""

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypedDict

from asr_core.errors import DataError, ImagesAbsent
from asr_core.images.splits import Opened
from asr_core.images.trees import Tree, opened_tree, read_tree
from asr_core.spec.digests import key
from asr_core.store import Store, disk_errors, received
from asr_core.store.entries import Entry, read_cache, write_cache

SOURCES = "sources.json"
IMAGENETTE_224 = "6cb35bdad08d5572"  # all images at 224 x 224, github.com/thunderInfy/imagenette
LABELS = {IMAGENETTE_224: "Imagenette (224 px copy)"}
CIFAR10, CIFAR100 = "76f23f8afa109a8c", "18e6c68d35ca3214"  # of the pixels that torchvision's archives hold
KNOWN = {CIFAR10: "cifar10", CIFAR100: "cifar100"}  # digest -> the registered source of the same images
REMEDY = (
    "Name their folder: `--dataset folder:PATH` on the command line, or under *Own network and data* in the sidebar "
    "of the dashboard."
)


def identify(root: Path | str, store: Store, first: Callable[[Tree], None] | None = None) -> dict:
    """What the tree at `root` is: {fingerprint, digest, dataset, classes, images (by split), label, notes}.

    dataset: `folder`, or the name of the known data set that its pixels are. The images are read only if the listing
    differs from the one remembered in the store, after `first` was called with it. Raises DataError.
    """
    tree = read_tree(root)
    known = _sources(store).get(str(tree.root))
    if known and known["fingerprint"] == tree.fingerprint:
        return known | {"notes": [*tree.notes, *known["notes"]]}
    if first:
        first(tree)
    entry = _order(tree, store)
    digest = entry["digest"]
    found = {
        "fingerprint": tree.fingerprint,
        "digest": digest,
        "dataset": KNOWN.get(digest, "folder"),
        "classes": len(tree.class_names),
        "images": tree.counts,
        "label": tree.root.name,
        "notes": _said(entry["transparent"]),
    }
    with store.lock("sources"), disk_errors(store.root):
        write_cache(store.root / SOURCES, {**_sources(store), str(tree.root): found})
    return found | {"notes": [*tree.notes, *found["notes"]]}


def _said(transparent: int) -> list[str]:
    images = f"{transparent:,} transparent image{' is' if transparent == 1 else 's are'}"
    return [f"{images} put on white"] if transparent else []


def _order(tree: Tree, store: Store) -> Entry:
    """The canonical order of a listed tree, its digest and what was seen in its images; read once for a listing."""

    def compute() -> tuple[dict[str, Any], dict[str, Any]]:
        from asr_core.images import pixels

        opened, seen = opened_tree(tree), Counter[str]()
        parts = [(split.labels, pixels.digests(split, seen)) for split in (opened.train, opened.test)]
        places = {name: pixels.order(*part) for name, part in zip(("train", "test"), parts, strict=True)}
        facts = {"digest": pixels.digest(*parts), "transparent": seen[pixels.TRANSPARENT]}
        return {"order.npz": places}, facts

    return store.get_or_compute("order", key("order", tree.fingerprint), compute)


def opened(digest: str, store: Store) -> Opened:
    """The images of `digest` from an unchanged tree, in canonical order; raises ImagesAbsent if none is at hand."""
    from asr_core.images.pixels import ordered

    tree = locate(digest, store)
    received.check_whole(store, tree.root)
    found, places = opened_tree(tree), _order(tree, store).arrays("order")
    return Opened(found.class_names, ordered(found.train, places["train"]), ordered(found.test, places["test"]))


def locate(digest: str, store: Store) -> Tree:
    """The unchanged tree whose pixels have `digest`; raises ImagesAbsent if none is at hand."""
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


def label(digest: str, store: Store) -> str:
    """Human name of the folder with `digest`: a known name, or the base name of its path."""
    if digest in LABELS:
        return LABELS[digest]
    seen = [known["label"] for known in _sources(store).values() if known["digest"] == digest]
    return seen[0] if seen else f"folder {digest}"


class Seen(TypedDict):
    """What `identify` remembers of a folder."""

    fingerprint: str
    digest: str
    dataset: str
    classes: int
    images: dict[str, int]
    label: str
    notes: list[str]


def _sources(store: Store) -> dict:
    """Absolute path -> what `identify` found there."""
    return read_cache(store.root / SOURCES, Seen)
