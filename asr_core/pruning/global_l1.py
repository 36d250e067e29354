"""Global magnitude pruning."""

from asr_core.pruning import INCLUDE_LINEAR, SPARSITY, PruningRule, smallest
from asr_core.registry import register


@register("pruning rule")
class GlobalL1(PruningRule):
    """Removes exactly round(sparsity * n) of all n conv weights, those of smallest magnitude over the
    whole network, as torch.nn.utils.prune.global_unstructured does (ties cut at exactly that count)."""

    name = "global_l1"
    label = "global L1"
    parameters = {"sparsity": SPARSITY, "include_linear": INCLUDE_LINEAR}

    @staticmethod
    def masks(weights, params):
        total = sum(w.numel() for w in weights.values())
        return smallest(weights, round(params["sparsity"] * total)), {}
