"""Layer-adaptive magnitude pruning."""

from asr_core.pruning.rules import BUDGET, PruningRule, by_threshold
from asr_core.registry import register


@register("pruning rule")
class LAMP(PruningRule):
    """Removes round(sparsity * n) of all n weights, those of smallest score over the whole network: a weight's square
    over the sum of the squares of its layer's weights that are no smaller (jaeho-lee/layer-adaptive-sparsity; of equal
    weights, the later one counts as larger). A layer's scale does not matter, and its largest weight, of score 1, stays
    as long as the budget has one weight per layer."""

    name = "lamp"
    label = "LAMP"
    parameters = BUDGET

    @staticmethod
    def masks(weights, params, floors, repairability):
        return by_threshold({name: lamp_scores(w) for name, w in weights.items()}, params, floors), {}


def lamp_scores(weight):
    """Scores in [0, 1], float64, in the shape of `weight`; all 0 in a layer of zeros."""
    import torch

    magnitude, order = weight.detach().cpu().reshape(-1).abs().sort(stable=True)
    squares = (magnitude.double() / (magnitude.max().double() or 1.0)).square()
    tails = squares.flip(0).cumsum(0).flip(0)  # over the weights from this one on, smallest first
    scores = torch.empty_like(squares)
    scores[order] = squares / tails.clamp(min=torch.finfo(torch.float64).tiny)
    return scores.reshape(weight.shape)
