"""Ways to re-estimate BatchNorm: start, averaging, momentum, budget. Imports neither torch nor pandas."""

from dataclasses import dataclass
from typing import Any, Self

from asr_core.checks import as_number
from asr_core.errors import SpecError
from asr_core.fields import Part, choice, declarations, declared, number, whole

STARTS = ("reset", "keep")
AVERAGINGS = ("ema", "cumulative")
BUDGETS = (10, 20, 30, 50)


def _momentum(name: str, value: Any) -> float:
    if not 0 < (found := as_number(value)) <= 1:
        raise SpecError(f"{name} is {value}; give a number in (0, 1].")
    return found


@dataclass(frozen=True, kw_only=True)
class Recalibration(Part):
    """One way to re-estimate BatchNorm, as asked: every field has a value."""

    start: str = declared(
        choice("reset", "Start", "reset: mean 0, variance 1. keep: the dense network's statistics.", STARTS)
    )
    averaging: str = declared(
        choice(
            "ema",
            "Averaging",
            "ema: running average with a momentum. cumulative: plain mean over the batches (ignores start and "
            "momentum).",
            AVERAGINGS,
        )
    )
    momentum: float = declared(
        number(
            0.1, "Momentum", "Weight of each new batch in the ema averaging, in (0, 1].", _momentum, low=1e-6, high=1
        )
    )
    calib_batches: int = declared(
        whole(
            20, "Batches b", "Batches of training images for recalibration; 0: none.", 0, 10_000, offered=(0, *BUDGETS)
        )
    )


@dataclass(frozen=True, kw_only=True)
class BatchNormState:
    """A way to re-estimate BatchNorm, normalised: fields that do not apply are None.

    calib_batches 0 means no recalibration. `cumulative` ignores start and momentum.
    """

    start: str | None = None
    averaging: str | None = None
    momentum: Any = None  # a float, or None
    calib_batches: int = 0

    @classmethod
    def of(cls, start: str = "reset", averaging: str = "ema", momentum: float = 0.1, calib_batches: int = 20) -> Self:
        """Normalised, validated state; raises SpecError.

        >>> BatchNormState.of(averaging="cumulative").start is None
        True
        """
        known = declarations(Recalibration)
        batches = known["calib_batches"].checked("calib_batches", calib_batches)
        if batches == 0:
            return cls()
        known["averaging"].checked("averaging", averaging)
        if averaging == "cumulative":
            return cls(averaging=averaging, calib_batches=batches)
        known["start"].checked("start", start)
        return cls(start=start, averaging=averaging, momentum=_momentum("momentum", momentum), calib_batches=batches)


def default_states(budgets: tuple[int, ...] = BUDGETS, momentum: float = 0.1) -> tuple[BatchNormState, ...]:
    """No recalibration; then ema from reset, ema from keep, cumulative at each budget."""
    states = [BatchNormState()]
    for start, averaging in (("reset", "ema"), ("keep", "ema"), ("reset", "cumulative")):
        states += [BatchNormState.of(start, averaging, momentum, b) for b in budgets if b > 0]
    return tuple(states)


# Figures of the repaired network after recalibration are taken at the paper's reporting point.
REPORTED_STATE = BatchNormState.of("reset", "ema", 0.1, 20)
NO_STATE = BatchNormState()
