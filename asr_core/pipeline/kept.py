"""What a process keeps from one experiment to the next, so that the next one begins sooner."""

from collections.abc import Callable, Hashable
from typing import Any


class Kept:
    """Of each kind of thing the last one, so that its memory is bounded.

    >>> kept = Kept()
    >>> kept.get("images", "digits", list) is kept.get("images", "digits", list)
    True
    """

    def __init__(self) -> None:
        self._have: dict[str, tuple[Hashable, Any]] = {}

    def get(self, kind: str, known_by: Hashable, make: Callable[[], Any]) -> Any:
        """What is kept of a kind if it is known by the same, else what `make` makes; what was kept goes before that."""
        if (found := self.find(kind, known_by)) is None:
            self._have.pop(kind, None)
            found = make()
            self._have[kind] = known_by, found
        return found

    def find(self, kind: str, known_by: Hashable) -> Any:
        """The same, or None where it is not kept."""
        before, found = self._have.get(kind, (None, None))
        return found if before == known_by else None
