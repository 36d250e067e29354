"""Allocation by relative repairability."""

from asr_core.pruning.rules import BUDGET, PruningRule, by_scores
from asr_core.registry import register


@register("pruning rule")
class RelativeRepairability(PruningRule):
    """Densities in proportion to RR, the part of a layer's local damage at this sparsity that channelwise variance
    matching leaves: what a repair cannot mend keeps more weights. Measured on the calibration images, without labels,
    as `asr_core.pruning.repairability` says: our reading of the abstract of arXiv 2605.25508. A layer without damage,
    whose RR is undefined, gets the minimum density; one that would exceed 1 stays dense. Magnitude within each
    layer."""

    name = "rr"
    label = "RR (our reading of an abstract)"
    parameters = BUDGET
    measures = True

    @staticmethod
    def masks(weights, params, floors, repairability):
        return by_scores(weights, repairability, params, floors), {}
