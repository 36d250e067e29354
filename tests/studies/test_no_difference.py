"""On data without a true difference each page says "ahead" in at most one of twenty trials; a known one it finds."""

import os
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtri

from asr_core.measure import statistics
from asr_core.measure.statistics import AHEAD, BEHIND
from asr_core.spec.repairs import BN_ONLY, COLUMNS, DENSE, METHODS, NO_REPAIR, RepairSpec
from asr_core.store.answers import Answers
from asr_core.store.tables import typed
from asr_core.studies import ablation, ahead, budgets, byclass, noise, paired, paying, transition

TRIALS, KNOWN = 1000, 20
NOISY = 1000 if "ASR_EVERY_SETTING" in os.environ else 250  # of the page Noise: its trials take long
IMAGES, MANY = 300, 4000  # of a trial without a difference, and of one with a difference of 10 points
ORDERED = (AHEAD, BEHIND)
REPAIRS = [BN_ONLY, *(RepairSpec.of(name, "simultaneous", False) for name in METHODS if name != BN_ONLY.method)]


def right(random, shares, images) -> list[np.ndarray]:
    """Which images networks have right that are right with these chances, harder images for all of them."""
    hard = random.normal(size=images)
    return list(random.normal(size=(len(shares), images)) + hard < np.sqrt(2) * ndtri(np.array(shares))[:, None])


def rows(networks, bits, **more) -> pd.DataFrame:
    """Accuracy rows of networks."""
    found = typed(pd.DataFrame([network.columns for network in networks], columns=COLUMNS))
    return found.assign(top1=[own.mean() for own in bits], n_eval=len(bits[0]), **more)


# Each page: chances of a trial's networks (the first is the one that a known difference lifts) and what it then says.


def overview(random, lift, images, patch) -> set[str]:
    networks = [REPAIRS[0], NO_REPAIR, *REPAIRS[1:]]
    bits = right(random, [0.6 + lift, *[0.6] * 4], images)
    return set(paired.with_best(rows(networks, bits), bits)["word"])


def table2(random, lift, images, patch) -> set[str]:
    repairs = list(ablation.table2_repairs().values())
    bits = right(random, [0.6 + lift, *[0.6] * (len(repairs) - 1)], images)
    return set(paired.with_best(rows(repairs, bits), bits)["word"])


def equal_budgets(random, lift, images, patch) -> set[str]:
    counts, networks, bits = [], [], []
    for count in (16, 32, 64):
        counts += [count] * 3
        networks += [REPAIRS[-1], REPAIRS[1], BN_ONLY]
        bits += right(random, [0.6 + lift, 0.6, 0.6], images)
    return set(budgets._against_alone(rows(networks, bits, images=counts), bits)["word"])


def severity(random, lift, images, patch) -> set[str]:
    pairs = [right(random, [0.6 + lift, 0.6], images) for _ in range(12)]
    first, second = ([pair[side] for pair in pairs] for side in (0, 1))
    tables = [rows([network] * 12, own) for network, own in ((REPAIRS[-1], first), (REPAIRS[1], second))]
    return set(paired.against(*tables, first, second)["word"])


def rules(random, lift, images, patch) -> set[str]:
    table, bits = [], []
    for sparsity in (0.9, 0.94, 0.95):
        own = right(random, [0.6 + lift, 0.6, 0.6, 0.6], images)
        bits += own
        where = {"sparsity": sparsity, "role": "repair", "images": "all", "rule": list("abcd")}
        table.append(rows([REPAIRS[-1]] * 4, own, **where))
    found = pd.concat(table, ignore_index=True).assign(place=range(len(bits)))
    patch.setattr(transition.results, "right_in", lambda store, some: [bits[i] for i in some["place"]])
    return {AHEAD} if transition.verdict(None, found)["word"].eq(AHEAD).any() else set()


def bands(random, lift, images, patch) -> set[str]:
    table, bits = [], []
    for rule in "abc":
        for sparsity in (0.9, 0.94, 0.95):
            own = right(random, [0.6 + lift, 0.6], images)
            bits += [np.ones(images, bool), *own]
            where = {"rule": rule, "sparsity": sparsity, "images": "all", "role": ["dense", "repair", "bn_only"]}
            table.append(rows([DENSE, REPAIRS[-1], BN_ONLY], bits[-3:], **where))
    found = pd.concat(table, ignore_index=True).assign(place=range(len(bits)))
    patch.setattr(transition.results, "right_in", lambda store, some: [bits[i] for i in some["place"]])
    return {AHEAD} if transition.judged(None, found)["inside"].eq(transition.IN).any() else set()


