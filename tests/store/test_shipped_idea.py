"""What the front page says of a stored network, and the share of a start that an average holds, against the files."""

import re

import numpy as np
import pytest
import shipped
from shipped import NOTHING, near, number

from asr_core.figures import NothingToDraw, decay, idea
from asr_core.measure.diagnostics import FLOOR
from asr_core.store import results

METHODS = {"lw_bn": "one scalar for the layer", "raw_bn": "one factor each", "asr_bn": "shrinkage"}
RIGHT = {"BN only": None, **{f"{shipped.NAMES[method]} · simultaneous · bias off": None for method in METHODS}}
WHEN = re.compile(r"(as it was|measured anew), ([\d.]+)(?: to ([\d.]+))? %")


@pytest.fixture(scope="module")
def opened():
    """(keys, result) of every setting that is looked at."""
    store = shipped.store()
    found = [(keys, results.open_results(store, keys)) for keys in shipped.looked_at(store)]
    assert found
    return found


@pytest.fixture(scope="module")
def with_channels(opened):
    """Those whose channels ship, and what is left of the live ones: (layer, channel) -> before and after each repair,
    predicted and measured, relative to dense."""
    found = [(keys, result, left(keys)) for keys, result in opened]
    found = [one for one in found if one[2] is not None]
    assert found
    return found


def left(keys):
    """As `with_channels` says; None where channels or one of three methods are not shipped."""
    base, repaired = shipped.channels(keys), {method: shipped.repaired(keys, method) for method in METHODS}
    if base.empty or any(rows is None for rows in repaired.values()):
        return None
    base = base[(base["depth"] > 0) & (base["v_dense"] > FLOOR) & (base["v_pruned"] > FLOOR)]
    base = base.set_index(["layer", "channel"])
    base = base.assign(before=base["v_pruned"] / base["v_dense"])
    for method, rows in repaired.items():
        own = rows.reindex(base.index)
        predicted = {f"{method} predicted": own["gamma"] ** 2 * base["before"]}
        base = base.assign(**predicted, **{f"{method} measured": own["v_repaired"] / base["v_dense"]})
    return base


def percent(text: str) -> float:
    """'12.3 %' and '25 times' as a fraction."""
    value, unit = text.split()
    return float(value.replace(",", "")) / (100 if unit == "%" else 1)


def test_the_channels_of_a_real_layer_reach_what_is_said(with_channels):
    for keys, result, stored in with_channels:
        table = idea.LAYER.table(result)
        text = idea.LAYER.sentence(table)
        rows = stored.loc[[(layer, one) for layer, one in zip(table["layer"], table["channel"], strict=True)]]
        ends = re.findall(r"[\d.,e+-]+ (?:%|times)", text)
        columns = [
            "before",
            "before",
            "lw_bn predicted",
            "lw_bn predicted",
            "raw_bn predicted",
            *["asr_bn predicted"] * 2,
        ]
        reached = [rows[name].min() if at in (0, 2, 4, 5) else rows[name].max() for at, name in enumerate(columns)]
        assert len(ends) == len(reached), (keys, text)
        for said, is_stored in zip(ends, reached, strict=True):
            assert near(percent(said), is_stored, 2), (keys, text, said, is_stored)


def test_one_scalar_moves_all_channels_of_a_layer_alike(with_channels):
    for keys, result, _ in with_channels:
        table = idea.LAYER.table(result)
        shares = table.pivot(index="channel", columns="method", values="share")
        moved = shares["lw_bn"] / shares["no_repair"]
        assert np.ptp(moved) <= 1e-3 * moved.mean(), keys


def test_what_a_typical_channel_has_in_the_last_layer_is_what_is_stored(with_channels):
    for keys, result, stored in with_channels:
        text = idea.DEPTH.sentence(idea.DEPTH.table(result))
        last = stored[stored["depth"] == stored["depth"].max()]
        assert number(r"last of (\d+) layers", text) == stored.index.unique("layer").size, (keys, text)
        for words, column in {"pruned": "before", **{METHODS[one]: f"{one} measured" for one in METHODS}}.items():
            said = re.search(rf"{words} ([\d.,e+-]+ (?:%|times))", text)
            assert said, (keys, words, text)
            assert near(percent(said[1]), last[column].median(), 2), (keys, text, words)


def test_the_right_answers_before_and_after_batchnorm_is_measured_anew_are_those_of_the_images(opened):
    for keys, result in opened:
        text, own = idea.BATCHNORM.sentence(idea.BATCHNORM.table(result)), shipped.places(keys)
        most = max((at[3] for _, at in own if at[0] == "cumulative"), default=20)
        said = {found[1]: [float(found[2]), float(found[3] or found[2])] for found in WHEN.finditer(text)}
        for words, at in (("as it was", NOTHING), ("measured anew", ("cumulative", None, None, most))):
            shares = [100 * bits.mean() for name in RIGHT if (bits := shipped.bits(keys, name, at)) is not None]
            assert bool(shares) == (words in said), (keys, words, text)
            assert not shares or np.allclose(said[words], [min(shares), max(shares)], atol=0.051), (keys, text)


def test_the_share_of_a_start_that_an_average_holds_is_what_its_momentum_leaves(opened):
    for keys, result in opened:
        try:
            text = decay.DECAY.sentence(decay.DECAY.table(result))
        except NothingToDraw:
            assert all(at == NOTHING for _, at in shipped.places(keys)), keys
            continue
        most = max(at[3] for _, at in shipped.places(keys))
        said = {int(b): float(share) for share, b in re.findall(r"([\d.]+) at b = (\d+)", text)}
        assert list(said) == [b for b in (10, 20, 30, 50) if b <= most], (keys, text)
        assert all(abs(share - 0.9**b) <= 0.00051 for b, share in said.items()), (keys, text)
