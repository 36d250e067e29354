"""Entries that a store leaves out, each with the reason, told once."""

import warnings
from collections.abc import Iterator
from pathlib import Path


class LeftOut:
    """Folders of entries that do not fit or are damaged, as this process found them."""

    def __init__(self) -> None:
        self._found: dict[Path, tuple[str, tuple | None]] = {}

    def __contains__(self, folder: Path) -> bool:
        """Whether the entry was found unfit and its folder is as it was then."""
        return folder in self._found and self._found[folder][1] == _mark(folder)

    def __iter__(self) -> Iterator[Path]:
        return iter(list(self._found))

    def add(self, folder: Path, reason: str, damaged: bool = True) -> None:
        """Leave an entry out, with a warning unless it was left out for this reason before; of entries that are of
        another version for the same reason, the first is told."""
        told = [known for other, (known, _) in self._found.items() if other == folder or not damaged]
        self._found[folder] = reason, _mark(folder)
        if reason not in told:
            warnings.warn(self.told(folder), stacklevel=5)

    def forget(self, folder: Path | None = None) -> None:
        """The entry is sound again; without one, nothing is known of any."""
        if folder is None:
            self._found.clear()
        else:
            self._found.pop(folder, None)

    def lines(self) -> list[str]:
        """What is wrong with each entry."""
        return [self.told(folder) for folder in self]

    def told(self, folder: Path) -> str:
        """What is wrong with an entry, in a line."""
        return f"stored entry {folder.parent.name}/{folder.name}: {self._found[folder][0]}; set aside, not shown"


def _mark(folder: Path) -> tuple | None:
    """Changes when an entry comes, goes or is mended in its place."""
    try:
        found = folder.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns
