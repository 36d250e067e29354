"""Confidence, calibration error and temperature by hand; answers as small files."""

import numpy as np
import pytest

from asr_core.measure import confidence
from asr_core.store import Store, answers

LOGITS = np.log([[0.9, 0.1], [0.7, 0.3], [0.3, 0.7], [0.6, 0.4]])


def test_confidence_is_the_softmax_of_the_predicted_class():
    np.testing.assert_allclose(confidence.confidences(LOGITS), [0.9, 0.7, 0.7, 0.6])


def test_a_high_temperature_makes_all_classes_alike():
    np.testing.assert_allclose(confidence.confidences(LOGITS, 1e9), 0.5)


def test_logits_that_are_not_finite_still_have_a_confidence():
    wild = np.array([[np.nan, 1.0], [np.inf, 0.0], [-np.inf, 0.0], [np.nan, np.nan]])
    np.testing.assert_allclose(confidence.confidences(wild), [np.e / (1 + np.e), 1, 1, 0.5])


def test_calibration_error_by_hand():
    """Bins: 0.9 alone and right: 0.1 off; two of 0.7, one right: 0.2 off; 0.6 alone and wrong: 0.6 off."""
    found, bins = confidence.measure(LOGITS, np.array([0, 0, 0, 1]))
    assert found["ece"] == pytest.approx((0.1 + 2 * 0.2 + 0.6) / 4)
    assert found["confidence"] == pytest.approx(0.725)
    assert bins.sum(0).tolist() == pytest.approx([4, 2.9, 2])


def test_the_edges_of_confidence_have_their_bins():
    bins = confidence.reliability(np.array([1e-9, 1.0]), np.array([False, True]))
    assert bins[0, 0] == 1 and bins[-1, 0] == 1
    assert confidence.ece(bins[:0]) != confidence.ece(bins[:0])


def test_the_temperature_that_was_multiplied_in_is_found_again():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(4000, 5))
    chances = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    labels = (rng.random((4000, 1)) > chances.cumsum(1)).sum(1)
    assert confidence.temperature(3 * logits, labels) == pytest.approx(3, rel=0.05)
    found, _ = confidence.measure(3 * logits, labels)
    assert found["ece_tempered"] < 0.03 < found["ece"]


def test_temperature_stays_within_its_bounds_for_noise_and_for_certainty():
    labels = np.array([0, 1] * 50)
    assert confidence.temperature(np.eye(2)[labels], labels) >= 1 / confidence.HOTTEST
    assert confidence.temperature(np.eye(2)[1 - labels], labels) <= confidence.HOTTEST


def test_answers_come_back_from_their_file(tmp_path):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 7, 50)
    kept = [{"predictions": rng.integers(0, 7, 50), "bins": np.zeros((confidence.BINS, 3))} for _ in range(4)]
    entry = Store(tmp_path).put("evaluation", "0" * 24, {"correct.npz": answers.packed(kept, labels, 7)}, {})
    found = answers.read(entry)
    np.testing.assert_array_equal(found.labels, labels)
    np.testing.assert_array_equal(found.predictions, [arrays["predictions"] for arrays in kept])
    np.testing.assert_array_equal(found.correct, [arrays["predictions"] == labels for arrays in kept])


def test_a_network_may_know_more_classes_than_its_images_have(tmp_path):
    kept = [{"predictions": np.array([0, 9, 1]), "bins": np.zeros((confidence.BINS, 3))}]
    entry = Store(tmp_path).put("evaluation", "0" * 24, {"correct.npz": answers.packed(kept, [0, 1, 1], 2)}, {})
    np.testing.assert_array_equal(answers.read(entry).predictions, [[0, 9, 1]])


def test_results_of_before_hold_no_answers(tmp_path):
    store, bits = Store(tmp_path), {"bits": np.zeros((1, 1), np.uint8), "n": np.array(8)}
    assert answers.read(store.put("evaluation", "0" * 24, {"correct.npz": bits}, {})) is None
    assert answers.read(store.put("evaluation", "1" * 24, {}, {})) is None
