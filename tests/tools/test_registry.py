"""Contracts of every registered pruning rule and repair method: a new file arrives tested."""

import inspect
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tiny_networks import FAMILIES, TinyResNet, TinyVGG, convs, fingerprint, noise, seeded, zeros
from torch import nn

from asr_core import prune, registry, repair, repair_factors
from asr_core.errors import SpecError, UnknownName
from asr_core.pruning import masks
from asr_core.repairs.methods import Factors
from asr_core.spec.digests import key
from asr_core.spec.labels import label
from asr_core.spec.parts import PruneSpec
from asr_core.spec.repairs import ORDERS, RepairSpec

RULES = registry.names("pruning rule")
METHODS = registry.names("repair method")
CHANGING = [name for name in METHODS if registry.get("repair method", name).changes_weights]
SIMPLE = [name for name in METHODS if not registry.get("repair method", name).needs]  # variances alone
REGISTERED = [(kind, name) for kind in registry.PACKAGES for name in registry.names(kind)]


def settings_of(cls) -> list[dict]:
    """The defaults, and each choice of each parameter that lists its choices."""
    found = [{}]
    for name, parameter in cls.parameters.items():
        found += [{name: choice} for choice in parameter.options if choice != parameter.default]
    return found


def cases(kind, names):
    return [
        pytest.param(name, params, id="-".join([name, *params.values()]))
        for name in names
        for params in settings_of(registry.get(kind, name))
    ]


# --- what the sidebar and --help show ---


@pytest.mark.parametrize("kind, name", REGISTERED)
def test_everything_registered_says_what_it_is(kind, name):
    cls = registry.get(kind, name)
    assert cls.name == name and name.isidentifier() and name == name.lower()
    assert cls.label and cls.__doc__ and cls.__doc__ != inspect.getdoc(cls.__mro__[1])
    assert cls.__module__ == f"{registry.PACKAGES[kind]}.{name}"
    for parameter, about in cls.parameters.items():
        assert parameter.isidentifier() and len(about.help) > 10
        assert about.check(parameter, about.default) == about.default
        assert not about.options or about.default in about.options


@pytest.mark.parametrize("kind", registry.PACKAGES)
def test_labels_are_unique(kind):
    labels = [registry.get(kind, name).label for name in registry.names(kind)]
    assert len(set(labels)) == len(labels)


@pytest.mark.parametrize("kind, name", REGISTERED)
def test_defaults_pass_their_own_checks_and_can_be_given_back(kind, name):
    cls = registry.get(kind, name)
    full = cls.checked()
    assert full == cls.defaults()
    assert cls.checked(**full) == full


@pytest.mark.parametrize("kind, name", REGISTERED)
def test_unknown_and_missing_parameters_are_refused(kind, name):
    cls = registry.get(kind, name)
    with pytest.raises(UnknownName, match=f"unknown parameter of {name} 'sparkle'"):
        cls.checked(sparkle=1)
    for parameter in cls.parameters:
        with pytest.raises(SpecError, match=f"{name} needs {parameter}: "):
            cls.checked(**{parameter: None})


@pytest.mark.parametrize("kind", registry.PACKAGES)
def test_an_unknown_name_lists_all_choices(kind):
    with pytest.raises(UnknownName, match=f"unknown {kind} 'nothing'.*{', '.join(registry.names(kind))}"):
        registry.get(kind, "nothing")


