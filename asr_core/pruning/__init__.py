"""Pruning rules, one file each: given the weights of a network, say which stay.

To add a rule, add a file with a class derived from PruningRule and decorated with
`@register("pruning rule")`. Files import torch inside functions, so that labels and help are
readable without it.
"""

from asr_core.registry import Configurable, Parameter
from asr_core.spec import checked_sparsity, flag

SPARSITY = Parameter(0.95, "fraction of weights removed, in [0, 1)", lambda name, value: checked_sparsity(value))
INCLUDE_LINEAR = Parameter(False, "also prune linear layers (the paper does not say which tensors it prunes)", flag)


class PruningRule(Configurable):
    """One way to choose masks. `asked(params)` is the sparsity that the user asked for."""

    @staticmethod
    def masks(weights: dict, params: dict) -> tuple[dict, dict]:
        """(masks, skipped): bool tensor per layer (True = keep), and reason per skipped layer.

        `weights` maps a layer's name to its weight tensor (C_out, C_in/groups, kH, kW), or
        (out, in) for linear layers, in registration order. Must not change `weights`.
        """
        raise NotImplementedError

    @staticmethod
    def asked(params: dict) -> float:
        """Sparsity asked for, in [0, 1)."""
        return params["sparsity"]


def smallest(weights: dict, count: int) -> dict:
    """Masks that drop exactly the `count` smallest magnitudes over all of `weights`.

    Ties at the threshold are cut in registration order, so that exactly `count` go. Holds one
    float32 copy of the magnitudes and partitions it in place.
    """
    import numpy as np
    import torch

    if count == 0:
        return {name: torch.ones_like(w, dtype=torch.bool) for name, w in weights.items()}
    flat = np.concatenate([_comparable(w).reshape(-1).numpy() for w in weights.values()])
    flat.partition(count - 1)
    threshold = float(flat[count - 1])
    ties = count - int((flat[:count] < threshold).sum())
    masks = {}
    for name, w in weights.items():
        magnitude = _comparable(w)
        keep = (magnitude > threshold).reshape(-1)
        tied = (magnitude == threshold).reshape(-1).nonzero().reshape(-1)
        keep[tied[ties:]] = True
        ties -= min(ties, len(tied))
        masks[name] = keep.reshape(w.shape)
    return masks


def _comparable(w):
    """Magnitudes on the CPU in a type that numpy knows: bfloat16 becomes float32, exactly."""
    import torch

    magnitude = w.detach().abs().cpu()
    return magnitude.float() if magnitude.dtype == torch.bfloat16 else magnitude
