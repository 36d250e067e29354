"""Erdős-Rényi-kernel allocation."""

from math import prod

from asr_core.pruning.rules import BUDGET, PruningRule, by_scores
from asr_core.registry import register


@register("pruning rule")
class ERK(PruningRule):
    """Densities in proportion to (C_out + C_in + kH + kW) / (C_out * C_in * kH * kW), C_in per group, scaled to meet
    the budget; layers that would exceed 1 stay dense and the rest is solved again (as in google-research/rigl).
    Magnitude within each layer. Small layers, such as 1x1 convs on shortcuts, stay dense."""

    name = "erk"
    label = "ERK"
    parameters = BUDGET

    @staticmethod
    def masks(weights, params, floors, repairability):
        scores = {name: sum(w.shape) / prod(w.shape) for name, w in weights.items()}
        return by_scores(weights, scores, params, floors), {}
