"""What figures say of single channels (spectrum, panels, kept energy), at shipped settings, against the files."""

import re
from contextlib import suppress

import numpy as np
import pandas as pd
import pytest
import shipped
from scipy.stats import spearmanr
from shipped import number

from asr_core.figures import NothingToDraw, energy, multiples, spectrum
from asr_core.spec.repairs import repairs
from asr_core.store import results

REPAIRS = repairs(orders=("simultaneous",), biases=("off",))
METHODS = {"LW (eq. 1)": "lw_bn", "raw": "raw_bn", "ASR": "asr_bn"}
DEAD = 1e-12  # variance at or under which a channel is dead
LAYERS = 5  # of a network at most


@pytest.fixture(scope="module")
def opened():
    """(keys, result, channels as stored) of the shipped settings whose channels are shipped."""
    store = shipped.store()
    found = [
        (keys, results.open_results(store, keys), rows)
        for keys in shipped.looked_at(store)
        if len(rows := shipped.channels(keys))
    ]
    assert found
    return found


def some_layers(rows: pd.DataFrame) -> list[str]:
    """Layers evenly over the depth, the first and the last among them."""
    names = list(rows.drop_duplicates("layer").sort_values("depth")["layer"])
    return [names[i] for i in sorted({round(i) for i in np.linspace(0, len(names) - 1, LAYERS)})]


def by_layer(opened, chart):
    """(rows of a layer as stored, sentence) wherever the chart can be drawn."""
    told = []
    for _, result, rows in opened:
        for layer in some_layers(rows):
            with suppress(NothingToDraw):
                told.append((rows[rows["layer"] == layer], chart.sentence(chart.table(result, layer=layer))))
    assert told
    return told


def test_what_is_left_of_weak_and_of_strong_channels_is_what_is_stored(opened):
    for rows, text in by_layer(opened, spectrum.SORTED):
        live = rows[rows["v_dense"] > DEAD].sort_values("v_dense", kind="stable")
        if len(live) < 4:
            assert "too few live channels" in text, text
            continue
        left = 100 * (live["v_pruned"] / live["v_dense"]).to_numpy()
        quarter = len(live) // 4
        assert abs(number(r"median ([\d.]+)% of the variance in the weakest", text) - np.median(left[:quarter])) < 0.051
        assert abs(number(r"and ([\d.]+)% in the strongest", text) - np.median(left[-quarter:])) < 0.051, text


def test_how_kept_energy_goes_with_kept_variance_is_what_is_stored(opened):
    for rows, text in by_layer(opened, energy.ENERGY):
        live = rows[(rows["v_dense"] > DEAD) & rows["kept_energy"].notna()]
        kept, left = live["kept_energy"].astype(float).round(6), (live["v_pruned"] / live["v_dense"]).round(6)
        assert number(r"Over the ([\d,]+) channel", text) == len(live), text
        if kept.nunique() >= 8 and left.nunique() >= 8:
            assert abs(number(r"kept variance is (-?[\d.]+)", text) - spearmanr(kept, left).statistic) < 0.0051, text
        else:
            assert "is not given for fewer than 8 distinct values" in text, text
        assert number(r"; ([\d,]+) of them keep", text) == (left < kept).sum(), text


def test_in_how_many_layers_a_network_is_near_dense_is_what_all_its_channels_say(opened):
    for keys, result, rows in opened:
        text = multiples.PANELS.sentence(multiples.PANELS.table(result, repairs=REPAIRS))
        base = rows[rows["v_dense"] > DEAD].set_index(["layer", "channel"])
        own = {name: shipped.repaired(keys, method) for name, method in METHODS.items()}
        own = {"no repair": base.assign(v_repaired=base["v_pruned"])} | own
        for name, found in own.items():
            said = re.search(rf"[:;] {re.escape(name)} ([\d,]+) of ([\d,]+)", text)
            assert (said is None) == (found is None), (keys, name, text)
            if found is None:
                continue
            v = found["v_repaired"]
            v = v[v.index.isin(base.index)]
            live = v.where(np.isfinite(v), np.inf)[lambda found: found > DEAD]
            middle = (live / base["v_dense"].reindex(live.index)).groupby("layer").median()
            assert int(said[1]) == middle.between(0.5, 2).sum(), (keys, name, text)
            assert int(said[2]) == base.index.get_level_values("layer").nunique(), (keys, name, text)
