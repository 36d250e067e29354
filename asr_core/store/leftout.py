"""Entries that a store leaves out, each with the reason, told once."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple


class Item(NamedTuple):
    """Why an entry is left out, what its folder was like then, and its manifest, where that can be read."""

    reason: str
    mark: tuple | None
    manifest: dict[str, Any] | None


class LeftOut:
    """Folders of entries that do not fit or are damaged, as this process found them."""

    def __init__(self) -> None:
        self._found: dict[Path, Item] = {}

    def __contains__(self, folder: Path) -> bool:
        """Whether the entry was found unfit and its folder is as it was then."""
        return folder in self._found and self._found[folder].mark == _mark(folder)

    def __iter__(self) -> Iterator[Path]:
        return iter(list(self._found))

    def __len__(self) -> int:
        return len(self._found)

    def add(self, folder: Path, reason: str, damaged: bool = True, manifest: dict[str, Any] | None = None) -> None:
        """Leave an entry out, with a warning unless it was left out for this reason before; of entries that are of
        another version for the same reason, the first is told."""
        told = [item.reason for other, item in list(self._found.items()) if other == folder or not damaged]
        self._found[folder] = Item(reason, _mark(folder), manifest)
        if reason not in told:
            warnings.warn(self.told(folder), stacklevel=5)

    def of(self, stage: str) -> list[tuple[dict[str, Any], str]]:
        """(manifest, what is wrong) of each entry of `stage` whose manifest is sound."""
        return [
            (item.manifest, item.reason)
            for folder, item in list(self._found.items())  # other sessions may add some
            if item.manifest is not None and folder.parent.name == stage
        ]

    def forget(self, folder: Path | None = None) -> None:
        """The entry is sound again; without one, nothing is known of any."""
        if folder is None:
            self._found.clear()
        else:
            self._found.pop(folder, None)

    def lines(self) -> list[str]:
        """What is wrong with each entry."""
        return [self.told(folder) for folder in self]

    def named(self, folder: Path) -> str:
        """An entry and what is wrong with it."""
        return f"{folder.parent.name}/{folder.name}: {self._found[folder].reason}"

    def told(self, folder: Path) -> str:
        """The same as a line that says what that means."""
        return f"stored entry {self.named(folder)}; set aside, not shown"


def _mark(folder: Path) -> tuple | None:
    """Changes when an entry comes, goes or is mended in its place."""
    try:
        found = folder.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns
