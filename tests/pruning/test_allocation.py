"""Sharing out a budget: exact totals, bounds held, densities in proportion to scores everywhere else."""

import math
from collections import OrderedDict
from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_networks import TinyResNet, TinyVGG, seeded

from asr_core.errors import SpecError
from asr_core.networks import models
from asr_core.pruning import masks
from asr_core.pruning.budget import kept_per_layer
from asr_core.spec.experiment import Setting
from asr_core.spec.model import ModelSpec
from asr_core.spec.parts import PruneSpec
from asr_core.store import catalogue

SCORES = st.one_of(st.floats(1e-6, 1e6), st.sampled_from([0.0, math.nan, 1.0]))


@st.composite
def problems(draw):
    """(scores, sizes, keep, floors) that can be solved."""
    sizes = draw(st.lists(st.integers(1, 5000), min_size=1, max_size=12))
    scores = [draw(SCORES) for _ in sizes]
    floors = [draw(st.one_of(st.just(0), st.integers(0, size))) for size in sizes]
    keep = draw(st.integers(sum(floors), sum(sizes)))
    return tuple({f"l{i}": value for i, value in enumerate(values)} for values in (scores, sizes, floors)), keep


def solved(problem):
    (scores, sizes, floors), keep = problem
    return kept_per_layer(scores, sizes, keep, floors)


@given(problem=problems())
def test_the_total_is_exact_and_no_layer_leaves_its_bounds(problem):
    (_, sizes, floors), keep = problem
    found = solved(problem)
    assert sum(found.values()) == keep and list(found) == list(sizes)
    assert all(floors[name] <= found[name] <= sizes[name] for name in sizes)


@given(problem=problems())
def test_between_its_bounds_a_density_is_proportional_to_its_score(problem):
    """One common factor c explains every layer: dense ones want at least their size, floored ones at most their
    floor."""
    (scores, sizes, floors), _ = problem
    found = solved(problem)
    lowest, highest = Fraction(0), None
    for name in (n for n in sizes if scores[n] > 0):
        weight = Fraction(scores[name]) * sizes[name]
        if found[name] > floors[name]:  # c * weight > found - 1
            lowest = max(lowest, (found[name] - 1) / weight)
        if found[name] < sizes[name]:
            highest = min(highest or (found[name] + 1) / weight, (found[name] + 1) / weight)
    assert highest is None or lowest <= highest


@given(problem=problems())
def test_layers_without_a_score_get_more_than_their_floor_only_if_the_others_are_full(problem):
    (scores, sizes, floors), _ = problem
    found = solved(problem)
    scored = [name for name in sizes if scores[name] > 0]
    if any(found[name] > floors[name] for name in sizes if name not in scored):
        assert all(found[name] == sizes[name] for name in scored)


@given(problem=problems(), factor=st.floats(1e-3, 1e3))
def test_a_common_factor_of_all_scores_does_not_matter(problem, factor):
    (scores, sizes, floors), keep = problem
    exact = {name: Fraction(score) if score > 0 else 0 for name, score in scores.items()}
    scaled = {name: score * 2.0 ** round(math.log2(factor)) for name, score in scores.items()}
    assert all(
        Fraction(scaled[n]) == exact[n] * Fraction(2) ** round(math.log2(factor)) for n in sizes if scores[n] > 0
    )
    assert kept_per_layer(scaled, sizes, keep, floors) == solved(problem)


def test_a_remainder_goes_to_the_largest_fractions_and_ties_to_the_first():
    sizes = {"a": 10, "b": 10, "c": 10, "d": 4}
    assert kept_per_layer(dict.fromkeys(sizes, 1.0), sizes, 17, {}) == {"a": 5, "b": 5, "c": 5, "d": 2}
    assert kept_per_layer(dict.fromkeys(sizes, 1.0), sizes, 16, {}) == {
        "a": 5,
        "b": 5,
        "c": 4,
        "d": 2,
    }  # 4.7, 4.7, 4.7, 1.9


