"""Masks: which weights go, exactly how many, and what the table says of it."""

import copy
import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_networks import TinyResNet, TinyVGG, convs, fingerprint, noise, seeded
from torch import nn
from torch.nn.utils import prune as torch_prune

from asr_core import prune
from asr_core.errors import ModelError, SpecError, UnknownName
from asr_core.pruning import masks
from asr_core.pruning import rules as pruning


def torch_global_masks(model, amount, kinds=(nn.Conv2d,)):
    """What torch.nn.utils.prune keeps, by layer."""
    model = copy.deepcopy(model)
    layers = {name: m for name, m in model.named_modules() if isinstance(m, kinds)}
    torch_prune.global_unstructured(
        [(m, "weight") for m in layers.values()], pruning_method=torch_prune.L1Unstructured, amount=amount
    )
    return {name: m.weight_mask.bool() for name, m in layers.items()}


def single(weight: torch.Tensor) -> nn.Module:
    """A network of one conv with this weight."""
    conv = nn.Conv2d(weight.shape[1], weight.shape[0], weight.shape[2:], bias=False)
    conv.weight = nn.Parameter(weight)
    return nn.Sequential(conv)


@pytest.mark.parametrize("sparsity", [0.0, 0.013, 0.5, 0.9, 0.97, 0.999])
def test_global_l1_agrees_with_torch_global_unstructured(model, sparsity):
    expected = torch_global_masks(model, sparsity)
    found, table = masks.choose_masks(model, "global_l1", sparsity=sparsity)
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert found.keys() == expected.keys()
    total = table["weights"].sum()
    assert table["weights"].sum() - table["kept"].sum() == round(sparsity * total)


def test_global_l1_with_linear_layers_agrees_with_torch_too(model):
    expected = torch_global_masks(model, 0.8, (nn.Conv2d, nn.Linear))
    found, _ = masks.choose_masks(model, "global_l1", sparsity=0.8, include_linear=True)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_linear_layers_stay_whole_unless_asked_for(model):
    pruned, _ = prune(model, "global_l1", sparsity=0.9)
    dense_linear = [m.weight for m in model.modules() if isinstance(m, nn.Linear)]
    assert torch.equal(next(m.weight for m in pruned.modules() if isinstance(m, nn.Linear)), dense_linear[0])


@given(
    levels=st.lists(st.sampled_from([0.0, 1.0, -1.0, 2.0]), min_size=18, max_size=18),
    sparsity=st.floats(0, 0.999),
)
def test_ties_are_cut_at_exactly_the_count(levels, sparsity):
    model = single(torch.tensor(levels).reshape(2, 1, 3, 3))
    found, table = masks.choose_masks(model, "global_l1", sparsity=sparsity)
    count = round(sparsity * 18)
    assert int((~found["0"]).sum()) == count
    assert table["kept"].item() == 18 - count
    dropped = model[0].weight[~found["0"]].abs()
    kept = model[0].weight[found["0"]].abs()
    assert len(dropped) == 0 or len(kept) == 0 or dropped.max() <= kept.min()


def test_a_network_of_equal_weights_loses_exactly_the_count():
    found, _ = masks.choose_masks(single(torch.ones(5, 2, 3, 3)), "global_l1", sparsity=0.5)
    assert int(found["0"].sum()) == 45


def test_uniform_takes_the_same_fraction_of_each_layer_by_magnitude(model):
    found, table = masks.choose_masks(model, "uniform", sparsity=0.73)
    total = table["weights"].sum()
    assert table["kept"].sum() == total - round(0.73 * total)
    for row in table.itertuples():
        magnitude = model.get_submodule(row.layer).weight.abs()
        threshold = magnitude.flatten().sort().values[row.weights - row.kept]
        assert torch.equal(found[row.layer], magnitude >= threshold)
        assert abs(row.kept - 0.27 * row.weights) < 1


