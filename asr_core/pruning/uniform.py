"""Magnitude pruning with the same sparsity in each layer."""

from asr_core.pruning import INCLUDE_LINEAR, SPARSITY, PruningRule, smallest
from asr_core.registry import register


@register("pruning rule")
class Uniform(PruningRule):
    """Removes round(sparsity * n) of the n weights of each layer, those of smallest magnitude in it."""

    name = "uniform"
    label = "uniform"
    parameters = {"sparsity": SPARSITY, "include_linear": INCLUDE_LINEAR}

    @staticmethod
    def masks(weights, params):
        masks = {}
        for name, w in weights.items():
            masks |= smallest({name: w}, round(params["sparsity"] * w.numel()))
        return masks, {}
