"""What a view opens with where nothing is chosen: a shipped result, chosen by the stated rule."""

import numpy as np
import pytest
import torch
from fake_results import fake_result

from asr_core.spec.experiment import from_dict
from asr_core.spec.keys import Keys
from asr_core.spec.recalibration import REPORTED_STATE
from asr_core.store import Store, results, shipping
from asr_core.store.entries import WEIGHTS
from asr_core.studies.ablation import rows_in
from asr_core.studies.first import first


def ship(store: Store, apart: float = 0.1, tests: int = 360, weights: bool = True, **setting) -> str:
    """Ship a made result whose methods lie `apart` at the reported state; returns its key."""
    entry = fake_result(Store(store.root / "made"), **setting)
    tables = {name: entry.table(name) for name in results.TABLES}
    accuracy = tables["accuracy"].assign(n_eval=tests)
    reported = rows_in(accuracy, REPORTED_STATE).index
    accuracy.loc[reported, "top1"] = 0.5
    accuracy.loc[reported[accuracy.loc[reported, "method"].eq("asr_bn")], "top1"] = 0.5 + apart
    tables["accuracy"] = accuracy
    facts, key = entry.manifest["facts"], entry.manifest["key"]
    files = {f"{name}.parquet": table for name, table in tables.items()}
    store.put("result", key, files, facts, entry.manifest["spec"])
    shipping.ship_result(store.find("result", key), store)
    if weights:
        dense = {"recipe": facts["recipe"], "dense_id": facts["setting"]["dense_id"]}
        Store(store.shipped).put("dense", dense["dense_id"], {WEIGHTS: {"w": torch.zeros(1)}}, dense)
    return key


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


def test_where_nothing_is_stored_nothing_is_first(store):
    assert first(store) is None


def test_the_sparsity_at_which_methods_lie_farthest_apart_is_first(store):
    ship(store, 0.1, sparsity=0.5)
    widest = ship(store, 0.3, weights=False, sparsity=0.8)
    ship(store, 0.2, weights=False, sparsity=0.9)
    assert first(store).key == widest


def test_more_test_images_come_before_a_wider_distance(store):
    ship(store, 0.4, sparsity=0.9)
    many = ship(store, 0.1, tests=10_000, sparsity=0.9, seed=1)
    assert first(store).key == many


def test_maps_that_came_too_come_before_a_wider_distance(store):
    ship(store, 0.4, sparsity=0.9)
    drawn = ship(store, 0.1, sparsity=0.5)
    entry = store.find("result", drawn)
    key = Keys(from_dict(entry.manifest["spec"]), entry["setting"]["dense_id"]).prune
    Store(store.shipped).put("prune", key, {"masks.npz": {"conv": np.zeros(1, np.uint8)}}, {})
    assert first(store).key == drawn


def test_a_network_whose_weights_did_not_come_is_never_first(store):
    plain = ship(store, 0.1, sparsity=0.9)
    ship(store, 0.4, tests=10_000, weights=False, sparsity=0.9, seed=1)
    assert first(store).key == plain


def test_what_was_computed_here_does_not_change_the_first_view(store):
    shipped = ship(store, 0.1, sparsity=0.9)
    fake_result(store, sparsity=0.5)
    assert first(store).key == shipped


def test_without_shipped_results_the_default_setting_is_first(store):
    fake_result(store, sparsity=0.5)
    default = fake_result(store)
    assert first(store).key == default.manifest["key"]


def test_without_either_what_is_stored_is_first(store):
    only = fake_result(store, sparsity=0.5)
    assert first(store).key == only.manifest["key"]
