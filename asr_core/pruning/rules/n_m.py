"""Structured N:M pruning."""

from asr_core.errors import SpecError
from asr_core.fields import whole
from asr_core.pruning.rules import INCLUDE_LINEAR, PruningRule
from asr_core.registry import register


@register("pruning rule")
class NM(PruningRule):
    """Keeps the N largest of each M consecutive weights along the input-channel axis, at each output
    channel and kernel position. Layers whose input channels (per group) are not a multiple of M are
    skipped and reported: the true sparsity is then below 1 - N/M."""

    name = "n_m"
    label = "N:M"
    titled = ("keep_n", "group_m")
    parameters = {
        "keep_n": whole(2, "N of N:M", "Weights kept of each M consecutive ones along the input channels.", 1, 64),
        "group_m": whole(4, "M of N:M", "Consecutive input channels in a group.", 2, 64),
        "include_linear": INCLUDE_LINEAR,
    }

    @classmethod
    def check_together(cls, params):
        if params["keep_n"] >= params["group_m"]:
            raise SpecError(
                f"N:M is {params['keep_n']}:{params['group_m']}; N must be below M, for example 2:4 or 1:4."
            )

    @classmethod
    def title(cls, params):
        return f"{params['keep_n']}:{params['group_m']}"

    @classmethod
    def bounds(cls, name, params):
        low, high = super().bounds(name, params)
        return {"keep_n": (low, params["group_m"] - 1), "group_m": (params["keep_n"] + 1, high)}.get(name, (low, high))

    @staticmethod
    def asked(params):
        return 1 - params["keep_n"] / params["group_m"]

    @staticmethod
    def masks(weights, params, floors, repairability):
        import torch

        keep_n, group_m = params["keep_n"], params["group_m"]
        masks, skipped = {}, {}
        for name, w in weights.items():
            if w.shape[1] % group_m:
                masks[name] = torch.ones_like(w, dtype=torch.bool)
                skipped[name] = f"{w.shape[1]} input channels per group are not a multiple of {group_m}"
                continue
            # (C_out, groups of M, M, kernel positions): the M axis is the input-channel axis
            grouped = w.detach().abs().reshape(w.shape[0], -1, group_m, w[0, 0].numel())
            kept = grouped.topk(keep_n, dim=2).indices
            masks[name] = torch.zeros_like(grouped, dtype=torch.bool).scatter_(2, kept, True).reshape(w.shape)
        return masks, skipped

    @classmethod
    def ties(cls, weights, masks, params):
        return {name: _ties(w, masks[name].to(w.device), params["group_m"]) for name, w in weights.items()}


def _ties(w, mask, group_m: int) -> tuple[int, int]:
    """(tied, cut) over all groups: in each, the largest magnitude that went, where it also stayed."""
    if mask.all():
        return 0, 0
    magnitude, kept = (t.reshape(w.shape[0], -1, group_m, w[0, 0].numel()) for t in (w.detach().abs(), mask))
    threshold = magnitude.masked_fill(kept, 0).amax(2, keepdim=True)
    equal = (magnitude == threshold) & (threshold > 0)
    equal &= (equal & kept).any(2, keepdim=True)
    return int(equal.sum()), int((equal & ~kept).sum())
