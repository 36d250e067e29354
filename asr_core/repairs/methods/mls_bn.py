"""New values for the weights that pruning kept, of least squared error."""

from asr_core.checks import positive
from asr_core.fields import number
from asr_core.registry import register
from asr_core.repairs.methods import COMMON, Factors, RepairMethod, raw_factors


@register("repair method")
class MaskedLeastSquares(RepairMethod):
    """The kept weights of each output channel, solved anew so that the conv gives what the dense conv gave, from the
    inputs that it has now (layer reconstruction: He 2017, arXiv 1707.06168; OBC, arXiv 2208.11580, has the same
    objective). The mask stays. It changes directions, not scales, so BatchNorm cannot absorb it; on few images it
    overfits. The ridge is this tool's choice."""

    name = "mls_bn"
    label = "masked least squares"
    default_bias = True
    needs = ("inputs",)
    scales = False
    parameters = COMMON | {
        "ridge": number(
            0.01,
            "Ridge",
            "Times the mean square of an input around its mean, added to the diagonal of the normal equations.",
            lambda name, value: positive(name, value, zero=True),
            low=0.0,
        )
    }

    @classmethod
    def of_layer(cls, layer, params):
        import torch

        keep = layer.weight != 0
        solved, mean = layer.equations.solve(keep, params["ridge"])
        finite = solved.flatten(1).isfinite().all(1) & mean.isfinite()
        solved = torch.where(finite.view(-1, *[1] * (keep.ndim - 1)), solved, layer.weight)
        none, ones = torch.full_like(mean, float("nan")), torch.ones_like(mean)
        mean = torch.where(finite, mean, none)  # weights that stay leave the bias as it is too
        return Factors(none, raw_factors(layer.v_dense, layer.v_pruned, params), ones, kept=solved[keep], mean=mean)
