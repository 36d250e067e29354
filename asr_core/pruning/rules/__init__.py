"""Pruning rules, one file each: given the weights of a network, say which stay.

To add a rule, add a file with a class derived from PruningRule and decorated with
`@register("pruning rule")`. Files import torch inside functions, so that labels and help are
readable without it.
"""

from dataclasses import dataclass

from asr_core.checks import checked_sparsity, fraction
from asr_core.fields import flag, number
from asr_core.pruning.budget import check_floors, kept_per_layer
from asr_core.registry import Configurable

SPARSITIES = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.97, 0.98, 0.99)
SPARSITY = number(
    0.95,
    "Sparsity",
    "Fraction of weights removed, in [0, 1).",
    lambda name, value: checked_sparsity(value),
    unit="%",
    low=0.0,
    high=0.9999,
    offered=SPARSITIES,
)
INCLUDE_LINEAR = flag(
    "Prune linear layers too",
    "Also prune linear layers (the paper does not say which tensors it prunes).",
    words="linear layers too",
)
BUDGET = {
    "sparsity": SPARSITY,
    "include_linear": INCLUDE_LINEAR,
    "keep_first": flag(
        "First conv stays dense",
        "The first conv stays dense; others pay for it.",
        words="first conv dense",
        silent=True,
    ),
    "keep_head": flag(
        "Head stays dense",
        "The last linear layer stays dense (it does anyway without include_linear).",
        words="head dense",
        silent=True,
    ),
    "min_density": number(
        0.0,
        "Least density of a layer",
        "Each layer keeps at least this fraction of its weights, in [0, 1).",
        fraction,
        words="each layer at least {} dense",
        low=0.0,
        high=1 - 2**-53,
        silent=True,
    ),
}  # of every rule that shares out a budget of weights


class PruningRule(Configurable):
    """One way to choose masks. `asked(params)` is the sparsity that the user asked for.

    measures: whether the rule looks at the repairability of the layers, for which it needs images.
    """

    measures = False
    titled: tuple[str, ...] = ()  # parameters that stand in `title` already

    @classmethod
    def title(cls, params: dict) -> str:
        """The rule in words, with those of its parameters that name it: 'LAMP', '2:4'."""
        return cls.label

    @staticmethod
    def masks(weights: dict, params: dict, floors: dict, repairability: dict) -> tuple[dict, dict]:
        """(masks, skipped): bool tensor per layer (True = keep), and reason per skipped layer.

        `weights` maps a layer's name to its weight tensor (C_out, C_in/groups, kH, kW), or
        (out, in) for linear layers, in registration order. Must not change `weights`. `floors`:
        the least number of weights that a layer keeps, where that is more than 0. `repairability`:
        RR by layer, where the rule `measures`, else empty.
        """
        raise NotImplementedError

    @classmethod
    def ties(cls, weights: dict, masks: dict, params: dict) -> dict[str, tuple[int, int]]:
        """(tied, cut) per layer: weights of the magnitude at which some went and some stayed, and those that went."""
        return {name: tied({name: w}, masks)[name] for name, w in weights.items()}

    @staticmethod
    def asked(params: dict) -> float:
        """Sparsity asked for, in [0, 1)."""
        return params["sparsity"]


def kept_of(weights: dict, sparsity: float) -> int:
    """Number of weights left when round(sparsity * n) of all n go."""
    total = sum(w.numel() for w in weights.values())
    return total - round(sparsity * total)


def by_scores(weights: dict, scores: dict, params: dict, floors: dict) -> dict:
    """Masks with the largest magnitudes of each layer, as many as `kept_per_layer` gives it for its score."""
    sizes = {name: w.numel() for name, w in weights.items()}
    kept = kept_per_layer(scores, sizes, kept_of(weights, params["sparsity"]), floors)
    return {name: smallest({name: w}, sizes[name] - kept[name])[name] for name, w in weights.items()}


def by_threshold(scores: dict, params: dict, floors: dict) -> dict:
    """Masks with the largest of all `scores` (tensors, signs ignored), whatever layer they are in; the largest ones
    of a layer with a floor stay in any case."""
    kept = kept_of(scores, params["sparsity"])
    check_floors(floors, kept)
    held = {name: smallest({name: scores[name]}, scores[name].numel() - floor)[name] for name, floor in floors.items()}
    raised = {name: _comparable(scores[name]).masked_fill(mask.cpu(), float("inf")) for name, mask in held.items()}
    return smallest(scores | raised, sum(w.numel() for w in scores.values()) - kept)


