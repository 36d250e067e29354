"""A repair as columns: method, order, bias, parameters. Imports neither torch nor pandas.

Every table names a network by these COLUMNS. Text for legends is made from them at the edge and never read back.
"""

import json
from dataclasses import dataclass
from typing import Any, Self

from asr_core import registry
from asr_core.checks import choose, flag
from asr_core.errors import SpecError
from asr_core.fields import Part, choice, declared

PASS = ("covariance", "inputs")  # of what methods need, what a pass of both networks together measures
ORDERS = ("simultaneous", "sequential")
BIASES = {"off": False, "on": True}
METHODS = ("bn_only", "lw_bn", "raw_bn", "asr_bn")
COLUMNS = ["method", "order", "bias", "params"]
KIND = "repair method"


@dataclass(frozen=True, kw_only=True)
class RepairSpec:
    """One network of an experiment: dense, pruned (`no_repair`), or pruned and repaired.

    order and bias are None where no weights change (bn_only, no_repair, dense). params: sorted (name, value) pairs.
    """

    method: str
    order: str | None = None
    bias: bool | None = None
    params: tuple[tuple[str, Any], ...] = ()

    @classmethod
    def of(cls, method: str, order: str = "simultaneous", bias: bool | None = None, **params: Any) -> Self:
        """Validated spec of `method`; None for `bias` takes the method's own default.

        >>> RepairSpec.of("asr_bn", "sequential", prior="mean").columns["params"]
        '{"prior":"mean"}'
        """
        rule = registry.get(KIND, method)
        choose("order", order, ORDERS)
        if not rule.changes_weights:
            return cls(method=method)
        bias = rule.default_bias if bias is None else flag("bias", bias)
        if bias not in rule.biases:
            raise SpecError(f"bias is off, and {method} without mean correction changes nothing; give bias on.")
        return cls(method=method, order=order, bias=bias, params=tuple(sorted(rule.named(**params).items())))

    @property
    def parameters(self) -> dict[str, Any]:
        """All parameters of the method with their values; none for a network that no method made."""
        return (registry.get(KIND, self.method).defaults() if self.order else {}) | dict(self.params)

    @property
    def scales(self) -> bool:
        """Whether it differs from the pruned network by a factor and a shift per channel at most."""
        return self.order is None or bool(registry.get(KIND, self.method).scales)

    def unchanged(self, stage: str) -> bool:
        """Whether it has nothing of its own at `stage`: it changes no weights, so that before recalibration it is the
        network without repair, or is no scale, so that nothing is predicted of it."""
        return (not self.order and stage != "recalibrated") or (stage == "predicted" and not self.scales)

    @property
    def changed(self) -> dict[str, Any]:
        """The parameters that are not at their default."""
        usual = registry.get(KIND, self.method).defaults() if self.order else {}
        return {name: value for name, value in self.params if value != usual[name]}

    @property
    def columns(self) -> dict[str, Any]:
        """The repair as the COLUMNS of a table; `params` is canonical JSON of those that are not at their default."""
        params = json.dumps(self.changed, sort_keys=True, separators=(",", ":")) if self.changed else ""
        return {"method": self.method, "order": self.order, "bias": self.bias, "params": params}

    @classmethod
    def from_columns(cls, method: str, order: Any, bias: Any, params: str) -> Self:
        """The inverse of `columns`; what is missing in a table (NaN, None) is None."""
        if not isinstance(order, str):
            return cls(method=method)
        return cls.of(method, order, bool(bias), **(json.loads(params) if params else {}))


DENSE, NO_REPAIR = RepairSpec(method="dense"), RepairSpec(method="no_repair")
BN_ONLY = RepairSpec(method="bn_only")


def repairs(
    methods: tuple[str, ...] = METHODS,
    orders: tuple[str, ...] = ORDERS,
    biases: tuple[str, ...] = ("off", "on"),
    **params: Any,
) -> tuple[RepairSpec, ...]:
    """methods x orders x biases, without a bias that a method does not take; each of `params` goes to the methods that
    have it. Each repair once."""
    grid = []
    for method in methods:
        known = registry.get(KIND, method).parameters
        own = {name: value for name, value in params.items() if name in known and value is not None}
        taken = [BIASES[bias] for bias in biases if BIASES[bias] in registry.get(KIND, method).biases]
        grid += [RepairSpec.of(method, order, bias, **own) for order in orders for bias in taken]
    return tuple(dict.fromkeys(grid))  # bn_only has neither order nor bias: once


def parameters() -> dict[str, Any]:
    """The parameters of all methods: their options and controls."""
    return registry.parameters(KIND)


@dataclass(frozen=True, kw_only=True)
class RepairChoice(Part):
    """Which repairs are computed, or shown."""

    methods: tuple[str, ...] = declared(
        choice(METHODS, "Methods", "Repair methods.", lambda: registry.names(KIND), many=True, one=KIND)
    )
    orders: tuple[str, ...] = declared(
        choice(
            ORDERS,
            "Order of collection",
            "simultaneous: all statistics of the pruned network first, then all factors. sequential: each layer "
            "measured after the layers before it were repaired.",
            ORDERS,
            many=True,
            one="order",
        )
    )
    biases: tuple[str, ...] = declared(
        choice(
            tuple(BIASES),
            "Mean correction (bias)",
            "Whether each repaired layer's bias is set so that channel means match the dense network (eq. 10). Compare "
            "methods at equal bias.",
            tuple(BIASES),
            many=True,
            one="bias",
        )
    )
