"""Accuracy, its interval, and two methods compared on the same images."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_networks import fingerprint, noise, seeded
from torch import nn

from asr_core import evaluate
from asr_core.errors import DataError
from asr_core.measure import evaluation
from asr_core.measure.statistics import compare, wilson


class Echo(nn.Module):
    """Its logits are the first pixels of each image, so a test writes its predictions."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x):
        return x.flatten(1)[:, :3] * self.scale


def saying(classes) -> torch.Tensor:
    """Images for which Echo predicts these classes."""
    images = torch.zeros(len(classes), 3, 1, 1)
    images[range(len(classes)), classes] = 1
    return images


# --- intervals by hand ---


def wilson_by_formula(correct, n, z=1.959963984540054):
    p = correct / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return centre - half, centre + half


def test_wilson_of_8_of_10():
    assert wilson(8, 10) == pytest.approx((0.490162, 0.943318), abs=1e-6)


def test_wilson_of_none_and_of_all_stays_within_0_and_1():
    assert wilson(0, 10) == pytest.approx((0, 0.277533), abs=1e-6)
    assert wilson(10, 10) == pytest.approx((1 - 0.277533, 1), abs=1e-6)
    assert wilson(0, 1)[0] >= 0 and wilson(1, 1)[1] <= 1


@given(n=st.integers(1, 10_000), share=st.floats(0, 1))
def test_wilson_is_the_textbook_formula(n, share):
    assert wilson(round(share * n), n) == pytest.approx(wilson_by_formula(round(share * n), n), abs=1e-9)


def test_mcnemar_counts_only_images_on_which_the_methods_differ():
    """8 only a, 2 only b: twice the chance of at most 2 heads in 10 tosses, 2 * 56 / 1024."""
    a = np.array([True] * 8 + [False] * 2 + [True] * 5 + [False] * 5)
    b = np.array([False] * 8 + [True] * 2 + [True] * 5 + [False] * 5)
    table = compare({"a": a, "b": b})
    assert table["p"].tolist() == pytest.approx([112 / 1024])
    assert compare({"b": b, "a": a})["p"].tolist() == table["p"].tolist()


def test_mcnemar_of_methods_right_on_the_same_images_is_1():
    a = np.array([True, False, True])
    assert compare({"a": a, "same": a})["p"].tolist() == [1]


# --- evaluate ---


def test_top1_interval_and_predictions_by_hand():
    found = evaluate(Echo(), saying([0, 1, 2, 1]), [0, 1, 2, 2])
    assert found.predictions.tolist() == [0, 1, 2, 1] and found.predictions.dtype == np.int64
    assert found.top1 == 0.75
    assert (found.low, found.high) == pytest.approx(wilson_by_formula(3, 4))


@pytest.mark.parametrize(
    "labels", [[0, 1], (0, 1), np.array([0, 1]), torch.tensor([0, 1])], ids=lambda v: type(v).__name__
)
def test_labels_come_in_any_form(labels):
    assert evaluate(Echo(), saying([0, 2]), labels).top1 == 0.5


def test_batches_and_their_size_do_not_matter(model):
    images, labels = noise(17), np.arange(17) % 5
    whole = evaluate(model, images, labels)
    for other in (evaluate(model, images, labels, batch_size=4), evaluate(model, iter(images.split(6)), labels)):
        assert other.top1 == whole.top1 and np.array_equal(other.predictions, whole.predictions)


def test_evaluation_is_of_eval_mode_and_leaves_the_network_as_it_was(model):
    images, labels = noise(17), np.arange(17) % 5
    expected = evaluate(model, images, labels)
    model.train()
    before = fingerprint(model)
    assert np.array_equal(evaluate(model, images, labels).predictions, expected.predictions)
    assert fingerprint(model) == before


def test_a_network_that_gives_nan_predicts_class_0_with_a_warning():
    images = saying([1, 2])
    images[0] = 3e38
    model = Echo()
    torch.nn.init.constant_(model.scale, 10.0)  # infinity, minus itself, is NaN
    model.register_forward_hook(lambda _, __, output: output - output.where(output.isinf(), torch.zeros(())))
    with pytest.warns(UserWarning, match="outputs of 1 of 2 images are NaN or infinite; NaN counts as 0"):
        found = evaluate(model, images, [1, 2])
    assert found.predictions.tolist() == [0, 2]


def test_logits_are_given_per_image_in_order():
    found = evaluation.logits(Echo(), saying([2, 0, 1]).split(2))
    assert found.dtype == np.float32 and found.tolist() == [[0, 0, 1], [1, 0, 0], [0, 1, 0]]


# --- bad input ---


def test_a_wrong_number_of_labels_is_refused_before_any_pass():
    model = seeded()
    model.register_forward_hook(lambda *_: pytest.fail("ran"))
    with pytest.raises(DataError, match="16 images but 15 labels; give one label per image"):
        evaluate(model, noise(), [0] * 15)


def test_a_wrong_number_of_labels_for_batches_is_refused():
    with pytest.raises(DataError, match="3 predictions for 2 labels; give one label per image"):
        evaluate(Echo(), saying([0, 1, 2]).split(2), [0, 1])


def test_no_images_are_refused():
    with pytest.raises(DataError, match=r"0 predictions for 0 labels; .* at least one"):
        evaluate(Echo(), [], [])
