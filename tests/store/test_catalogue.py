"""Settings in words, and the stored one nearest to a wanted one."""

import pytest

from asr_core.spec.experiment import Setting
from asr_core.spec.model import ModelSpec
from asr_core.spec.parts import PruneSpec
from asr_core.store import catalogue
from asr_core.store.catalogue import Stored


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "global L1 95 %"),
        ({"pruning": "n_m", "keep_n": 2, "group_m": 4}, "2:4"),
        ({"include_linear": True, "sparsity": 0.9}, "global L1 90 % (linear layers too)"),
        (
            {"pruning": "lamp", "include_linear": True, "keep_head": True, "min_density": 0.01},
            "LAMP 95 % (linear layers too, head dense, each layer at least 0.01 dense)",
        ),
    ],
)
def test_the_pruning_in_words_names_all_that_makes_it_another_one(changes, words):
    assert PruneSpec.of(**changes).words == words


def test_the_network_in_words_names_a_changed_stem_and_head():
    assert ModelSpec.of("resnet18").words == "resnet18"
    assert ModelSpec.of("vgg16_bn", head="linear", stem="half").words == "vgg16_bn, half stem, linear head"


def shelf(*settings) -> list[Stored]:
    """Stored results of these settings, in this order."""
    return [Stored(str(number), setting, "0" * 16, {}, 1, "") for number, setting in enumerate(settings)]


@pytest.mark.parametrize(
    ("nearer", "farther"),
    [
        ({"sparsity": 0.9}, {"sparsity": 0.5}),  # how far, where the same groups differ
        ({"sparsity": 0.99}, {"sparsity": 0.9}),
        ({"sparsity": 0.5}, {"pruning": "lamp"}),  # coarse before fine
        ({"sparsity": 0.5, "eval_images": 10}, {"seed": 1}),
        ({"architecture": "resnet50"}, {"dataset": "cifar10"}),
        ({"stat_images": 16}, {"sparsity": 0.94}),
    ],
)
def test_the_nearest_setting_agrees_in_the_coarsest_groups_and_is_least_far_in_the_others(nearer, farther):
    near, far = Setting.of(**nearer), Setting.of(**farther)
    assert catalogue.nearest(shelf(near, far), Setting()).setting == near
    assert catalogue.nearest(shelf(far, near), Setting()).setting == near


def test_nothing_is_nearest_where_nothing_is_stored():
    assert catalogue.nearest([], Setting()) is None


def test_the_nearest_setting_is_of_the_wanted_network_however_far_it_is_pruned():
    near, other = Setting.of(sparsity=0.94), Setting.of(architecture="resnet50", sparsity=0.5)
    assert catalogue.nearest(shelf(near, other), Setting.of(architecture="resnet50")).setting == other
