"""What pages say of answers and confidence, at every shipped setting, against the stored answers of each image."""

import re
from collections import Counter
from contextlib import suppress
from itertools import combinations

import numpy as np
import pytest
import shipped
from shipped import NOTHING, REPORTED, near, number
from statsmodels.stats.proportion import proportion_confint

from asr_core.figures import NothingToDraw, ablation, classes, confidence, paying, why
from asr_core.spec.recalibration import REPORTED_STATE
from asr_core.spec.repairs import BN_ONLY, RepairSpec, repairs
from asr_core.store import results

SHORT = {"BN only": BN_ONLY} | {
    shipped.NAMES[method]: RepairSpec.of(method, "simultaneous", False) for method in ("lw_bn", "raw_bn", "asr_bn")
}
PAIR = {"first": SHORT["LW (eq. 1)"], "second": SHORT["ASR"], "store": shipped.store()}
REPAIRS = repairs(orders=("simultaneous",), biases=("off",))


@pytest.fixture(scope="module")
def opened():
    """(keys, result) of shipped settings."""
    store = shipped.store()
    return [(keys, results.open_results(store, keys)) for keys in shipped.looked_at(store)]


def full(name: str) -> str:
    """How `shipped.name` writes a network that sentences call by its short name, the rest being shared."""
    return f"{name} · simultaneous · bias off" if name in SHORT and name != "BN only" else name


def place(keys, name: str) -> tuple[str, int] | None:
    """Where a network's row is: dense and no repair without recalibration, repairs at the reporting point."""
    return shipped.places(keys).get((full(name), REPORTED if name in SHORT else NOTHING))


def stored(keys) -> dict[str, tuple[str, int]]:
    """Where the rows of the dense and the pruned network and of the four repairs are, as far as they are stored."""
    return {name: found for name in ("dense", "no repair", *SHORT) if (found := place(keys, name))}


def bits(keys) -> dict[str, np.ndarray]:
    return {name: shipped.right(key)[row] for name, (key, row) in stored(keys).items()}


SAID: dict[str, list] = {}  # made once for all tests of a chart


def sentences(chart, opened, **what):
    """(keys, sentence) of a chart wherever it can be drawn; at least at one setting."""
    told = SAID.setdefault(chart.name + repr(what.get("order")), [])
    for keys, result in opened if not told else ():
        with suppress(NothingToDraw):
            told.append((keys, chart.sentence(chart.table(result, **what))))
    assert told
    return told


# --- confidence ---


def bins_of(keys) -> dict[str, np.ndarray]:
    """Bins (bin, (images, sum of confidences, right)) of each stored network."""
    found = {}
    for name, (key, row) in stored(keys).items():
        with np.load(shipped.SHIPPED / key / "correct.npz") as file:
            if "bins" in file:
                found[name] = file["bins"][row].astype(float)
    return found


def error(bins: np.ndarray) -> float:
    """Expected calibration error."""
    return float(np.abs(bins[:, 2] - bins[:, 1]).sum() / bins[:, 0].sum())


def test_calibration_errors_are_those_of_the_stored_bins(opened):
    for keys, text in sentences(confidence.ERRORS, opened, repairs=REPAIRS, state=REPORTED_STATE):
        found = bins_of(keys)
        for name in {"dense", "no repair"} & found.keys():
            assert abs(number(rf"{name} ([\d.]+)", text) - 100 * error(found[name])) < 0.051, (keys, text)
        errors = {name: 100 * error(found[name]) for name in SHORT if name in found}
        if len(errors) > 1 and "repairs from" in text:
            low, high = (float(v) for v in re.search(r"repairs from ([\d.]+) .*? to ([\d.]+) \(", text).groups())
            assert abs(low - min(errors.values())) < 0.051 and abs(high - max(errors.values())) < 0.051, (keys, text)
            assert f"({min(errors, key=errors.get)}, " in text and f"({max(errors, key=errors.get)}, " in text


def test_on_which_side_confidence_lies_is_what_the_bins_say(opened):
    for keys, text in sentences(confidence.ERRORS, opened, repairs=REPAIRS, state=REPORTED_STATE):
        for name, bins in bins_of(keys).items():
            if name not in ("dense", "no repair"):
                continue
            gap = 100 * (bins[:, 1].sum() - bins[:, 2].sum()) / bins[:, 0].sum()
            if abs(gap) >= 0.06:
                side = "surer" if gap > 0 else "less sure"
                assert re.search(rf"{name} [^;]*?\({abs(gap):.1f} {side} than right", text), (keys, name, gap, text)


def test_bins_beyond_chance_are_those_of_wilsons_interval(opened):
    for keys, text in sentences(confidence.BINS, opened, repairs=REPAIRS, state=REPORTED_STATE):
        for name, bins in bins_of(keys).items():
            n, sums, right = bins[bins[:, 0] > 0].T
            low, high = proportion_confint(right, n, method="wilson")
            shares = [100 * n[beyond].sum() / n.sum() for beyond in (sums / n > high, sums / n < low)]
            said = re.search(rf"[:;] {re.escape(name)} (\d+) % and (\d+) %", text)
            assert said, (keys, name, text)
            assert all(abs(float(v) - share) < 0.51 for v, share in zip(said.groups(), shares, strict=True)), text


# --- which images pay ---


def test_images_that_are_lost_and_regained_are_counted_as_stored(opened):
    for keys, text in sentences(paying.PAYING, opened, repairs=REPAIRS, state=REPORTED_STATE):
        own = bits(keys)
        lost = own["dense"] & ~own["no repair"]
        assert number(r"Of ([\d,]+) test images", text) == len(lost)
        assert number(r"test images, ([\d,]+) are right when dense and lost", text) == lost.sum(), (keys, text)
        mine = {name: own[name] for name in SHORT if name in own}
        if not lost.any() or len(mine) < 2:
            continue
        times = np.sum([lost & right for right in mine.values()], 0)[lost]
        assert number(r"([\d,]+) of them are regained by all", text) == (times == len(mine)).sum(), (keys, text)
        assert number(r"([\d,]+) by exactly one", text) == (times == 1).sum(), (keys, text)
        assert number(r"([\d,]+) by none", text) == (times == 0).sum(), (keys, text)


def test_images_that_a_repair_breaks_are_counted_as_stored(opened):
    for keys, text in sentences(paying.PAYING, opened, repairs=REPAIRS, state=REPORTED_STATE):
        own = bits(keys)
        broken = [int((own["dense"] & own["no repair"] & ~own[name]).sum()) for name in SHORT if name in own]
        reach = " to ".join(f"{count:,}" for count in sorted({min(broken), max(broken)}))
        assert f" {reach} that are right when dense and pruned become wrong" in text, (keys, text)


def test_who_regains_alone_is_what_is_stored(opened):
    for keys, text in sentences(paying.PAYING, opened, repairs=REPAIRS, state=REPORTED_STATE):
        own = bits(keys)
        lost, mine = own["dense"] & ~own["no repair"], {name: own[name] for name in SHORT if name in own}
        if not lost.any() or len(mine) < 2:
            continue
        times = np.sum([*mine.values()], 0)
        for name, right in mine.items():
            alone = int((lost & right & (times == 1)).sum())
            said = re.search(rf"(?:alone: |, ){re.escape(name)} ([\d,]+)[,)]", text.partition("by exactly one")[2])
            assert int(said.group(1).replace(",", "")) == alone if alone else not said, (keys, name, text)


def test_what_a_repair_is_against_no_repair_is_what_the_images_say(opened):
    for keys, text in sentences(paying.PAYING, opened, repairs=REPAIRS, state=REPORTED_STATE):
        own = {name: right for name, right in bits(keys).items() if name != "dense"}
        mine = [name for name in SHORT if name in own]
        pairs = [(name, "no repair") for name in mine] + list(combinations(mine, 2))
        told = shipped.compared(own, pairs)
        assert number(r"Holm over ([\d,]+) pair", text) == len(pairs), (keys, text)
        groups = dict(
            re.findall(r"(ahead|behind|may be equal): ([^;(]*(?:\(eq\. 1\)[^;(]*)?)", text.partition("Against")[2])
        )
        for name in mine:
            assert name in groups.get(told[name, "no repair"], ""), (keys, name, told[name, "no repair"], text)


# --- by class ---


def answers(keys) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """(label of each image, what each network answers)."""
    found, labels = {}, None
    for name, (key, row) in stored(keys).items():
        with np.load(shipped.SHIPPED / key / "correct.npz") as file:
            if "answers" not in file:
                continue
            labels = file["labels"].astype(int)
            found[name] = (file["answers"][row].astype(int) + labels) % int(file["classes"])
    return labels, found


def test_the_class_that_pruning_hits_most_is_that_of_the_stored_answers(opened):
    for keys, text in sentences(
        classes.RECALLS, opened, store=shipped.store(), repairs=REPAIRS, state=REPORTED_STATE, repair=SHORT["ASR"]
    ):
        labels, said = answers(keys)
        recall = {n: np.array([(a == labels)[labels == c].mean() for c in np.unique(labels)]) for n, a in said.items()}
        moved = 100 * (recall["no repair"] - recall["dense"])
        most = re.search(r"takes most from class .*? \((\d+) to (\d+) % right\)", text)
        assert abs(float(most[2]) - float(most[1]) - moved.min()) < 1.01, (keys, text)
        if least := re.search(r"and (least from|gives most to) .*? \((\d+) to (\d+) %", text):
            assert abs(float(least[3]) - float(least[2]) - moved.max()) < 1.01, (keys, text)
            assert (least[1] == "gives most to") == (moved.max() > 0), (keys, text)


