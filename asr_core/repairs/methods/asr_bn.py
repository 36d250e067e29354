"""Adaptive Signal Resuscitation, eq. 4 to 8."""

from asr_core.checks import choose, positive
from asr_core.errors import SpecError
from asr_core.registry import Parameter, register
from asr_core.repairs.methods import COMMON, Factors, RepairMethod, live, raw_factors, shrunk

PRIORS = ("median", "mean", "fixed")


@register("repair method")
class ASR(RepairMethod):
    """Channel-wise factors shrunk toward 1: shrinkage = v_pruned / (v_pruned + prior_var), eq. 6, and
    gamma = 1 + shrinkage * (gamma_raw - 1), eq. 7-8. The prior variance is the layer's median pruned
    variance (the lower middle of an even count, as torch.median), its mean, or a fixed value. Where it
    is at or under the floor the whole layer keeps factor 1."""

    name = "asr_bn"
    label = "ASR+BN"
    default_bias = True
    parameters = COMMON | {
        "prior": Parameter(
            "median", "prior variance of the shrinkage", lambda name, value: choose(name, value, PRIORS), PRIORS
        ),
        "prior_value": Parameter(1.0, "variance used by prior 'fixed' (activation units squared)", positive),
    }

    @classmethod
    def check_together(cls, params):
        if params["prior"] != "fixed" and params["prior_value"] != cls.parameters["prior_value"].default:
            raise SpecError(
                f"prior_value is {params['prior_value']:g} but prior is {params['prior']!r}, which computes its own; "
                "give prior 'fixed', or leave prior_value out."
            )

    @staticmethod
    def factors(v_dense, v_pruned, params):
        gamma_raw = raw_factors(v_dense, v_pruned, params)
        prior_var = prior_variance(v_pruned, params)
        fallback = not prior_var > params["floor"]
        trusted = live(v_dense, v_pruned, params["floor"]) & (not fallback)
        # 1 / (1 + prior/v) rather than v / (v + prior): no overflow for huge variances
        shrinkage = (1 / (1 + prior_var / v_pruned)).where(trusted, v_pruned.new_zeros(()))
        return Factors(shrunk(gamma_raw, shrinkage), gamma_raw, shrinkage, prior_var, fallback)


def prior_variance(v_pruned, params: dict) -> float:
    """prior_var of eq. 5 (median), or its alternatives in table 2, over the layer's finite channels."""
    if params["prior"] == "fixed":
        return params["prior_value"]
    finite = v_pruned[v_pruned.isfinite()]
    if len(finite) == 0:
        return 0.0
    return float(finite.median() if params["prior"] == "median" else (finite / len(finite)).sum())