def lamp_by_hand(weight):
    """w_u^2 over the sum of w_v^2 with w_v^2 >= w_u^2, in float64, for weights that all differ."""
    squares = weight.detach().double().flatten() ** 2
    return torch.stack([square / squares[squares >= square].sum() for square in squares]).reshape(weight.shape)


def test_lamp_removes_the_lowest_scores_over_all_layers(model):
    found, table = masks.choose_masks(model, "lamp", sparsity=0.8)
    scores = {name: lamp_by_hand(conv.weight) for name, conv in convs(model).items()}
    every = torch.cat([s.flatten() for s in scores.values()]).sort().values
    threshold = every[round(0.8 * len(every)) - 1]
    assert all(torch.equal(found[name], scores[name] > threshold) for name in scores)
    assert table["achieved"].nunique() > 1


@given(exponent=st.integers(-60, 60), layer=st.sampled_from(["0", "3", "7"]))
def test_the_scale_of_a_layer_does_not_matter_to_lamp(exponent, layer):
    model = seeded(TinyVGG).double()
    expected, _ = masks.choose_masks(model, "lamp", sparsity=0.9)
    with torch.no_grad():
        model.get_submodule(layer).weight.mul_(2.0**exponent)
    found, _ = masks.choose_masks(model, "lamp", sparsity=0.9)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize("equal", [False, True])
def test_lamp_keeps_the_largest_weight_of_each_layer_while_the_budget_lasts(equal):
    model = seeded(TinyVGG)
    if equal:  # of equal weights, one counts as the largest
        nn.init.constant_(model[3].weight, 0.5)
    total = sum(conv.weight.numel() for conv in convs(model).values())
    found, table = masks.choose_masks(model, "lamp", sparsity=1 - 3 / total)
    assert table["kept"].tolist() == [1, 1, 1]
    for name, mask in found.items():
        magnitude = model.get_submodule(name).weight.abs()
        assert magnitude[mask].item() == magnitude.max()


@pytest.mark.parametrize("counts", [[0, 1, 30, 71, 72], [50, 50], [0]])
def test_a_cut_removes_what_the_mask_of_the_smallest_removes(counts):
    generator = torch.Generator().manual_seed(0)
    different = torch.randn(4, 2, 3, 3, generator=generator)
    for weight in (different, different.round(), different.to(memory_format=torch.channels_last), different.bfloat16()):
        for count, cut in zip(counts, pruning.cuts(weight, counts), strict=True):
            mask = pruning.smallest({"": weight}, count)[""]
            found = cut.of(weight)
            assert torch.equal(found, weight * mask) and found.stride() == weight.stride()


@pytest.mark.parametrize("count", [1, 100, 999, *range(1500, 1520)])
@pytest.mark.parametrize("first", [torch.float16, torch.bfloat16, torch.float64])
def test_as_many_go_as_are_asked_for_whatever_the_layers_types_are(first, count):
    generator = torch.Generator().manual_seed(0)
    weights = {"a": torch.randn(10, 10, 3, 3, generator=generator).to(first)}
    weights["b"] = torch.randn(10, 10, 3, 3, generator=generator)
    found = pruning.smallest(weights, count)
    gone = torch.cat([w.abs().double()[~found[name]] for name, w in weights.items()])
    left = torch.cat([w.abs().double()[found[name]] for name, w in weights.items()])
    assert len(gone) == count
    assert gone.max() <= left.min()


def n_m_by_hand(weight, keep_n, group_m):
    """Keep the largest N of each M consecutive input channels: four loops and a sort."""
    mask = torch.zeros_like(weight, dtype=torch.bool)
    c_out, c_in, height, width = weight.shape
    for o, y, x in itertools.product(range(c_out), range(height), range(width)):
        for start in range(0, c_in, group_m):
            group = weight[o, start : start + group_m, y, x].abs()
            for best in group.argsort(descending=True)[:keep_n]:
                mask[o, start + best, y, x] = True
    return mask