def test_a_layer_that_would_exceed_1_is_dense_and_the_others_share_the_rest():
    sizes = {"small": 10, "a": 100, "b": 200}
    assert kept_per_layer({"small": 50.0, "a": 2.0, "b": 1.0}, sizes, 50, {}) == {"small": 10, "a": 20, "b": 20}


def test_a_floor_can_undo_what_a_size_seemed_to_demand():
    """Before the floor of c takes half the budget, a would exceed its size; after it, a does not."""
    sizes, scores = {"a": 10, "b": 100, "c": 100}, {"a": 10.0, "b": 1.0, "c": 1e-9}
    assert kept_per_layer(scores, sizes, 30, {})["a"] == 10
    assert kept_per_layer(scores, sizes, 22, {"c": 12}) == {"a": 5, "b": 5, "c": 12}


@pytest.mark.parametrize(
    ("scores", "keep", "floors", "message"),
    [
        (
            {"a": 1.0, "b": 1.0},
            3,
            {"a": 4},
            "must keep at least 4 weights, but the sparsity leaves only 3; lower the sparsity or min_density",
        ),
        ({"a": 1.0, "b": 1.0}, 21, {}, "keep is 21; give a number of weights from 0 to all 20"),
        ({"a": 1.0, "b": 1.0}, -1, {}, "keep is -1; give a number"),
        ({"a": -1.0, "b": 1.0}, 5, {}, r"scores hold \{'a': -1.0\}; a layer's score is a finite number of at least 0"),
        ({"a": 1.0, "b": math.inf}, 5, {}, r"scores hold \{'b': inf\}"),
    ],
)
def test_what_cannot_be_solved_is_refused(scores, keep, floors, message):
    with pytest.raises(SpecError, match=message):
        kept_per_layer(scores, {"a": 10, "b": 10}, keep, floors)


# --- ERK ---


def published_erk(shapes, density):
    """The rules of google-research/rigl, get_sparsities_erdos_renyi: densities by layer.

    Solve for epsilon; while a layer would exceed 1, the layers of the largest raw probability become dense.
    """
    raw = {name: sum(shape) / math.prod(shape) for name, shape in shapes.items()}
    sizes, dense = {name: math.prod(shape) for name, shape in shapes.items()}, set()
    while True:
        rest = [name for name in shapes if name not in dense]
        wanted = density * sum(sizes.values()) - sum(sizes[name] for name in dense)
        epsilon = wanted / sum(raw[name] * sizes[name] for name in rest)
        largest = max(raw[name] for name in rest)
        if epsilon * largest <= 1:
            return {name: 1.0 if name in dense else epsilon * raw[name] for name in shapes}
        dense |= {name for name in rest if raw[name] == largest}


@pytest.mark.parametrize("architecture", ["resnet18", "resnet34", "mobilenet_v2", "vgg16_bn", "cifar_resnet20"])
@pytest.mark.parametrize("sparsity", [0.5, 0.9, 0.955])
def test_erk_has_the_dense_set_and_the_densities_of_the_published_rules(architecture, sparsity):
    model = models.outline(ModelSpec.pick(architecture=architecture, head="linear"), 10, 32)
    shapes = {name: tuple(w.shape) for name, w in masks.prunable(model).items()}
    expected = published_erk(shapes, 1 - sparsity)
    sizes = {name: math.prod(shape) for name, shape in shapes.items()}
    keep = sum(sizes.values()) - round(sparsity * sum(sizes.values()))
    found = kept_per_layer({name: sum(shape) / math.prod(shape) for name, shape in shapes.items()}, sizes, keep, {})
    assert sum(found.values()) == keep
    assert all(abs(found[name] - expected[name] * sizes[name]) <= 1.01 for name in sizes)
    assert {n for n in sizes if found[n] == sizes[n]} == {n for n in sizes if expected[n] == 1}