def smallest(weights: dict, count: int) -> dict:
    """Masks that drop exactly the `count` smallest magnitudes over all of `weights`.

    Ties at the threshold are cut in registration order, so that exactly `count` go. Holds one
    float32 copy of the magnitudes and partitions it in place.
    """
    import torch

    if count == 0:
        return {name: torch.ones_like(w, dtype=torch.bool) for name, w in weights.items()}
    flat = _magnitudes(weights)
    flat.partition(count - 1)
    threshold, ties = _threshold(flat, count)
    del flat  # before as many masks are made
    masks = {}
    for name, w in weights.items():
        masks[name], ties = _above(_comparable(w), threshold, ties)
    return masks


def tied(weights: dict, masks: dict) -> dict[str, tuple[int, int]]:
    """(tied, cut) per layer of weights that were compared with one another: how many have the largest magnitude that
    went, where others of it stayed, and how many of them went. Zeros do not count: it is all the same which go."""
    threshold = max(float(_comparable(w).masked_fill(masks[name].cpu(), 0).max()) for name, w in weights.items())
    counts = {}
    for name, w in weights.items():  # layer by layer: no second copy of the network
        equal = _comparable(w) == threshold
        counts[name] = int(equal.sum()), int((equal & ~masks[name].cpu()).sum())
    stayed = sum(there - cut for there, cut in counts.values())
    return counts if threshold > 0 and stayed else dict.fromkeys(counts, (0, 0))


@dataclass(frozen=True)
class Cut:
    """Magnitudes up to `threshold` go; of those at the threshold only the first `ties`, unless that is all of them
    (None)."""

    threshold: float
    ties: int | None

    def of(self, weight):
        """`weight` with zeros where it was cut, laid out as it is."""
        from torch.nn import functional as F

        if self.ties is None:  # several times faster than a mask
            return F.hardshrink(weight, self.threshold)
        return weight * _above(_comparable(weight), self.threshold, self.ties)[0].to(weight.device)


def cuts(weight, counts: list[int]) -> list[Cut]:
    """For each of the `counts`, the cut that drops so many of the smallest magnitudes of one layer, exactly as
    `smallest`."""
    found, start = {0: Cut(-1.0, None)}, 0
    flat = _comparable(weight).movedim(1, -1).reshape(-1).numpy()  # in the order of memory, where channels are last
    for count in sorted(set(counts) - {0}):
        flat[start:].partition(count - 1 - start)
        threshold, ties = _threshold(flat, count)
        more = count < len(flat) and float(flat[count:].min()) == threshold
        found[count], start = Cut(threshold, ties if more else None), count
    return [found[count] for count in counts]


def _threshold(flat, count: int) -> tuple[float, int]:
    """Of magnitudes partitioned at `count` - 1: the `count`-th smallest, and how many of exactly that magnitude go."""
    threshold = float(flat[count - 1])
    return threshold, count - int((flat[:count] < threshold).sum())


def _above(magnitude, threshold: float, ties: int) -> tuple:
    """The mask of one layer without its first `ties` magnitudes at the threshold, and how many ties are left to go."""
    keep, equal = magnitude > threshold, magnitude == threshold
    there = int(equal.count_nonzero())
    if there > ties:
        tied = equal.reshape(-1).nonzero().reshape(-1)
        keep = keep.reshape(-1).index_fill(0, tied[ties:], True).reshape(magnitude.shape)
    return keep, ties - min(ties, there)


def _magnitudes(weights: dict):
    """All magnitudes in one array, of a type that holds each of them exactly, filled layer by layer: a second copy of
    the network is never there."""
    import numpy as np

    types = [_comparable(w[:0]).numpy().dtype for w in weights.values()]
    flat, end = np.empty(sum(w.numel() for w in weights.values()), np.result_type(*types)), 0
    for w in weights.values():
        magnitude = _comparable(w).reshape(-1).numpy()
        flat[end : end + len(magnitude)] = magnitude
        end += len(magnitude)
    return flat


def _comparable(w):
    """Magnitudes on the CPU, at least float32, exactly: numpy knows no bfloat16, and torch rounds what float16 is
    compared with."""
    import torch

    magnitude = w.detach().abs().cpu()
    return magnitude.to(torch.promote_types(magnitude.dtype, torch.float32))
