"""Texts that stay the same whatever is stored (notes of talks, steps of the idea) against the setting that they are
said of, read from its files."""

import json

import numpy as np
import pytest
import shipped
from scipy.stats import spearmanr

from asr_core.report import ideatext
from asr_core.store import catalogue
from asr_core.store.entries import PROJECT
from asr_core.studies import taught

METHODS = ("lw_bn", "raw_bn", "asr_bn")
CUMULATIVE = ("cumulative", None, None, 20)
TALKS = PROJECT / "asr_core" / "report" / "talks"


@pytest.fixture(scope="module")
def keys() -> tuple[str, ...]:
    """Of the setting that lessons and talks show."""
    store = shipped.store()
    return catalogue.keys_of(taught.chosen(store, catalogue.stored(store)))


@pytest.fixture(scope="module")
def notes() -> str:
    """All notes of the shipped talks."""
    talks = [json.loads(path.read_text()) for path in sorted(TALKS.glob("*.json"))]
    return "\n".join(scene["notes"] for talk in talks for scene in talk["scenes"])


@pytest.fixture(scope="module")
def idea() -> str:
    return "\n".join(ideatext.paragraphs())


def answers(keys, at, look: str = "simultaneous · bias off") -> dict[str, np.ndarray | None]:
    """Which images each of METHODS has right in a state."""
    return {method: shipped.bits(keys, f"{shipped.NAMES[method]} · {look}", at) for method in METHODS}


def tops(keys, at) -> list[float]:
    """Shares of right images of METHODS in a state."""
    return [float(right.mean()) for right in answers(keys, at).values()]


def ratios(keys, method: str):
    """v_repaired / v_dense of every channel that is alive when dense, by layer."""
    rows = shipped.channels(keys).set_index(["layer", "channel"])
    own = shipped.repaired(keys, method)["v_repaired"].reindex(rows.index)
    return (own / rows["v_dense"])[rows["v_dense"] > 1e-12].groupby("layer")


def test_layers_lose_different_shares(keys, notes):
    assert "layers lose different shares" in notes
    achieved = shipped.table(keys[0], "convs")["achieved"]
    assert achieved.max() - achieved.min() > 0.25


def test_damage_adds_up_with_depth(keys, notes):
    assert "it adds up with depth" in notes
    layers = shipped.table(keys[0], "layers").drop_duplicates("layer").dropna(subset="severity")
    assert spearmanr(layers["depth"], layers["severity"]).statistic > 0.5


def test_one_scalar_leaves_weak_and_loud_channels_in_one_layer(keys, notes):
    assert "Red and blue in one column" in notes
    found = ratios(keys, "lw_bn")
    assert ((found.quantile(0.25) < 1) & (found.quantile(0.75) > 1)).any()


def test_gains_multiply_through_the_layers_and_shrinkage_holds_back(keys, idea):
    assert "far too much for all together. Shrinkage holds back here as well" in idea
    most = {method: ratios(keys, method).median().max() for method in METHODS}
    assert most["raw_bn"] > 10
    assert most["asr_bn"] < 0.1 * most["raw_bn"]


def test_measured_anew_all_repairs_are_one_network(keys, notes, idea):
    assert "One network after all" in notes
    assert "all repairs are one network" in idea
    first, *others = answers(keys, CUMULATIVE).values()
    assert all((first == other).mean() > 0.995 for other in others)


def test_the_gap_in_the_papers_setting_is_gone_where_the_start_is_forgotten(keys, notes):
    assert "From reset, at the paper's b: wide gaps. Cumulative: none." in notes
    assert "The gap in the paper's setting is about the start" in notes
    assert np.ptp(tops(keys, shipped.REPORTED)) > 0.03
    assert np.ptp(tops(keys, CUMULATIVE)) < 0.003


def test_no_repair_wins_everywhere(notes):
    assert "no repair wins everywhere" in notes
    beaten = dict.fromkeys(METHODS, 0)
    for setting in shipped.settings(shipped.store()):
        for look in ("simultaneous · bias off", "sequential · bias on"):
            own = answers(setting, shipped.NOTHING, look)
            whole = all(right is not None for right in own.values())
            for (one, other), word in shipped.compared(own).items() if whole else ():
                beaten[one] += word == "behind"
                beaten[other] += word == "ahead"
    assert min(beaten.values()) > 0
