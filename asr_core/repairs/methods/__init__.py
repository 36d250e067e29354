"""Repair methods, one file each: channel variances in, one factor per output channel out.

To add a method, add a file with a class derived from RepairMethod and decorated with
`@register("repair method")`. Files import torch inside functions, so that labels and help are
readable without it. A method that looks at more than variances says so in `needs` and defines `of_layer`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from asr_core.checks import positive
from asr_core.fields import choice, flag, number
from asr_core.registry import Configurable
from asr_core.spec.repairs import PASS

if TYPE_CHECKING:
    import torch

    from asr_core.repairs.equations import Equations

PRIORS = ("median", "mean", "fixed")
COMMON = {
    "eps": number(
        1e-8,
        "eps",
        "Added to the pruned variance before division (activation units squared).",
        lambda name, value: positive(name, value, zero=True),
        low=0.0,
    ),
    "floor": number(
        1e-12,
        "Floor of a variance",
        "A channel with pruned variance at or below this is dead: channel-wise factor 1 (activation units squared).",
        low=0.0,
    ),
    "skip_first": flag("First conv is not repaired", "The first conv stays as it is: its input is raw pixels.", True),
}  # of every method that computes factors
PRIOR = choice("median", "Prior variance", "Prior variance of the shrinkage, over a layer's pruned variances.", PRIORS)
PRIOR_VALUE = number(
    1.0,
    "Fixed prior",
    "Variance used by prior 'fixed' (activation units squared).",
    low=0.0,
    when=("prior", "fixed"),
)


@dataclass(frozen=True)
class Factors:
    """What a method says of one layer. Tensors are float64, shape (channel,).

    gamma: the factor to apply; gamma_raw: eq. 4; shrinkage: weight in [0, 1) (1 where the method
    has none); prior_var: eq. 5 (NaN where the method has none); fallback: the whole layer was left
    at 1 because its prior variance is at or under the floor, or `RepairMethod.fallback_words` says why.

    What goes beyond factors, None where there is none: kept, new values of the weights that pruning kept, in their
    order (gamma is then NaN: it is no scale), with mean, the mean of the conv's output with them, without bias; shift,
    what is added to the bias where the method knows it without measured means.
    """

    gamma: torch.Tensor
    gamma_raw: torch.Tensor
    shrinkage: torch.Tensor
    prior_var: float = float("nan")
    fallback: bool = False
    kept: torch.Tensor | Any = None
    mean: torch.Tensor | Any = None
    shift: torch.Tensor | Any = None


@dataclass(frozen=True)
class Layer:
    """What is known of one conv when its turn comes. Tensors are float64; mu_, v_: shape (channel,), activation units.

    cov: covariance of both outputs, of need "covariance"; equations: of the pruned conv's inputs and the dense outputs,
    of "inputs"; weight (of any need), dense_weight (of "weights"): (out, in / groups, kH, kW), or (out, in) of a linear
    layer; input_mean: of the conv's input channels by the BatchNorm before them, of "batchnorm". None where not needed,
    or not defined.
    """

    mu_dense: torch.Tensor
    v_dense: torch.Tensor
    mu_pruned: torch.Tensor
    v_pruned: torch.Tensor
    weight: torch.Tensor | Any = None
    cov: torch.Tensor | Any = None
    equations: Equations | Any = None
    dense_weight: torch.Tensor | Any = None
    input_mean: torch.Tensor | Any = None


class RepairMethod(Configurable):
    """One way to compute factors. `changes_weights` is False for recalibration alone.

    needs: what is measured for it beside means and variances, of covariance, inputs, weights, batchnorm. biases: the
    values of `bias` that it takes.
    scales: whether what it does is a factor and a shift per channel, which BatchNorm absorbs.
    """

    changes_weights = True
    default_bias = False
    parameters = COMMON
    needs: tuple[str, ...] = ()
    biases: tuple[bool, ...] = (False, True)
    scales = True
    fallback_words = "prior variance at the floor, factor 1 in the whole of"

    @classmethod
    def runs_both(cls) -> bool:
        """Whether what it needs takes a pass of the dense and the pruned network together."""
        return bool(set(cls.needs) & set(PASS))

    @staticmethod
    def factors(v_dense, v_pruned, params: dict) -> Factors:
        """Factors from variances, float64 tensors of shape (channel,), activation units squared."""
        raise NotImplementedError

    @classmethod
    def of_layer(cls, layer: Layer, params: dict) -> Factors:
        """Factors from all that is known of a layer: what a method with `needs` defines."""
        return cls.factors(layer.v_dense, layer.v_pruned, params)


def live(v_dense, v_pruned, floor: float):
    """Channels with something to scale: finite variances, pruned variance above the floor."""
    return v_dense.isfinite() & v_pruned.isfinite() & (v_pruned > floor)


def variance_ratio_root(v_dense, v_pruned, eps: float, floor: float):
    """sqrt(v_dense / (v_pruned + eps)), finite for any positive input.

    A dense variance under the floor counts as the floor: a factor of exactly 0 would remove the
    channel's weights and so change the mask.
    """
    return v_dense.clamp(min=floor).sqrt() / (v_pruned + eps).sqrt()


def raw_factors(v_dense, v_pruned, params: dict):
    """gamma_raw of eq. 4, with 1 for dead channels."""
    import torch

    alive = live(v_dense, v_pruned, params["floor"])
    ratio = variance_ratio_root(v_dense, v_pruned, params["eps"], params["floor"])
    return torch.where(alive, ratio, torch.ones_like(ratio))


def shrunk(gamma_raw, shrinkage):
    """Eq. 7-8, gamma = 1 + shrinkage * (gamma_raw - 1), in a form that never rounds to 0 for tiny gamma_raw."""
    return (1 - shrinkage) + shrinkage * gamma_raw


def prior_variance(v_pruned, params: dict) -> float:
    """prior_var of eq. 5 (median), or its alternatives in table 2, over the layer's finite channels."""
    if params["prior"] == "fixed":
        return params["prior_value"]
    finite = v_pruned[v_pruned.isfinite()]
    if len(finite) == 0:
        return 0.0
    return float(finite.median() if params["prior"] == "median" else (finite / len(finite)).sum())
