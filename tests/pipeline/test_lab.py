"""What stages share is made once: images normalised, weights and masks read, networks built."""

from collections import Counter

import numpy as np
import pytest
from made_maps import SPEC, copy

from asr_core.images.data import Dataset
from asr_core.networks import models
from asr_core.pipeline import lab, plan, run
from asr_core.pruning import masks
from asr_core.repairs import repair_model
from asr_core.store import results
from asr_core.store.entries import Entry

OTHER = SPEC.with_(prune=SPEC.prune.__class__.of("global_l1", sparsity=0.6))  # of which nothing is stored


def counted(monkeypatch, *functions: tuple[object, str]) -> Counter:
    """How often each of the functions, (where it is, its name), is called from now on."""
    calls: Counter = Counter()

    def count(where, name):
        own = getattr(where, name)

        def counting(*arguments, **named):
            calls[name] += 1
            return own(*arguments, **named)

        monkeypatch.setattr(where, name, counting)

    for where, name in functions:
        count(where, name)
    return calls


def evaluations(store) -> int:
    """How many of OTHER are not stored."""
    dense_id = results.dense_here(store, OTHER)
    return sum(task.stage == "evaluation" for task in plan.missing(OTHER, store, dense_id, 1437, 360))


def test_test_images_are_normalised_once_for_all_evaluations(tmp_path, monkeypatch):
    store, calls = copy(tmp_path), counted(monkeypatch, (Dataset, "test_batch"))
    assert evaluations(store) > 5
    run.run(OTHER, store)
    assert calls["test_batch"] == 1


def test_many_test_images_are_normalised_anew_and_give_the_same(tmp_path, monkeypatch):
    few, many = copy(tmp_path / "few"), copy(tmp_path / "many")
    expected = run.run(OTHER, few).accuracy
    monkeypatch.setattr(lab, "KEPT_IMAGES", 0)
    calls, asked = counted(monkeypatch, (Dataset, "test_batch")), evaluations(many)
    found = run.run(OTHER, many).accuracy
    assert calls["test_batch"] == asked
    np.testing.assert_array_equal(found["top1"], expected["top1"])
    np.testing.assert_array_equal(found["logit_gap"], expected["logit_gap"])


def test_how_many_test_images_go_at_once_changes_no_result(tmp_path, monkeypatch):
    few, many = copy(tmp_path / "few"), copy(tmp_path / "many")
    expected = run.run(OTHER, many).accuracy
    monkeypatch.setattr(lab, "EVAL_BATCH", 32)
    found = run.run(OTHER, few).accuracy
    np.testing.assert_array_equal(found["top1"], expected["top1"])
    np.testing.assert_array_equal(found["logit_gap"], expected["logit_gap"])


def test_weights_and_masks_are_read_once_and_the_network_is_built_once(tmp_path, monkeypatch):
    store = copy(tmp_path)
    calls = counted(monkeypatch, (Entry, "weights"), (masks, "unpack"), (models, "with_weights"))
    run.run(OTHER, store)
    assert calls == {"weights": 1, "unpack": 1, "with_weights": 1}


def test_a_network_is_put_together_twice_for_its_statistics_and_for_its_accuracies(tmp_path, monkeypatch):
    store, calls = copy(tmp_path), counted(monkeypatch, (repair_model, "apply_repairs"))
    run.run(OTHER, store)
    assert calls["apply_repairs"] == 2 * sum(bool(repair.order) for repair in OTHER.repairs)


def test_signal_tables_build_each_network_once(tmp_path, monkeypatch):
    store, calls = copy(tmp_path), counted(monkeypatch, (repair_model, "apply_repairs"), (Dataset, "test_batch"))
    run.signal(SPEC, store, SPEC.states[-1])
    assert calls == {"apply_repairs": sum(bool(repair.order) for repair in SPEC.repairs), "test_batch": 1}


def test_a_method_of_variances_alone_copies_no_weights(tmp_path, monkeypatch):
    store, seen = copy(tmp_path), []
    own = repair_model.Layer

    def layer(*given, **named):
        seen.append(own(*given, **named))
        return seen[-1]

    monkeypatch.setattr(repair_model, "Layer", layer)
    run.run(OTHER, store)
    assert seen
    assert all(each.weight is None for each in seen)


@pytest.mark.parametrize("pruned", [False, True])
def test_a_network_is_the_same_whatever_was_built_before(tmp_path, pruned):
    store = copy(tmp_path)
    dense_id = results.dense_here(store, SPEC)
    network = plan.NO_REPAIR if pruned else plan.DENSE
    fresh, used = (lab.Lab(SPEC, store, lab.Report(), run.Runtime()) for _ in range(2))
    fresh.dense_id = used.dense_id = dense_id
    used.network(SPEC.repairs[2])
    expected = fresh.network(network).state_dict()
    found = used.network(network).state_dict()
    assert found.keys() == expected.keys()
    assert all((found[name] == tensor).all() for name, tensor in expected.items())