def which_images_pay(random, lift, images, patch) -> set[str]:
    dense, pruned, *repaired = right(random, [0.9, 0.6, 0.6 + lift, *[0.6] * 3], images)
    bits = {DENSE: dense, NO_REPAIR: pruned} | dict(zip(REPAIRS, repaired, strict=True))
    return set(paying.pairs(bits)["word"])


def by_class(random, lift, images, patch) -> set[str]:
    labels = np.arange(images) % 5
    repaired, pruned = right(random, [0.6 + lift, 0.6], images)
    said = {
        network: Answers(labels, np.where(own, labels, labels + 1), np.zeros((15, 3)))
        for network, own in ((NO_REPAIR, pruned), (REPAIRS[-1], repaired))
    }
    return set(byclass._tested(said, np.unique(labels), REPAIRS[-1])["word"])


def paper_cells(random, lift, images, patch) -> set[str]:
    methods, table, bits = ["asr_bn", "lw_bn", "bn_only"], [], []
    for dataset in ("cifar10", "cifar100", "imagenette"):
        own = right(random, [0.6 + lift, 0.6, 0.6], images)
        bits += own
        where = {"architecture": "resnet18", "dataset": dataset, "pruning": "nm_2:4", "method": methods}
        table.append(pd.DataFrame(where | {"top1": [one.mean() for one in own]}))
    found = ahead.wins(pd.concat(table, ignore_index=True), bits)
    return {name for name in ORDERED if found[name].any()}


def noises(random, lift, images, patch) -> set[str]:
    """Draws and seeds move all networks alike."""
    shifts = 0.02 * random.normal(size=len(SKELETON) // 3)
    bits = [own for shift in shifts for own in right(random, shift + np.array([0.6 + lift, 0.6, 0.6]), images)]
    found = SKELETON.assign(top1=[own.mean() for own in bits], n_eval=images)
    patch.setattr(noise.results, "right_in", lambda store, some: [bits[i] for i in some["place"]])
    told = noise.differences(None, found, 0, 0)
    return set(told[["images_word", "draw_word", "seed_word"]].to_numpy().ravel())


SKELETON = pd.concat(
    [
        rows([REPAIRS[-1], REPAIRS[1], NO_REPAIR], [np.zeros(1)] * 3, seed=seed, draw=draw)
        for seed, draw in ((0, 0), (0, 1), (0, 2), (0, 3), (1, 0), (2, 0), (3, 0))
    ],
    ignore_index=True,
).assign(place=range(21))
PAGES = [
    overview, table2, equal_budgets, severity, rules, bands, which_images_pay, by_class, paper_cells, noises,
]  # fmt: skip


def spied(page, patch) -> tuple[list, list]:
    """(names, pairs of them) that a page has tested."""
    seen = {}

    def compare(bits, pairs=None):
        seen["names"], seen["pairs"] = list(bits), list(combinations(bits, 2) if pairs is None else pairs)
        return statistics.compare(bits, pairs)

    for module in (paired, transition, paying, byclass, ahead, noise):
        patch.setattr(module, "compare", compare)
    page(np.random.default_rng(0), 0.0, IMAGES, patch)
    return seen["names"], seen["pairs"]


@pytest.mark.parametrize("page", [page for page in PAGES if page is not noises])
def test_without_a_difference_a_page_says_ahead_in_at_most_one_of_twenty_trials(page, monkeypatch):
    random, (names, pairs) = np.random.default_rng(0), spied(page, monkeypatch)
    false = 0
    for _ in range(TRIALS):
        bits = dict(zip(names, right(random, [0.6] * len(names), IMAGES), strict=True))
        false += bool(set(statistics.compare(bits, pairs)["word"]) & {*ORDERED})
    assert len(pairs) > 1 and false <= 0.05 * TRIALS


def test_without_a_difference_noise_says_ahead_in_at_most_one_of_twenty_trials(monkeypatch):
    random = np.random.default_rng(7)
    false = sum(bool(noises(random, 0.0, IMAGES, monkeypatch) & {*ORDERED}) for _ in range(NOISY))
    assert false <= 0.05 * NOISY


@pytest.mark.parametrize("page", PAGES)
def test_a_known_difference_is_found_with_enough_images(page, monkeypatch):
    random = np.random.default_rng(1)
    found = sum(bool(page(random, 0.1, MANY, monkeypatch) & {*ORDERED}) for _ in range(KNOWN))
    assert found >= 0.95 * KNOWN


def test_no_protocol_is_told_from_the_papers_by_chance():
    random, false = np.random.default_rng(9), 0
    for _ in range(TRIALS):
        alike, against = random.multinomial(12, [0.5, 0.5])
        false += statistics.mcnemar(alike, against) < 0.05
    assert false <= 0.05 * TRIALS