def test_in_how_many_classes_a_repair_is_ahead_is_what_the_images_say(opened):
    for keys, text in sentences(
        classes.RECALLS, opened, store=shipped.store(), repairs=REPAIRS, state=REPORTED_STATE, repair=SHORT["ASR"]
    ):
        labels, said = answers(keys)
        looked = next(name for name in reversed(said) if name in text.partition(", ")[2]) if said else ""
        pairs = [((looked, c), ("no repair", c)) for c in np.unique(labels)]
        own = {(n, c): (said[n] == labels)[labels == c] for n in (looked, "no repair") for c in np.unique(labels)}
        count = Counter(shipped.compared(own, pairs).values())
        for word, pattern in (("ahead", "ahead of no repair"), ("behind", "behind"), ("may be equal", "may be equal")):
            found = re.search(rf"{pattern} in (\d+)", text)
            assert (int(found[1]) if found else 0) == count[word], (keys, word, count, text)


def test_the_commonest_answer_of_each_network_is_the_stored_one(opened):
    for keys, text in sentences(
        classes.CONFUSIONS, opened, store=shipped.store(), repairs=REPAIRS, state=REPORTED_STATE
    ):
        labels, said = answers(keys)
        share = re.findall(r"commonest answer .*?, (\d+) % of all", text)
        known = [name for name in ("dense", "no repair", *SHORT) if name in said]
        assert len(share) >= min(3, len(known)), (keys, text)
        for name, found in zip(known[:2], share, strict=False):
            assert abs(float(found) - 100 * np.bincount(said[name]).max() / len(labels)) < 0.51, (keys, name, text)


# --- why ---


def test_how_far_two_methods_lie_apart_and_why_is_what_the_channels_say(opened):
    for keys, text in sentences(why.WHY, opened, **PAIR):
        one, other = (shipped.repaired(keys, method)[["v_repaired", "gamma"]] for method in ("lw_bn", "asr_bn"))
        base = shipped.channels(keys)
        rows = base.set_index(["layer", "channel"])[["v_dense"]].join(one).join(other.add_suffix("_2"), how="inner")
        rows = rows[(rows[["v_dense", "v_repaired", "v_repaired_2"]] > 1e-12).all(axis=1)]
        rows = rows[np.isfinite(rows[["v_repaired", "v_repaired_2"]]).all(axis=1)]
        d = 0.5 * np.log(rows["v_repaired"] / rows["v_repaired_2"])
        p = np.log(rows["gamma"].fillna(1) / rows["gamma_2"].fillna(1))
        assert near(number(r"apart by a factor of ([\d.e+]+)", text), np.exp(np.sqrt((d**2).mean())), 2), (keys, text)
        share = 100 * (p * d).sum() / (d**2).sum()
        assert abs(number(r"(-?[\d]+) % is granularity", text) - share) < 1.1, (keys, share, text)


def test_the_accuracies_beside_a_reason_are_those_of_the_images(opened):
    for keys, text in sentences(why.WHY, opened, **PAIR):
        own = bits(keys)
        if not {"LW (eq. 1)", "ASR"} <= own.keys():
            assert "is not stored" in text, (keys, text)
            continue
        one, other = own["LW (eq. 1)"], own["ASR"]
        assert f": {100 * one.mean():.1f} and {100 * other.mean():.1f} % right" in text, (keys, text)
        clear = shipped.mcnemar(one, other) < 0.05 and one.sum() != other.sum()
        verdict = ("the first is" if one.sum() > other.sum() else "the second is") if clear else "may be equal"
        assert verdict in text, (keys, text)


# --- the paper's rows at every setting ---

ROWS = {
    "BN only": "BN only",
    "Layer-wise + BN": "LW (eq. 1) · {order} · bias off",
    "Channel-wise raw + BN": "raw · {order} · bias off",
    "ASR, median prior": "ASR · {order} · bias off",
    "ASR, median prior + bias correction": "ASR · {order} · bias on",
}


@pytest.mark.parametrize("order", ["simultaneous", "sequential"])
def test_the_highest_row_of_table_2_is_the_highest_of_those_that_are_stored(opened, order):
    for keys, text in sentences(ablation.TABLE2, opened, order=order, state=REPORTED_STATE):
        own = {row: shipped.bits(keys, name.format(order=order), REPORTED) for row, name in ROWS.items()}
        own = {row: right for row, right in own.items() if right is not None}
        highest = number(r"highest with ([\d.]+) %", text)
        assert highest >= max(100 * right.mean() for right in own.values()) - 0.051, (keys, text)
        named = re.search(r"b = \d+, (.*?) (?:is|are) highest", text)[1]
        for row in own.keys() & set(re.split(r", (?!median|mean|fixed)| and ", named)):
            assert abs(highest - 100 * own[row].mean()) < 0.051, (keys, text)
        if of := re.search(r"of the (\d+) of 7 rows that are stored", text):
            assert int(of[1]) >= len(own), (keys, text)


def test_the_highest_point_of_the_surface_is_the_highest_that_is_stored(opened):
    for keys, text in sentences(ablation.SURFACE, opened, state=REPORTED_STATE):
        found = shipped.places(keys)
        top1 = [
            shipped.table(key, "accuracy")["top1"].iloc[row]
            for (name, at), (key, row) in found.items()
            if at == REPORTED and ("grouped" in name or (name.split(" · ")[0] in SHORT and name.count(" · ") == 2))
        ]
        assert abs(number(r"The highest, ([\d.]+) %", text) - 100 * max(top1)) < 0.051, (keys, text)
