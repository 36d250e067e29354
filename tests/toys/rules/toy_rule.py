"""A rule of the simplest kind, with a number and a choice of its own."""

from asr_core.fields import choice, whole
from asr_core.pruning.rules import BUDGET, PruningRule, by_scores
from asr_core.registry import register


@register("pruning rule")
class Toy(PruningRule):
    """Gives the first or the last layer a multiple of the density of the others."""

    name = "toy_rule"
    label = "toy rule"
    parameters = BUDGET | {
        "toy_times": whole(2, "Toy's multiple", "How many times as dense the favourite is.", 1, 9),
        "toy_end": choice("first", "Toy's favourite", "Which layer keeps more of its weights.", ("first", "last")),
    }

    @staticmethod
    def masks(weights, params, floors, repairability):
        favourite = list(weights)[0 if params["toy_end"] == "first" else -1]
        scores = {name: params["toy_times"] if name == favourite else 1 for name in weights}
        return by_scores(weights, scores, params, floors), {}
