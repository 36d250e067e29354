"""Variance matching at any granularity and shrinkage: the surface between eq. 1, eq. 4 and eq. 7."""

from asr_core.checks import positive
from asr_core.fields import number, whole
from asr_core.registry import register
from asr_core.repairs.methods import (
    COMMON,
    PRIOR,
    PRIOR_VALUE,
    Factors,
    RepairMethod,
    live,
    prior_variance,
    shrunk,
    variance_ratio_root,
)


@register("repair method")
class Grouped(RepairMethod):
    """One factor per group of consecutive channels from the group's mean variances, shrunk toward 1 with
    prior_scale times the layer's median (or mean) pruned variance. The paper's methods are points of this
    surface: group_size 1 with scale 1 is ASR, 1 with scale 0 is raw, 0 (all channels) with scale 0 is LW. A group whose
    mean pruned variance is at or under the floor keeps 1; in another, dead channels get the group's factor too."""

    name = "grouped_bn"
    label = "grouped"
    parameters = COMMON | {
        "group_size": whole(16, "Channels of a group", "Channels that share a factor; 0 means the whole layer."),
        "prior": PRIOR,
        "prior_value": PRIOR_VALUE,
        "prior_scale": number(
            1.0,
            "Prior scale",
            "Multiplies the prior variance; 0 means no shrinkage.",
            lambda name, value: positive(name, value, zero=True),
            low=0.0,
        ),
    }

    @staticmethod
    def factors(v_dense, v_pruned, params):
        import torch

        group = _groups(len(v_dense), params["group_size"])
        dense, pruned = (_group_means(v, v_dense.isfinite() & v_pruned.isfinite(), group) for v in (v_dense, v_pruned))
        alive, ones = live(dense, pruned, params["floor"]), torch.ones_like(v_dense)
        ratio = variance_ratio_root(dense, pruned, params["eps"], params["floor"])
        gamma_raw = torch.where(alive, ratio, ones)
        prior_var = _prior(v_pruned, params)
        fallback = params["prior_scale"] > 0 and not prior_var > params["floor"]
        shrinkage = torch.where(alive, 1 / (1 + prior_var / pruned), torch.zeros_like(ones)) * (not fallback)
        return Factors(shrunk(gamma_raw, shrinkage), gamma_raw, shrinkage, prior_var, fallback)


def _groups(channels: int, size: int):
    """Group index of each channel; the last group takes what is left over."""
    import torch

    return torch.arange(channels) // (size or channels)


def _group_means(v, finite, group):
    """Mean of the finite variances of each channel's group, shape (channel,); never above the largest."""
    count = v.new_zeros(int(group[-1]) + 1).index_add(0, group, finite.double()).clamp(min=1)
    v = v.where(finite, v.new_zeros(()))
    largest = v.new_zeros(len(count)).scatter_reduce(0, group, v, "amax")
    return v.new_zeros(len(count)).index_add(0, group, v / count[group]).minimum(largest)[group]


def _prior(v_pruned, params: dict) -> float:
    return prior_variance(v_pruned, params) * params["prior_scale"] if params["prior_scale"] else 0.0