def test_erk_keeps_the_first_conv_and_two_shortcuts_of_resnet18_dense_at_90_percent():
    model = models.build(ModelSpec(architecture="resnet18"), 10, 32)
    _, table = masks.choose_masks(model, "erk", sparsity=0.9)
    dense = table.loc[table["kept"] == table["weights"], "layer"].tolist()
    assert dense == ["conv1", "layer2.0.downsample.0", "layer3.0.downsample.0"]


# --- floors ---


@pytest.mark.parametrize("rule", ["global_l1", "uniform", "erk", "lamp"])
def test_floors_hold_and_the_budget_is_met_all_the_same(rule):
    model = seeded(TinyResNet)
    options = {"keep_first": True, "keep_head": True, "min_density": 0.05, "include_linear": True}
    found, table = masks.choose_masks(model, rule, sparsity=0.8, **options)
    rows, total = table.set_index("layer"), table["weights"].sum()
    assert table["kept"].sum() == total - round(0.8 * total)
    assert rows.loc["conv1", "achieved"] == 0 and rows.loc["fc", "achieved"] == 0
    assert (rows["kept"] >= 0.05 * rows["weights"]).all()
    for name, mask in found.items():
        magnitude = model.get_submodule(name).weight.detach().abs()
        assert mask.all() or magnitude[mask].min() >= magnitude[~mask].max()


def test_the_first_conv_is_the_one_that_runs_first():
    class Backwards(torch.nn.Sequential):
        def __init__(self):
            super().__init__()
            self.late, self.early = torch.nn.Conv2d(4, 4, 3), torch.nn.Conv2d(3, 4, 3)

        def forward(self, x):
            return self.late(self.early(x))

    _, table = masks.choose_masks(Backwards(), "uniform", sparsity=0.4, keep_first=True)
    assert table.set_index("layer").loc["early", "achieved"] == 0 < table.set_index("layer").loc["late", "achieved"]


@pytest.mark.parametrize("rule", ["global_l1", "uniform", "erk", "lamp"])
def test_the_head_is_the_last_of_several_linear_layers(rule):
    torch.manual_seed(0)
    layers = {"conv": torch.nn.Conv2d(3, 8, 3), "flat": torch.nn.Flatten()}
    layers |= {"hidden": torch.nn.Linear(288, 16), "head": torch.nn.Linear(16, 10)}
    model = torch.nn.Sequential(OrderedDict(layers))
    _, table = masks.choose_masks(model, rule, sparsity=0.8, include_linear=True, keep_head=True)
    achieved = table.set_index("layer")["achieved"]
    assert achieved["head"] == 0
    assert achieved["hidden"] > 0.5


@pytest.mark.parametrize("rule", ["global_l1", "uniform", "erk", "lamp"])
def test_floors_beyond_the_budget_are_refused_with_the_remedy(rule):
    with pytest.raises(SpecError, match=r"must keep at least .* lower the sparsity or min_density"):
        masks.choose_masks(seeded(TinyVGG), rule, sparsity=0.9, min_density=0.5)
    with pytest.raises(SpecError, match="must keep at least"):
        masks.check_budget(models.outline(ModelSpec(), 10, 32), rule, sparsity=0.99, min_density=0.02)


def test_two_settings_that_differ_in_floors_alone_are_two_settings():
    """Or the dashboard would show results of one as those of the other."""
    floors = {"keep_first": True, "min_density": 0.015625}
    plain = Setting.of(pruning="erk", **floors)
    asked = {"include_linear": False, "sparsity": 0.95, "keep_head": False} | floors
    assert plain.prune.parameters == asked
    assert Setting.from_facts(plain.facts()) == plain != plain.but(keep_first=False, min_density=0.0)
    items = [_stored(setting) for setting in (plain, Setting.of(pruning="erk"))]
    assert [item.setting for item in catalogue.covering(items, plain)] == [plain]
    with pytest.raises(SpecError, match=r"unknown parameter of erk 'keep_frist'\. Did you mean 'keep_first'"):
        PruneSpec.of("erk", keep_frist=True)


def _stored(setting: Setting) -> catalogue.Stored:
    return catalogue.Stored("k", setting, "0" * 16, {}, 1, "")
