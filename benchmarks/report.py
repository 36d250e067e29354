"""What the benchmark says: one line per measure, with its target and whether it was met."""

from dataclasses import asdict, dataclass

from tabulate import tabulate


@dataclass(frozen=True)
class Line:
    """`measured` and `against` in `unit`; `factor` is what `target` is about ('<= 1.15', '>= 3', or '')."""

    what: str
    measured: float | None = None
    against: float | None = None
    unit: str = "s"
    factor: float | None = None
    target: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the factor reaches the target; None without a target."""
        if not self.target or self.factor is None:
            return None
        sign, number = self.target.split()
        return bool(self.factor <= float(number) if sign == "<=" else self.factor >= float(number))


def table(lines: list[Line]) -> str:
    """The lines as text."""
    words = {None: "", True: "yes", False: "NO"}
    rows = [(x.what, x.measured, x.against, x.unit, x.factor, x.target, words[x.met]) for x in lines]
    headers = ("measure", "ours", "against", "unit", "factor", "target", "met")
    return tabulate(rows, headers, floatfmt=".4g", disable_numparse=[0, 3, 5, 6])


def as_json(lines: list[Line]) -> list[dict]:
    """The lines as plain objects."""
    return [asdict(line) | {"met": line.met} for line in lines]
