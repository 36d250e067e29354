"""Global magnitude pruning."""

from asr_core.pruning.rules import BUDGET, PruningRule, by_threshold, tied
from asr_core.registry import register


@register("pruning rule")
class GlobalL1(PruningRule):
    """Removes exactly round(sparsity * n) of all n conv weights, those of smallest magnitude over the
    whole network, as torch.nn.utils.prune.global_unstructured does (ties cut at exactly that count)."""

    name = "global_l1"
    label = "global L1"
    parameters = BUDGET

    @staticmethod
    def masks(weights, params, floors, repairability):
        return by_threshold(weights, params, floors), {}

    @classmethod
    def ties(cls, weights, masks, params):
        return tied(weights, masks)
