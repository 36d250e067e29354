"""How a budget of weights is shared out to layers: densities in proportion to scores, within bounds, to one weight. No
torch."""

import math
from fractions import Fraction

from asr_core.errors import SpecError

TRIALS = (0.5, 0.7, 0.8, 0.9, 0.95)  # sparsities at which a layer's repairability is tried


def kept_per_layer(
    scores: dict[str, float], sizes: dict[str, int], keep: int, floors: dict[str, int]
) -> dict[str, int]:
    """Weights that each layer keeps: exactly `keep` in all, densities in proportion to `scores` where no bound is met.

    sizes: weights per layer; floors: the least that a layer keeps (0 where it is not named). A layer that would
    exceed its size becomes dense, one that would fall under its floor gets it, and the rest is solved again. A layer
    of score 0, or undefined (NaN), gets its floor, and a share (all at one density) only of what the others cannot
    hold. Counts are rounded down, and what remains goes by one weight to the largest fractional parts (ties in the
    order of `sizes`). Raises SpecError if floors exceed `keep`, `keep` exceeds all weights, or a score is negative or
    infinite.
    """
    floors = {name: floors.get(name, 0) for name in sizes}
    _check(scores, sizes, keep, floors)
    first = [name for name in sizes if scores[name] > 0]
    last = [name for name in sizes if name not in first]
    for_first = min(keep - sum(floors[name] for name in last), sum(sizes[name] for name in first))
    shares = _shares({name: Fraction(float(scores[name])) for name in first}, sizes, for_first, floors)
    shares |= _shares(dict.fromkeys(last, Fraction(1)), sizes, keep - for_first, floors)
    return _whole({name: shares[name] for name in sizes}, keep)


def _check(scores: dict, sizes: dict, keep: int, floors: dict) -> None:
    wrong = {name: float(score) for name, score in scores.items() if score < 0 or math.isinf(score)}
    if wrong:
        raise SpecError(
            f"scores hold {wrong}; a layer's score is a finite number of at least 0, or NaN where it is undefined."
        )
    total = sum(sizes.values())
    if not 0 <= keep <= total:
        raise SpecError(f"keep is {keep}; give a number of weights from 0 to all {total}.")
    check_floors(floors, keep)


def check_floors(floors: dict[str, int], keep: int) -> None:
    """Raise SpecError if the floors of the layers exceed the number of weights to keep."""
    if (least := sum(floors.values())) > keep:
        raise SpecError(
            f"the layers must keep at least {least} weights, but the sparsity leaves only {keep}; "
            "lower the sparsity or min_density, or keep fewer layers dense."
        )


def _shares(scores: dict[str, Fraction], sizes: dict, keep: int, floors: dict) -> dict[str, Fraction]:
    """Exact shares of `keep`: clip(c * score * size, floor, size), with the one c that meets the budget.

    Bounds are settled in rounds. Where the excess over sizes outweighs what lacks to floors, c can only grow, so
    layers over their size stay dense for good; else it can only fall, so layers under their floor stay there.
    """
    found: dict[str, Fraction] = {}
    free = dict(scores)
    while free:
        scale = (keep - sum(found.values())) / sum(score * sizes[name] for name, score in free.items())
        wanted = {name: scale * score * sizes[name] for name, score in free.items()}
        over = {name: sizes[name] for name, share in wanted.items() if share > sizes[name]}
        under = {name: floors[name] for name, share in wanted.items() if share < floors[name]}
        excess, lack = (sum(abs(wanted[name] - bound) for name, bound in bounds.items()) for bounds in (over, under))
        settled = (over if excess >= lack else {}) | (under if lack >= excess else {}) or wanted
        found |= {name: Fraction(share) for name, share in settled.items()}
        free = {name: score for name, score in free.items() if name not in settled}
    return found


def _whole(shares: dict[str, Fraction], keep: int) -> dict[str, int]:
    """Whole numbers that sum to `keep`: rounded down, the rest to the largest fractional parts, first come first
    served."""
    counts = {name: math.floor(share) for name, share in shares.items()}
    by_fraction = sorted(shares, key=lambda name: counts[name] - shares[name])
    for name in by_fraction[: keep - sum(counts.values())]:
        counts[name] += 1
    return counts
