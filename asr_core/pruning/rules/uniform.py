"""Magnitude pruning with the same sparsity in each layer."""

from asr_core.pruning.rules import BUDGET, PruningRule, by_scores
from asr_core.registry import register


@register("pruning rule")
class Uniform(PruningRule):
    """Removes the same fraction of each layer, the weights of smallest magnitude in it, and round(sparsity * n) of
    all n: a layer's count is rounded so that the total agrees."""

    name = "uniform"
    label = "uniform"
    parameters = BUDGET

    @staticmethod
    def masks(weights, params, floors, repairability):
        return by_scores(weights, dict.fromkeys(weights, 1.0), params, floors), {}