def test_labels_help_and_specs_are_read_without_importing_torch():
    program = """
import sys
from asr_core import registry
from asr_core.spec.experiment import ExperimentSpec
from asr_core.spec.keys import recipe_key
for kind in registry.PACKAGES:
    for name in registry.names(kind):
        cls = registry.get(kind, name)
        assert cls.label and cls.__doc__ and cls.checked() == cls.defaults()
        assert all(parameter.help for parameter in cls.parameters.values())
assert recipe_key(ExperimentSpec())
heavy = {"torch", "numpy", "pandas", "scipy"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", program], check=True)


# --- pruning rules ---


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("rule, params", cases("pruning rule", RULES))
def test_a_rule_gives_a_bool_mask_of_the_right_shape_for_every_prunable_layer(rule, params, family):
    model = seeded(FAMILIES[family])
    found, table = masks.choose_masks(model, rule, noise(), **params)
    assert {name: mask.shape for name, mask in found.items()} == {n: w.shape for n, w in masks.prunable(model).items()}
    assert all(mask.dtype == torch.bool for mask in found.values())
    assert set(table["layer"]) == set(found)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("rule, params", cases("pruning rule", RULES))
def test_a_rule_only_adds_zeros_and_reports_how_many(rule, params, family):
    model = seeded(FAMILIES[family])
    before = fingerprint(model)
    pruned, table = prune(model, rule, noise(), **params)
    assert fingerprint(model) == before
    removed = 0
    for name, conv in convs(model).items():
        weight = pruned.get_submodule(name).weight
        kept = weight != 0
        assert torch.equal(weight[kept], conv.weight[kept])
        row = table.set_index("layer").loc[name]
        assert row["kept"] == kept.sum() and row["weights"] == kept.numel()
        assert row["achieved"] == pytest.approx(1 - kept.double().mean().item())
        assert row["skipped"] == "" or kept.all()
        removed += int((~kept).sum())
    assert masks.achieved(table) == pytest.approx(removed / table["weights"].sum())
    others = set(model.state_dict()) - {f"{name}.weight" for name in convs(model)}
    assert all(torch.equal(model.state_dict()[k], pruned.state_dict()[k]) for k in others)


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_achieves_what_was_asked_where_it_skips_nothing(rule):
    """To within half a weight in all, which is what rounding may cost."""
    for params in [{"sparsity": s} for s in (0.0, 0.3, 0.9)] if "sparsity" in PruneSpec.of(rule).parameters else [{}]:
        _, table = prune(seeded(TinyVGG), rule, noise(), **params)
        rows = table[table["skipped"] == ""]
        asked = registry.get("pruning rule", rule).asked(PruneSpec.of(rule, **params).parameters)
        assert (table["asked"] == asked).all()
        assert masks.achieved(rows) == pytest.approx(asked, abs=0.51 / rows["weights"].sum())


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_prunes_linear_layers_on_request_only(rule):
    model = seeded(TinyResNet)
    _, table = prune(model, rule, noise())
    assert "fc" not in set(table["layer"])
    _, table = prune(model, rule, noise(), include_linear=True)
    assert "fc" in set(table["layer"])


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_is_deterministic_and_survives_equal_and_zero_weights(rule):
    model = seeded(TinyVGG)
    with torch.no_grad():
        convs(model)["3"].weight.fill_(0.25)
        convs(model)["7"].weight.zero_()
    first, second = (masks.choose_masks(model, rule, noise())[0] for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_has_a_spec_with_a_stable_key(rule):
    spec = PruneSpec.of(rule)
    again = PruneSpec(pruning=rule, params=tuple(reversed(spec.params)))
    assert spec == again and hash(spec) == hash(again) and key("prune", spec) == key("prune", again)


@pytest.mark.parametrize("rule", RULES)
def test_an_option_left_at_its_silent_default_is_no_part_of_the_spec(rule):
    """Or a rule that gains an option would lose its stored results."""
    silent = {name: p for name, p in registry.get("pruning rule", rule).parameters.items() if p.silent}
    plain = PruneSpec.of(rule)
    assert not silent.keys() & dict(plain.params).keys()
    for name, parameter in silent.items():
        assert PruneSpec.of(rule, **{name: parameter.default}) == plain
        changed = PruneSpec.of(rule, **{name: True if parameter.default is False else 0.25})
        assert dict(changed.params).keys() - dict(plain.params).keys() == {name} and key("prune", changed) != key(
            "prune", plain
        )


# --- repair methods ---

VARIANCES = st.one_of(st.floats(1e-30, 1e30), st.sampled_from([0.0, 1e-12, 1e-300, 1e300, np.inf, np.nan]))
LAYERS = st.integers(1, 40).flatmap(lambda n: st.tuples(*[arrays(np.float64, n, elements=VARIANCES)] * 2))


@given(layer=LAYERS)
@pytest.mark.parametrize("method, params", cases("repair method", SIMPLE))
def test_factors_are_finite_positive_and_1_for_dead_channels_or_shared_with_live_ones(method, params, layer):
    found = repair_factors(method, *layer, **params)
    assert found.dtype == torch.float64 and found.shape == (len(layer[0]),)
    assert found.isfinite().all() and (found > 0).all()
    dead = torch.tensor(layer[1] <= 1e-12)
    own = found[dead & (found != 1)]
    assert torch.isin(own, found[~dead]).all()


@given(v=st.integers(1, 40).flatmap(lambda n: arrays(np.float64, n, elements=st.floats(1e-10, 1e10))))
@pytest.mark.parametrize("method, params", cases("repair method", SIMPLE))
def test_factors_of_equal_statistics_are_1(method, params, v):
    eps = {"eps": 0} if method in CHANGING else {}
    np.testing.assert_allclose(repair_factors(method, v, v, **params, **eps), 1, rtol=1e-9)


@pytest.mark.parametrize("method, params", cases("repair method", [name for name in CHANGING if name in SIMPLE]))
def test_a_method_reports_what_lies_behind_its_factors(method, params):
    cls = registry.get("repair method", method)
    v = torch.rand(12, generator=torch.Generator().manual_seed(0)).double() + 0.1
    given_v = v.clone(), v.flip(0).clone()
    found = cls.factors(*given_v, cls.checked(**params))
    assert isinstance(found, Factors)
    assert torch.equal(given_v[0], v) and torch.equal(given_v[1], v.flip(0))
    for tensor in (found.gamma, found.gamma_raw, found.shrinkage):
        assert tensor.shape == (12,) and tensor.dtype == torch.float64
    assert ((found.shrinkage >= 0) & (found.shrinkage <= 1)).all()
    assert isinstance(found.prior_var, float) and isinstance(found.fallback, bool)
    torch.testing.assert_close(found.gamma, repair_factors(method, *given_v, **params))


@pytest.mark.parametrize("bias", [False, True], ids=["nobias", "bias"])
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("method, params", cases("repair method", METHODS))
def test_a_method_keeps_masks_and_gives_a_network_that_works(method, params, order, bias):
    model, images = seeded(TinyVGG), noise()
    pruned, _ = prune(model, "global_l1", sparsity=0.97)
    before, fingerprints = zeros(pruned), (fingerprint(model), fingerprint(pruned))
    cls = registry.get("repair method", method)
    if bias not in cls.biases:
        pytest.skip("this method takes no such bias")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=f".*{cls.fallback_words}")
        repaired, table = repair(model, pruned, images, method, order, bias, **params)
    assert (fingerprint(model), fingerprint(pruned)) == fingerprints
    assert all(torch.equal(before[name], z) for name, z in zeros(repaired).items())
    assert repaired(images).isfinite().all()
    assert table.empty == (method not in CHANGING)
    assert np.isfinite(table[["gamma_raw", "shrinkage"]].to_numpy(float)).all()
    assert np.isfinite(table["gamma"].to_numpy(float)).all() == (cls.scales or table.empty)
    linear, same = ([m for m in net.modules() if isinstance(m, nn.Linear)] for net in (pruned, repaired))
    assert all(torch.equal(a.weight, b.weight) for a, b in zip(linear, same, strict=True))


@pytest.mark.parametrize("method", METHODS)
def test_a_method_has_a_spec_and_columns(method):
    spec = RepairSpec.of(method)
    assert hash(spec) == hash(RepairSpec.of(method)) and spec.columns["method"] == method
    assert RepairSpec.from_columns(**spec.columns) == spec
    assert (spec.order is None) == (spec.bias is None) == (method not in CHANGING)


@pytest.mark.parametrize("method", CHANGING)
def test_every_parameter_of_a_method_enters_columns_legend_and_key(method):
    cls, plain = registry.get("repair method", method), RepairSpec.of(method)
    for name, parameter in cls.parameters.items():
        changed = {name: next(other_values(parameter))} | ({"prior": "fixed"} if name == "prior_value" else {})
        spec = RepairSpec.of(method, **changed)
        assert spec.columns != plain.columns and label(spec) != label(plain), name
        assert key("repair", spec) != key("repair", plain), name
        assert RepairSpec.from_columns(**spec.columns) == spec, name


def other_values(parameter):
    """Valid values beside the default."""
    if isinstance(parameter.default, bool):
        yield not parameter.default
    elif parameter.options:
        yield from (choice for choice in parameter.options if choice != parameter.default)
    else:
        yield parameter.default * 2 or 1


# --- the surface of grouped repair ---


@given(layer=LAYERS)
def test_grouped_repair_has_the_papers_methods_as_its_corners(layer):
    def same(method, **params):
        found = repair_factors("grouped_bn", *layer, **params)
        np.testing.assert_allclose(found, repair_factors(method, *layer), rtol=1e-6)

    same("asr_bn", group_size=1, prior_scale=1)
    same("raw_bn", group_size=1, prior_scale=0)
    same("lw_bn", group_size=0, prior_scale=0)


def test_channels_of_a_group_share_a_factor_by_hand():
    """Groups of 2 and a rest of 1: means 10 / 2.5, 9 / 1, 4 / 4."""
    found = repair_factors("grouped_bn", [4, 16, 9, 9, 4], [1, 4, 1, 1, 4], group_size=2, prior_scale=0, eps=0)
    np.testing.assert_allclose(found, [2, 2, 3, 3, 1])
