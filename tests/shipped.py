"""Shipped results read from their files, without the code under test."""

import atexit
import json
import os
import re
import shutil
import tempfile
from functools import cache, lru_cache
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import binom, chi2
from statsmodels.stats.multitest import multipletests

from asr_core.store import Store, catalogue
from asr_core.store.entries import PROJECT
from benchmarks import dashboard

SHIPPED = PROJECT / "cache" / "shipped" / "result"
EVERY = "ASR_EVERY_SETTING" in os.environ  # as `make test-words` sets it
REPORTED = ("ema", "reset", 0.1, 20)  # averaging, start, momentum and b of the reporting point
NOTHING = (None, None, None, 0)  # no recalibration
NAMES = {"dense": "dense", "no_repair": "no repair", "bn_only": "BN only"}
NAMES |= {"lw_bn": "LW (eq. 1)", "raw_bn": "raw", "asr_bn": "ASR"}


@cache
def store() -> Store:
    """The store of a fresh clone: what is shipped, and nothing that was computed in this checkout."""
    folder = Path(tempfile.mkdtemp(prefix="fresh-clone-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Store(dashboard.cache_with_shipped(folder))


def settings(where: Store) -> list[tuple[str, ...]]:
    """Keys of the results of every shipped setting, each setting once."""
    stored = [item for item in catalogue.stored(where) if (SHIPPED / item.key).is_dir()]
    return list(
        dict.fromkeys(catalogue.keys_of(catalogue.covering(stored, one.setting, one.dense_id)) for one in stored)
    )


def looked_at(where: Store) -> list[tuple[str, ...]]:
    """Those settings whose sentences are read: of each dense network and pruning rule one; with ASR_EVERY_SETTING, as
    `make test-words` sets it, all of them."""
    found: dict[tuple, tuple[str, ...]] = {}
    for keys in settings(where):
        known = facts(keys[0])
        rest = text_of(known) if EVERY else known["prune"]["pruning"]
        found.setdefault((known["dense_id"], rest), keys)
    return list(found.values())


@lru_cache(maxsize=512)
def table(key: str, name: str) -> pd.DataFrame:
    """A table of a result; variances in their own unit. Shared: never change it."""
    path: Path = SHIPPED / key / f"{name}.parquet"
    if not path.is_file():
        return pd.DataFrame()
    found = pd.read_parquet(path)
    for column in [c for c in found if c.startswith("log2 ")]:
        found[column.removeprefix("log2 ")] = 2.0 ** found[column].astype(float)
    return found


def channels(keys: tuple[str, ...]) -> pd.DataFrame:
    """One row per channel of a setting, empty where none are shipped."""
    return next((rows for key in keys if len(rows := table(key, "channels"))), pd.DataFrame())


def repaired(keys: tuple[str, ...], method: str) -> pd.DataFrame | None:
    """Factors and variances after a method, simultaneous and without mean correction, by (layer, channel); None where
    it is not shipped."""
    for key in keys:
        rows = table(key, "repairs")
        if rows.empty:
            continue
        own = rows[rows["method"].eq(method) & rows["order"].eq("simultaneous") & rows["params"].eq("")]
        own = own[~own["bias"].fillna(True).astype(bool)]
        if len(own):
            return own.set_index(["layer", "channel"])
    return None


@lru_cache(maxsize=256)
def right(key: str) -> np.ndarray:
    """(rows of accuracy, test images): which images are right."""
    with np.load(SHIPPED / key / "correct.npz") as file:
        return np.unpackbits(file["bits"], axis=1, count=int(file["n"])).astype(bool)


@lru_cache(maxsize=256)
def facts(key: str) -> dict:
    """The setting of a result as its manifest has it."""
    return json.loads((SHIPPED / key / "manifest.json").read_text())["facts"]["setting"]


def text_of(facts: dict, *without: str) -> str:
    """A setting, without what is measured and some of its fields, as text that two settings have in common."""
    parts = {name: dict(facts[name]) for name in ("data", "model", "dense", "prune", "calibration", "evaluation")}
    for name in without:
        part, _, field = name.partition(".")
        parts[part] = {} if not field else {n: v for n, v in parts[part].items() if n != field}
    later = (("without_batchnorm", False),)  # fields that earlier results lack, as those that are None
    parts = {p: {n: v for n, v in own.items() if v is not None and (n, v) not in later} for p, own in parts.items()}
    return json.dumps(parts, sort_keys=True)


def name(row) -> str:
    """A row of an accuracy table: 'ASR · simultaneous · bias off'."""
    words = [NAMES.get(row.method, row.method)]
    if isinstance(row.order, str):
        words += [row.order, f"bias {'on' if row.bias else 'off'}"]
    return " · ".join([*words, *([row.params] if row.params else [])])


def state(row) -> tuple:
    """A row's recalibration, as REPORTED and NOTHING are written."""
    if row.calib_batches == 0:
        return NOTHING
    start = row.start if isinstance(row.start, str) else None
    return row.averaging, start, float(row.momentum) if row.averaging == "ema" else None, int(row.calib_batches)


@lru_cache(maxsize=512)
def places(keys: tuple[str, ...]) -> dict[tuple[str, tuple], tuple[str, int]]:
    """(name, state) -> (key, row of its accuracy table) over the results of one setting, the first of equals."""
    found: dict[tuple[str, tuple], tuple[str, int]] = {}
    for key in keys:
        for place, row in enumerate(table(key, "accuracy").itertuples()):
            found.setdefault((name(row), state(row)), (key, place))
    return found


def bits(keys: tuple[str, ...], network: str, at: tuple) -> np.ndarray | None:
    """Which images a network has right in a state; None where it is not stored."""
    place = places(keys).get((network, at))
    return None if place is None else right(place[0])[place[1]]


def mcnemar(one: np.ndarray, other: np.ndarray) -> float:
    """p of McNemar's test: exact up to 1,000 images on which both differ, beyond by its chi-square."""
    a, b = int((one & ~other).sum()), int((~one & other).sum())
    if a + b == 0:
        return 1.0
    if a + b <= 1000:
        return min(1.0, 2 * float(binom.cdf(min(a, b), a + b, 0.5)))
    return float(chi2.sf(max(abs(a - b) - 1, 0) ** 2 / (a + b), 1))


def words(gains, p_values) -> list[str]:
    """ahead, behind or may be equal by Holm over all of them."""
    clear = multipletests(p_values, method="holm")[0] if len(p_values) else []
    return [
        "may be equal" if not sure or gain == 0 else "ahead" if gain > 0 else "behind"
        for gain, sure in zip(gains, clear, strict=True)
    ]


def compared(own: dict, pairs: list | None = None) -> dict:
    """(name, other) -> word of the first, corrected over all pairs."""
    pairs = list(combinations(own, 2)) if pairs is None else pairs
    gains = [int(own[a].sum()) - int(own[b].sum()) for a, b in pairs]
    return dict(zip(pairs, words(gains, [mcnemar(own[a], own[b]) for a, b in pairs]), strict=True))


def number(pattern: str, text: str) -> float:
    """The number in a sentence where `pattern` has its group."""
    found = re.search(pattern, text)
    assert found, (pattern, text)
    return float(found.group(1).replace(",", ""))


def near(said: float, stored: float, digits: int = 3) -> bool:
    """Whether a number that is said with so many digits is the one that is stored."""
    return bool(np.isclose(said, stored, rtol=0.51 * 10 ** (1 - digits), atol=1e-9))
