"""What is said of repairs and recalibration at equal numbers of images, at shipped settings, against the files."""

from collections import Counter

import pytest
import shipped
from shipped import NOTHING, number

from asr_core.figures import budgets
from asr_core.spec.repairs import repairs
from asr_core.store import results

REPAIRS = repairs(orders=("simultaneous", "sequential"), biases=("off", "on"))
NAMES = [
    f"{shipped.NAMES[method]} · {order} · bias {bias}"
    for method in ("lw_bn", "raw_bn", "asr_bn")
    for order in ("simultaneous", "sequential")
    for bias in ("off", "on")
]


@pytest.fixture(scope="module")
def told():
    """(keys of a setting, those of the settings that differ from it in their numbers of images, sentence)."""
    store, by = shipped.store(), {}
    for keys in shipped.settings(store):
        facts = shipped.facts(keys[0])
        rest = shipped.text_of(facts, "calibration.stat_images", "calibration.calib_batch_size")
        by.setdefault((facts["dense_id"], rest), []).append(keys)
    found = []
    for group in (group for group in by.values() if len(group) > 1):
        opened = {keys: results.open_results(store, keys) for keys in group}
        for keys in group if shipped.EVERY else group[:1]:
            others = [other for other in group if other != keys]
            table = budgets.EQUAL.table(opened[keys], repairs=REPAIRS, more=[opened[other] for other in others])
            found.append((keys, others, budgets.EQUAL.sentence(table)))
    assert found
    return found


def right(keys, others) -> dict[tuple[str, int], object]:
    """(network, images that it has seen) -> which test images are right; the shown setting before the others."""
    found = {}
    for own in (keys, *others):
        size = shipped.facts(own[0])["calibration"]["calib_batch_size"]
        for (name, at), (key, row) in shipped.places(own).items():
            if name == "BN only" and at[0] == "cumulative":
                found.setdefault((name, at[3] * size), shipped.right(key)[row])
            if name in NAMES and at == NOTHING:
                seen = int(shipped.table(key, "accuracy")["stat_images"].iloc[row])
                found.setdefault((name, seen), shipped.right(key)[row])
    return found


def pairs(own: dict) -> list[tuple]:
    """Each repair with BN only on as many images."""
    return [(one, ("BN only", one[1])) for one in own if one[0] != "BN only" and ("BN only", one[1]) in own]


def test_how_often_a_repair_is_ahead_at_an_equal_budget_is_what_the_images_say(told):
    for keys, others, text in told:
        own = right(keys, others)
        words = shipped.compared(own, pairs(own))
        for word, count in Counter(words.values()).items():
            assert number(rf"budgets?: (?:[a-z ]+ in \d+, )*{word} in (\d+)", text) == count, (keys, word, text)
        assert number(r"([\d,]+) repairs? x", text) == len({name for (name, _), _ in words}), (keys, text)
        assert number(r"x ([\d,]+) budget", text) == len({images for (_, images), _ in words}), (keys, text)
        holes = len({name for (name, _), _ in words}) * len({images for (_, images), _ in words}) - len(words)
        assert ("not stored" in text) == (holes > 0), (keys, text)
        assert not holes or number(r"; the other ([\d,]+) (?:is|are) not stored", text) == holes, (keys, text)
        assert number(r"Holm over ([\d,]+) pair", text) == len(words) == number(r" of ([\d,]+)[; ].*\(McNemar", text)


def test_the_accuracies_at_the_ends_of_equal_budgets_are_those_of_the_images(told):
    for keys, others, text in told:
        own = right(keys, others)
        words = shipped.compared(own, pairs(own))
        seen = [images for (_, images), _ in words]
        for images in {min(seen), max(seen)}:
            part = text.partition(f" {images} images: ")[2].partition("). ")[0] + ")"
            assert f"BN only {100 * own['BN only', images].mean():.1f} %" in part, (keys, images, text)
            for (name, at), word in ((one, word) for (one, _), word in words.items()):
                said = f"{name} {100 * own[name, at].mean():.1f} % ({word})"
                assert at != images or said in part, (keys, said, text)
