"""A repair of the simplest kind, with a number and a choice of its own."""

from asr_core.fields import choice, number
from asr_core.registry import register
from asr_core.repairs.methods import COMMON, Factors, RepairMethod, raw_factors, shrunk


@register("repair method")
class Toy(RepairMethod):
    """Goes a part of the way to eq. 4, in each channel or only in those that shrank."""

    name = "toy_bn"
    label = "toy"
    parameters = COMMON | {
        "toy_part": number(0.5, "Part of the way", "How far toward eq. 4 the toy goes.", low=0.0, high=1.0),
        "toy_side": choice(
            "all", "Toy's channels", "Whether only channels that shrank are scaled.", ("all", "shrunken")
        ),
    }

    @staticmethod
    def factors(v_dense, v_pruned, params):
        raw = raw_factors(v_dense, v_pruned, params)
        part = (raw * 0 + params["toy_part"]).where((raw >= 1) | (params["toy_side"] == "all"), raw * 0).clamp(max=1)
        return Factors(shrunk(raw, part), raw, part)