@pytest.mark.parametrize("keep_n, group_m", [(2, 4), (1, 4), (1, 2), (3, 8), (7, 8)])
def test_n_m_keeps_the_largest_along_the_input_channels(keep_n, group_m):
    model = seeded(TinyResNet)
    found, table = masks.choose_masks(model, "n_m", keep_n=keep_n, group_m=group_m)
    skipped = set(table.loc[table["skipped"] != "", "layer"])
    for name, conv in convs(model).items():
        if name in skipped:
            assert conv.in_channels % group_m and found[name].all()
        else:
            assert torch.equal(found[name], n_m_by_hand(conv.weight, keep_n, group_m))


def test_n_m_reports_what_it_skipped_and_the_true_sparsity():
    _, table = masks.choose_masks(seeded(TinyResNet), "n_m")
    rows = table.set_index("layer")
    assert rows.loc["conv1", "skipped"] == "3 input channels per group are not a multiple of 4"
    assert rows.loc["conv1", "achieved"] == 0 and rows.loc["conv2", "achieved"] == 0.5
    assert (table["asked"] == 0.5).all()
    weights = rows["weights"]
    expected = 0.5 * (weights.sum() - weights["conv1"]) / weights.sum()
    assert masks.achieved(table) == pytest.approx(expected) and expected < 0.5


def test_n_m_skips_depthwise_convs_and_counts_channels_per_group():
    model = nn.Sequential(nn.Conv2d(8, 8, 3, groups=8), nn.Conv2d(8, 8, 1, groups=2), nn.Conv2d(8, 4, 1, groups=4))
    _, table = masks.choose_masks(model, "n_m")
    assert table["skipped"].tolist() == [
        "1 input channels per group are not a multiple of 4",
        "",
        "2 input channels per group are not a multiple of 4",
    ]
    assert table["achieved"].tolist() == [0, 0.5, 0]


def test_n_m_prunes_linear_layers_along_their_inputs():
    model = nn.Sequential(nn.Conv2d(4, 4, 1), nn.Flatten(), nn.Linear(4, 2))
    model[2].weight = nn.Parameter(torch.tensor([[1.0, -4.0, 3.0, 2.0], [0.5, 0.1, -0.2, 0.0]]))
    found, _ = masks.choose_masks(model, "n_m", include_linear=True)
    assert found["2"].tolist() == [[False, True, True, False], [True, False, True, False]]


def test_the_table_says_what_was_asked_and_what_came_of_it(model):
    pruned, table = prune(model, "global_l1", sparsity=0.9)
    assert table.columns.tolist() == ["layer", "weights", "kept", "asked", "achieved", "skipped", "tied", "tied_cut"]
    assert table["layer"].tolist() == list(convs(model))
    for row in table.itertuples():
        weight = pruned.get_submodule(row.layer).weight
        assert row.weights == weight.numel() and row.kept == int((weight != 0).sum())
        assert row.achieved == pytest.approx((weight == 0).double().mean().item()) and row.asked == 0.9
    assert masks.achieved(table) == pytest.approx(0.9, abs=1 / table["weights"].sum())


def test_pruning_twice_counts_the_first_zeros_as_the_smallest(model):
    once, _ = prune(model, "global_l1", sparsity=0.5)
    twice, table = prune(once, "global_l1", sparsity=0.8)
    direct, _ = prune(model, "global_l1", sparsity=0.8)
    assert all(
        torch.equal(a.weight, b.weight) for a, b in zip(convs(twice).values(), convs(direct).values(), strict=True)
    )
    assert masks.achieved(table) == pytest.approx(0.8, abs=1e-3)


@pytest.mark.parametrize("rule", ["global_l1", "uniform", "n_m", "erk", "lamp", "rr"])
def test_the_given_network_is_not_changed(model, rule):
    model.train()
    before = fingerprint(model)
    pruned, _ = prune(model, rule, noise())
    assert fingerprint(model) == before
    assert pruned is not model and pruned.training


