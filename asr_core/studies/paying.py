"""Which images pay for pruning: lost, regained by which repair, newly wrong; tested on the same images. No torch."""

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from asr_core.measure.statistics import compare
from asr_core.spec.repairs import DENSE, NO_REPAIR, RepairSpec

# A group of images -> what it is, of the repair that is looked at where it names one.
GROUPS = {
    "alone": "lost by pruning, regained by this repair alone",
    "regained": "lost by pruning, regained by this repair",
    "all": "lost by pruning, regained by every repair",
    "none": "lost by pruning, regained by no repair",
    "broken": "right when dense and pruned, wrong after this repair",
    "found": "wrong when dense and pruned, right after this repair",
}
COUNTS = ["regained", "alone", "broken", "found", "dropped", "net"]
Right = Mapping[RepairSpec, np.ndarray | Any]  # which images each network has right, (image,); None: not stored


def stored(right: Right) -> dict[RepairSpec, np.ndarray]:
    """The repairs of `right` whose answers are stored, by name."""
    return {name: bits for name, bits in right.items() if name not in (DENSE, NO_REPAIR) and bits is not None}


def group(right: Right, name: str, repair: RepairSpec) -> np.ndarray:
    """Which images, (image,), are in one of GROUPS; repair: the one that is looked at. All of dense, no repair and
    `repair` are needed."""
    dense, pruned, own = right[DENSE], right[NO_REPAIR], right[repair]
    lost, repairs = dense & ~pruned, stored(right)
    others = [bits for other, bits in repairs.items() if other != repair]
    return {
        "alone": lambda: lost & own & ~np.any([np.zeros_like(own), *others], 0),
        "regained": lambda: lost & own,
        "all": lambda: lost & np.all([*repairs.values()], 0),
        "none": lambda: lost & ~np.any([*repairs.values()], 0),
        "broken": lambda: dense & pruned & ~own,
        "found": lambda: ~dense & ~pruned & own,
    }[name]()


def counts(right: Right) -> pd.DataFrame:
    """Per stored repair: `repair`, COUNTS of images (regained, broken, found: see GROUPS; alone: regained by it only;
    dropped: right in the pruned network alone, wrong after it; net: all it has right more than the pruned network),
    and of its comparison with no repair gain, low, high, p, word; n, lost, all, none, one (regained by exactly one),
    `pairs`, over which Holm corrects: the repairs with no repair and with each other."""
    repairs, dense, pruned = stored(right), right[DENSE], right[NO_REPAIR]
    times = np.sum([*repairs.values()], 0)[dense & ~pruned]
    whole = {"n": len(dense), "lost": len(times), "all": int((times == len(repairs)).sum())}
    whole |= {"none": int((times == 0).sum()), "one": int((times == 1).sum())}
    tested = pairs(right)
    against = tested[tested["second"] == NO_REPAIR].set_index("first")
    rows = []
    for repair, own in repairs.items():
        found = {name: int(group(right, name, repair).sum()) for name in ("regained", "alone", "broken", "found")}
        found |= {"dropped": int((~dense & pruned & ~own).sum()), "net": int(own.sum()) - int(pruned.sum())}
        row = against.loc[repair]
        rows.append(
            {"repair": repair} | found | {name: row[name] for name in ("gain", "low", "high", "p", "word")} | whole
        )
    return pd.DataFrame(rows).assign(pairs=int(tested["p"].notna().sum()))


def pairs(right: Right) -> pd.DataFrame:
    """`statistics.compare` of each stored repair with no repair, then of all pairs of repairs."""
    repairs = stored(right)
    asked = [(repair, NO_REPAIR) for repair in repairs]
    return compare(repairs | {NO_REPAIR: right[NO_REPAIR]}, [*asked, *combinations(repairs, 2)])
