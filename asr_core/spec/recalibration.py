"""Ways to re-estimate BatchNorm: start, averaging, momentum, budget. Imports neither torch nor pandas."""

from dataclasses import asdict, dataclass
from typing import Any, Self

from asr_core.checks import as_number
from asr_core.errors import SpecError
from asr_core.fields import Part, choice, declarations, declared, number, whole

STARTS = ("reset", "keep")
PRESETS = ("pseudo", "forgetting", "tuning")  # published ways, beside the paper's
AVERAGINGS = ("ema", "cumulative", *PRESETS)
FORGETTING = (0.9,) * 5 + (0.1,) * 10  # momentum of each batch
TUNING = 100  # batches
BUDGETS = (10, 20, 30, 50)
# Fields of a recalibration that say nothing, by averaging.
IDLE = {
    "ema": ("pseudo_count",),
    "cumulative": ("start", "momentum", "pseudo_count"),
    "pseudo": ("start", "momentum"),
    "forgetting": ("start", "momentum", "calib_batches", "pseudo_count"),
    "tuning": ("start", "momentum", "calib_batches", "pseudo_count"),
}


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
            "momentum). pseudo: the kept statistics count as pseudo_count further batches (arXiv 2006.16971). "
            "forgetting: 5 batches at momentum 0.9, then 10 at 0.1, from the kept ones. tuning: ema 0.1 from reset, "
            "100 batches.",
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
    pseudo_count: int = declared(
        whole(
            16,
            "Pseudo-count N",
            "Batches that the kept statistics count as, in the averaging pseudo.",
            1,
            10_000,
            unit="batches",
        )
    )


@dataclass(frozen=True, kw_only=True)
class BatchNormState:
    """A way to re-estimate BatchNorm, normalised: fields that do not apply are None.

    calib_batches 0 means no recalibration. `cumulative` ignores start and momentum; `pseudo` begins with the kept
    statistics, as `pseudo_count` batches; `forgetting` has batches and momenta of its own; `tuning` is an ema.
    """

    start: str | None = None
    averaging: str | None = None
    momentum: Any = None  # a float, or None
    calib_batches: int = 0
    pseudo_count: int | Any = None

    def canonical(self) -> dict[str, Any]:
        """What a key is made of: without pseudo_count where it says nothing, as before there was one."""
        return {n: v for n, v in asdict(self).items() if n != "pseudo_count" or v is not None}

    @property
    def weights(self) -> tuple[list[float], float]:
        """(weight of each batch, of the starting statistics) in the running statistics after recalibration."""
        b = self.calib_batches
        if self.averaging == "cumulative":
            return [1 / b] * b, 0.0
        if self.averaging == "pseudo":
            return [1 / (self.pseudo_count + b)] * b, self.pseudo_count / (self.pseudo_count + b)
        weights, left = list[float](), 1.0
        for momentum in FORGETTING if self.averaging == "forgetting" else (self.momentum,) * b:
            weights, left = [w * (1 - momentum) for w in weights] + [momentum], left * (1 - momentum)
        return weights, left

    @classmethod
    def of(
        cls,
        start: str = "reset",
        averaging: str = "ema",
        momentum: float = 0.1,
        calib_batches: int = 20,
        pseudo_count: int | None = None,
    ) -> Self:
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
        if averaging == "pseudo":
            field = known["pseudo_count"]
            count = field.checked("pseudo_count", field.default if pseudo_count is None else pseudo_count)
            return cls(averaging=averaging, calib_batches=batches, pseudo_count=count)
        if averaging == "forgetting":
            return cls(averaging=averaging, calib_batches=len(FORGETTING))
        if averaging == "tuning":
            return cls(start="reset", averaging="ema", momentum=0.1, calib_batches=TUNING)
        known["start"].checked("start", start)
        return cls(start=start, averaging=averaging, momentum=_momentum("momentum", momentum), calib_batches=batches)


def default_states(
    budgets: tuple[int, ...] = BUDGETS, momentum: float = 0.1, presets: tuple[str, ...] = ()
) -> tuple[BatchNormState, ...]:
    """No recalibration; then ema from reset, ema from keep, cumulative at each budget; then `presets`, pseudo at each
    budget too."""
    states = [BatchNormState()]
    for start, averaging in (("reset", "ema"), ("keep", "ema"), ("reset", "cumulative")):
        states += [BatchNormState.of(start, averaging, momentum, b) for b in budgets if b > 0]
    for preset in presets:
        states += [BatchNormState.of(averaging=preset, calib_batches=b) for b in budgets if b > 0]
    return tuple(dict.fromkeys(states))


NO_BATCHNORM = "no BatchNorm"  # in place of a way to recalibrate it
NOTHING = "There is nothing to recalibrate: this network has no BatchNorm."
# Figures of the repaired network after recalibration are taken at the paper's reporting point.
REPORTED_STATE = BatchNormState.of("reset", "ema", 0.1, 20)
NO_STATE = BatchNormState()