def test_kept_energy_is_the_kept_share_of_squared_weights():
    model = single(torch.tensor([[3.0, 1.0], [0.0, 0.0]]).reshape(2, 2, 1, 1))
    table = masks.kept_table(model, {"0": torch.tensor([[True, False], [True, True]]).reshape(2, 2, 1, 1)})
    assert table["kept_fraction"].tolist() == [0.5, 1.0]
    assert table["kept_energy"][0] == pytest.approx(0.9) and np.isnan(table["kept_energy"][1])


def test_masks_survive_packing_into_bits(model):
    found, _ = masks.choose_masks(model, "global_l1", sparsity=0.77)
    again = masks.unpack(masks.pack(found), model)
    assert all(torch.equal(found[name], again[name]) for name in found)


def test_stored_bits_of_another_network_are_refused():
    bits = masks.pack({"0": torch.ones(8, 3, 3, 3, dtype=torch.bool)})
    with pytest.raises(ModelError, match=r"stored mask of 0 does not fit its \(4, 3, 3, 3\) weights"):
        masks.unpack(bits, nn.Sequential(nn.Conv2d(3, 4, 3)))


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_precision_and_memory_layout_do_not_matter(dtype, memory_format):
    model = seeded(TinyVGG)
    expected, _ = masks.choose_masks(model, "global_l1", sparsity=0.6)
    found, _ = masks.choose_masks(model.to(dtype).to(memory_format=memory_format), "global_l1", sparsity=0.6)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_a_bfloat16_network_is_pruned_by_its_own_magnitudes():
    model = seeded(TinyVGG).bfloat16()
    pruned, table = prune(model, "global_l1", sparsity=0.6)
    assert masks.achieved(table) == pytest.approx(0.6, abs=1e-3)
    assert all(conv.weight.dtype == torch.bfloat16 for conv in convs(pruned).values())


@pytest.mark.parametrize(
    "sparsity, message",
    [
        (90, r"sparsity is 90; it is the fraction of weights removed, in \[0, 1\). For 90 % write 0.9."),
        (1.0, r"sparsity is 1.0; .* in \[0, 1\)\.$"),
        (float("nan"), r"sparsity is nan; .* in \[0, 1\)\.$"),
        (-0.1, r"sparsity is -0.1; .* in \[0, 1\)\.$"),
        ("most", r"sparsity is most; .* in \[0, 1\)\.$"),
    ],
)
@pytest.mark.parametrize("rule", ["global_l1", "uniform", "erk", "lamp", "rr"])
def test_a_sparsity_that_is_no_fraction_is_refused(rule, sparsity, message):
    with pytest.raises(SpecError, match=message):
        prune(seeded(), rule, sparsity=sparsity)


@pytest.mark.parametrize("keep_n, group_m", [(4, 4), (5, 4), (2, 2)])
def test_n_at_or_above_m_is_refused(keep_n, group_m):
    with pytest.raises(SpecError, match=f"N:M is {keep_n}:{group_m}; N must be below M, for example 2:4"):
        prune(seeded(), "n_m", keep_n=keep_n, group_m=group_m)


@pytest.mark.parametrize("params", [{"keep_n": 0}, {"keep_n": 1.5}, {"group_m": 1}, {"keep_n": float("nan")}])
def test_n_and_m_are_whole_numbers(params):
    with pytest.raises(SpecError, match="give a whole number of at least"):
        prune(seeded(), "n_m", **params)


def test_an_unknown_rule_or_parameter_lists_the_choices_and_the_nearest():
    with pytest.raises(
        UnknownName, match=r"unknown pruning rule 'global-l1'. Did you mean 'global_l1'\? Choices: .*n_m"
    ):
        prune(seeded(), "global-l1")
    with pytest.raises(
        UnknownName, match=r"unknown parameter of n_m 'keepn'. Did you mean 'keep_n'\? Choices: group_m"
    ):
        prune(seeded(), "n_m", keepn=2)


def test_a_network_without_convs_is_refused():
    with pytest.raises(ModelError, match="Linear has no Conv2d layer"):
        prune(nn.Linear(3, 2), "global_l1")
