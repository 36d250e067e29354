"""Sentences about shipped results against an independent reading of their tables."""

import re
from itertools import combinations

import numpy as np
import pytest
import shipped
from scipy.stats import binomtest
from statsmodels.stats.multitest import multipletests

from asr_core.figures import NothingToDraw, overview
from asr_core.figures import transition as figures
from asr_core.report.sentences import rules
from asr_core.spec.recalibration import NO_STATE, REPORTED_STATE
from asr_core.spec.repairs import BN_ONLY, RepairSpec, repairs
from asr_core.store import Store, catalogue, results
from asr_core.studies import transition

REPAIRS = repairs(orders=("simultaneous",))
STATES = {"none": NO_STATE, "reported": REPORTED_STATE}
NAMED = r"(BN only|LW \(eq\. 1\)|raw|ASR)( · bias (on|off))?"


@pytest.fixture(scope="module")
def store() -> Store:
    return shipped.store()


def read(keys, state) -> dict[str, np.ndarray]:
    """Method and bias -> which images are right, read without the code under test."""
    found = {}
    for key in keys:
        rows = shipped.table(key, "accuracy")
        for row, own in zip(rows.itertuples(), shipped.right(key), strict=True):
            plain = row.method == "no_repair" and row.calib_batches == 0
            same = row.calib_batches == state.calib_batches and (
                state.calib_batches == 0 or (row.averaging, row.start, row.momentum) == ("ema", "reset", 0.1)
            )
            usual = row.order in ("simultaneous", None) or row.order != row.order
            if (plain or (same and row.method in METHODS and usual)) and not row.params:
                bias = "" if row.method in ("bn_only", "no_repair") else f" · bias {'on' if row.bias else 'off'}"
                found.setdefault(METHODS.get(row.method, row.method) + bias, own)
    return found


METHODS = {"bn_only": "BN only", "lw_bn": "LW (eq. 1)", "raw_bn": "raw", "asr_bn": "ASR"}


def by_scipy(right: dict[str, np.ndarray]) -> dict[tuple[str, str], str]:
    """(name, other) -> ahead, behind or may be equal, by scipy and statsmodels."""
    pairs = list(combinations(right, 2))
    counts = [(int((right[a] & ~right[b]).sum()), int((~right[a] & right[b]).sum())) for a, b in pairs]
    p = [1.0 if one + other == 0 else binomtest(one, one + other).pvalue for one, other in counts]
    clear = multipletests(p, method="holm")[0] if p else []
    said = {}
    for (a, b), (one, other), sure in zip(pairs, counts, clear, strict=True):
        word = "may be equal" if not sure or one == other else "ahead" if one > other else "behind"
        said[a, b], said[b, a] = word, {"ahead": "behind", "behind": "ahead"}.get(word, word)
    return said


@pytest.mark.parametrize("state", STATES)
def test_who_is_ahead_at_every_shipped_setting_is_what_its_images_say(store, state):
    checked = 0
    for keys in shipped.settings(store):
        result = results.open_results(store, keys)
        table = overview.ACCURACY.table(result, repairs=REPAIRS, state=STATES[state])
        text, right = overview.ACCURACY.sentence(table), read(keys, STATES[state])
        repaired = {name: own for name, own in right.items() if name != "no_repair"}
        if not repaired:
            assert "None of the chosen repairs is stored" in text
            continue
        best = max(repaired, key=lambda name: repaired[name].sum())
        words = by_scipy(right)
        found = table.set_index("label")
        assert repaired[best].mean() == pytest.approx(table.loc[table["best"], "top1"].iloc[0])
        mine = table.loc[table["best"], "label"].iloc[0]
        for name in (name for name in repaired if name != mine):
            assert found.loc[name, "word"] == words[mine, name], (keys, name)
        assert f"{100 * repaired[best].mean():.1f} %" in text and re.search(NAMED, text)
        for name in repaired.keys() - {mine}:
            if words[mine, name] == "behind":
                raise AssertionError((keys, name, text))
        absent = set(table.loc[table["top1"].isna(), "label"])
        assert ("Not stored" in text) == bool(absent) and not absent & repaired.keys()
        checked += 1
    assert checked > 0


def test_no_band_holds_a_sparsity_that_is_not_stored_or_not_ahead(store):
    stored = catalogue.stored(store)
    for item in transition.compared(stored):
        grouped = transition.groups(stored, item.setting, item.dense_id)
        result = results.open_results(store, catalogue.keys_of([item]))
        for repair in (BN_ONLY, *(RepairSpec.of("asr_bn", "simultaneous", bias) for bias in (False, True))):
            try:
                table = figures.TRANSITION.table(result, store, grouped, repair)
            except NothingToDraw:
                continue
            grid = sorted(table["sparsity"].unique())
            for rule, rows in table.groupby("rule"):
                top1 = rows.pivot_table(index="sparsity", columns="role", values="top1")
                for low, high in transition.runs(rows, grid):
                    inside = top1.reindex([s for s in grid if low <= s <= high])
                    assert inside[["dense", "bn_only", "repair"]].notna().all().all(), rule
                    assert (inside["repair"] > inside["bn_only"]).all(), rule
                    assert (inside["dense"] - inside["bn_only"] >= transition.FAILS - 1e-9).all(), rule
                said = rules.band(rows, grid)
                missing = [s for s in grid if s not in set(top1.index)]
                assert all(f"{100 * s:.4g}" in said.partition("not stored at")[2] for s in missing)
