"""What figure 7 says of BN only over shipped settings, against the files."""

import re
from collections import defaultdict
from dataclasses import astuple, replace

import numpy as np
import pytest
import shipped
from shipped import NOTHING, number

from asr_core.figures import paper
from asr_core.store import catalogue
from asr_core.studies import ablation, protocol, reproduction
from asr_core.studies.cells import Variant, dataset_label

CUMULATIVE = Variant(averaging="cumulative")
VARIANTS = {"ema from reset": Variant(), "ema from keep": replace(Variant(), start="keep"), "cumulative": CUMULATIVE}
GAINS = r", ([+-][\d.]+) points from b = 20 to 50"
SAME = r"; at b = 20 ([\d.]+) %, in the paper's table 1 ([\d.]+) % of the same"


@pytest.fixture(scope="module")
def cells():
    """(dataset, cell, keys) of the shipped settings that answer a cell of the paper, the first network of each."""
    where = shipped.store()
    first = [found for found in protocol.matches(catalogue.stored(where)) if found.repeat == 0]
    assert first
    return [(dataset_label(found.cell.dataset), astuple(found.cell), found.keys) for found in first]


def accuracies(cells, variant: Variant) -> dict[str, dict[tuple, dict[int, float]]]:
    """dataset -> cell -> step -> accuracy of BN only, of the settings that have most steps."""
    found = {}
    for dataset, cell, keys in cells:
        own = shipped.places(keys)
        start = None if variant.averaging == "cumulative" else variant.start
        momentum = None if variant.averaging == "cumulative" else variant.momentum
        at = {b: (variant.averaging, start, momentum, b) if b else NOTHING for b in reproduction.STEPS}
        stored = {b: own[("BN only", place)] for b, place in at.items() if ("BN only", place) in own}
        found[dataset, cell] = {
            b: float(shipped.table(key, "accuracy")["top1"].iloc[n]) for b, (key, n) in stored.items()
        }
    most = max(map(len, found.values()))
    kept: dict = defaultdict(dict)
    for (dataset, cell), steps in found.items():
        if len(steps) == most:
            kept[dataset][cell] = steps
    return kept


def published(cells) -> float | None:
    """The median of the paper's table 1, BN only, over cells; None where it lacks one."""
    table = ablation.published("table1").query("method == 'bn_only'")
    numbers = {
        tuple(row[:3]): row[3] for row in table[["architecture", "dataset", "pruning", "top1_percent"]].to_numpy()
    }
    return float(np.median([numbers[cell] for cell in cells])) if numbers.keys() >= set(cells) else None


@pytest.mark.parametrize("name", VARIANTS)
def test_the_medians_over_settings_are_those_of_the_files(cells, name):
    rows = reproduction.table3(shipped.store(), catalogue.stored(shipped.store()), VARIANTS[name])
    text = paper.STEPS.sentence(paper.STEPS.table(None, rows=list(rows.itertuples(index=False, name=None))))
    stored = accuracies(cells, VARIANTS[name])
    assert {label for label in stored if f"{label}: median of" in text} == set(stored), text
    for dataset, own in stored.items():
        part = text.partition(f"{dataset}: ")[2].partition(". ")[0]
        medians = {b: 100 * np.median([steps[b] for steps in own.values()]) for b in next(iter(own.values()))}
        assert number(r"median of (\d+) stored setting", part) == len(own), part
        said = re.search(r"at b = ((?:\d+(?:, | and |))+)", part)[1]
        assert [int(b) for b in re.findall(r"\d+", said)] == list(medians), part
        assert not {20, 50} <= set(medians) or np.isclose(number(GAINS, part), medians[50] - medians[20], atol=0.051), (
            part
        )
        same, there = re.search(SAME, part), published(own) if 20 in medians else None
        assert (same is None) == (there is None), part
        assert there is None or np.allclose([float(x) for x in same.groups()], [medians[20], there], atol=0.051), part
