"""What an experiment compares: repairs x ways to re-estimate BatchNorm. Imports neither torch nor pandas."""

from dataclasses import dataclass

from asr_core import registry
from asr_core.checks import as_number, choose, flag, whole
from asr_core.errors import SpecError

ORDERS = ("simultaneous", "sequential")
STARTS = ("reset", "keep")
AVERAGINGS = ("ema", "cumulative")
BUDGETS = (10, 20, 30, 50)


@dataclass(frozen=True, kw_only=True)
class RepairSpec:
    """One repair of a pruned network. `bn_only` (and no repair) leave order, bias and prior None."""

    method: str
    order: str | None = None
    bias: bool | None = None
    prior: str | None = None
    params: tuple = ()

    @classmethod
    def of(cls, method: str, order: str = "simultaneous", bias: bool | None = None, **params) -> "RepairSpec":
        """Validated spec of `method`; None for `bias` takes the method's own default."""
        rule = registry.get("repair method", method)
        choose("order", order, ORDERS)
        if not rule.changes_weights:
            return cls(method=method)
        full = rule.checked(**params)
        bias = rule.default_bias if bias is None else flag("bias", bias)
        rest = tuple(sorted((name, value) for name, value in full.items() if name != "prior"))
        return cls(method=method, order=order, bias=bias, prior=full.get("prior"), params=rest)

    @property
    def slug(self) -> str:
        """Short readable name that is unique within one grid, e.g. `asr_bn.sequential.bias.median`."""
        parts = [self.method, self.order, {True: "bias", False: "nobias"}.get(self.bias), self.prior]
        extra = [f"{k}={v}" for k, v in self.params if v != registry.get("repair method", self.method).defaults()[k]]
        return ".".join([part for part in parts if part] + extra)


@dataclass(frozen=True, kw_only=True)
class BatchNormState:
    """One way to re-estimate BatchNorm: start, averaging, momentum and budget (batches).

    batches 0 means no recalibration: the other fields are then None. `cumulative` ignores start
    and momentum (None).
    """

    start: str | None = None
    averaging: str | None = None
    momentum: float | None = None
    batches: int = 0

    @classmethod
    def of(cls, start="reset", averaging="ema", momentum=0.1, batches=20) -> "BatchNormState":
        """Normalised, validated state: fields that do not apply become None."""
        batches = whole("calib_batches", batches, 0)
        if batches == 0:
            return cls()
        choose("averaging", averaging, AVERAGINGS)
        if averaging == "cumulative":
            return cls(averaging=averaging, batches=batches)
        choose("start", start, STARTS)
        number = as_number(momentum)
        if not 0 < number <= 1:
            raise SpecError(f"momentum is {momentum}; give a number in (0, 1].")
        return cls(start=start, averaging=averaging, momentum=number, batches=batches)


def default_repairs() -> tuple[RepairSpec, ...]:
    """bn_only, then lw_bn, raw_bn, asr_bn in both orders and both bias settings."""
    grid = [
        RepairSpec.of(method, order, bias)
        for method in ("lw_bn", "raw_bn", "asr_bn")
        for order in ORDERS
        for bias in (False, True)
    ]
    return (RepairSpec.of("bn_only"), *grid)


def default_states(budgets=BUDGETS, momentum: float = 0.1) -> tuple[BatchNormState, ...]:
    """No recalibration; then ema from reset, ema from keep, cumulative at each budget."""
    states = [BatchNormState()]
    for start, averaging in (("reset", "ema"), ("keep", "ema"), (None, "cumulative")):
        states += [BatchNormState.of(start, averaging, momentum, b) for b in budgets if b > 0]
    return tuple(states)


# Figures of the repaired network after recalibration are taken at the paper's reporting point.
REPORTED_STATE = BatchNormState.of("reset", "ema", 0.1, 20)
