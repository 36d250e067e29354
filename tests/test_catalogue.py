"""Settings in words, and their parts as text in an address."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_core.errors import SpecError
from asr_core.store import catalogue
from asr_core.store.catalogue import Setting, Stored


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "global L1 95 %"),
        ({"rule": "n_m", "sparsity": None, "nm": "2:4"}, "2:4"),
        ({"linear": True, "sparsity": 0.9}, "global L1 90 % (linear layers too)"),
        (
            {"rule": "lamp", "linear": True, "floors": "keep_head,min_density=0.01"},
            "LAMP 95 % (linear layers too, head dense, each layer at least 0.01 dense)",
        ),
    ],
)
def test_the_pruning_in_words_names_all_that_makes_it_another_one(changes, words):
    assert Setting(**changes).pruning == words


def test_the_network_in_words_names_a_changed_stem_and_head():
    assert Setting(net="resnet18").model.words == "resnet18"
    assert Setting(net="vgg16_bn", head="linear", stem="half").model.words == "vgg16_bn, half stem, linear head"


@given(st.booleans(), st.booleans(), st.floats(0, 0.99, exclude_min=True))
def test_what_layers_keep_is_text_and_back(first, head, least):
    asked = {"keep_first": first, "keep_head": head, "min_density": least}
    assert catalogue.floors_of(catalogue.floors_text(asked)) == {name: value for name, value in asked.items() if value}


def test_nothing_kept_is_no_text():
    assert catalogue.floors_text({"keep_first": False, "min_density": 0.0, "sparsity": 0.9}) is None
    assert catalogue.floors_of(None) == {}


@pytest.mark.parametrize(("floors", "says"), [("keep_frist", "keep_first"), ("min_density=much", "give a number")])
def test_an_unknown_or_unreadable_floor_is_refused(floors, says):
    with pytest.raises(SpecError, match=says):
        catalogue.floors_of(floors)


def shelf(*settings) -> list[Stored]:
    """Stored results of these settings, in this order."""
    return [Stored(str(number), setting, {}, 1, "") for number, setting in enumerate(settings)]


@pytest.mark.parametrize(
    ("nearer", "farther"),
    [
        ({"sparsity": 0.9}, {"sparsity": 0.5}),  # how far, where the same groups differ
        ({"sparsity": 0.99}, {"sparsity": 0.9}),
        ({"sparsity": 0.5}, {"rule": "lamp"}),  # coarse before fine
        ({"sparsity": 0.5, "eval": 10}, {"seed": 1}),
        ({"net": "resnet50"}, {"data": "cifar10"}),
        ({"stats": 16}, {"sparsity": 0.94}),
    ],
)
def test_the_nearest_setting_agrees_in_the_coarsest_groups_and_is_least_far_in_the_others(nearer, farther):
    near, far = Setting(**nearer), Setting(**farther)
    assert catalogue.nearest(shelf(near, far), Setting()).setting == near
    assert catalogue.nearest(shelf(far, near), Setting()).setting == near


def test_the_nearest_setting_agrees_in_what_is_held_or_there_is_none():
    near, other = Setting(sparsity=0.94), Setting(net="resnet50", sparsity=0.5)
    assert catalogue.nearest(shelf(near, other), Setting(net="resnet50"), held=("net",)).setting == other
    assert catalogue.nearest(shelf(near), Setting(net="resnet50"), held=("net",)) is None
