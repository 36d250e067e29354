"""What one fault did: a row of the report."""

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class Tally:
    """tries: times that the fault was done; lost: results or finished stages that were there before and are not after,
    or that could not be had in the end; wrong: results shown that are not those of an undisturbed run; debris: files
    that nobody owns; broken: other things that must not be (an error shown to a user, an orphan, a stage computed
    twice), in words. counted: further numbers by name. skipped: why the fault could not be tried here."""

    fault: str
    tries: int = 0
    lost: int = 0
    wrong: int = 0
    debris: int = 0
    broken: list[str] = field(default_factory=list)
    counted: dict[str, float] = field(default_factory=dict)
    skipped: str | None = None
    seconds: float = 0.0

    @property
    def survived(self) -> bool:
        """Whether nothing was lost, wrong, left behind or broken."""
        return not (self.lost or self.wrong or self.debris or self.broken)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    def heard(self, other: "Tally") -> None:
        """Add what another one of the same fault counted."""
        self.tries, self.lost, self.wrong = self.tries + other.tries, self.lost + other.lost, self.wrong + other.wrong
        self.debris += other.debris
        self.broken += other.broken
