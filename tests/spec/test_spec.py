"""What an experiment is: checked, normalised, and known by a key that does not move."""

import json
import math
from dataclasses import FrozenInstanceError, dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_core import registry
from asr_core.errors import AsrError, SpecError, UnknownName
from asr_core.fields import Chosen, Field, declarations, declared, whole
from asr_core.spec import digests as spec_keys
from asr_core.spec import experiment as spec
from asr_core.spec.dense import DenseSpec
from asr_core.spec.digests import canonical, key
from asr_core.spec.experiment import ExperimentSpec, Setting, setting_fields
from asr_core.spec.keys import Keys, recipe_key
from asr_core.spec.labels import label
from asr_core.spec.model import ModelSpec
from asr_core.spec.parts import DataSpec, PruneSpec
from asr_core.spec.recalibration import REPORTED_STATE, BatchNormState, Recalibration, default_states
from asr_core.spec.repairs import RepairChoice, RepairSpec
from asr_core.spec.repairs import repairs as default_repairs
from asr_core.spec.samples import CalibrationSpec, EvalSpec

# --- keys ---

# Every result in cache/, shipped ones included, is found by such a key. If one of these moves, what is
# stored under the old key is never found again and users recompute everything. If the meaning of a stage
# changed on purpose, raise its number in STAGE_VERSIONS, pin the new keys, and compute the shipped results
# again; if nothing changed its meaning, it is a mistake: a renamed field, a new default, an int for a float.
PINNED = {
    "dense": (
        "eb86f931fc3ea9075a4038ef",
        lambda: key(
            "dense",
            DataSpec(dataset="digits", image_size=32, classes=10, normalization="dataset"),
            ModelSpec.of("resnet18", stem="imagenet", head="torchvision"),
            DenseSpec(source="scratch", epochs=5, batch_size=64, learning_rate=0.1, precision="float32", seed=0),
        ),
    ),
    "prune": (
        "1dff49eb84d26e83e47a68b6",
        lambda: key("prune", "a-dense-network", PruneSpec.of("global_l1", sparsity=0.9)),
    ),
    "n_m": (
        "b54dc3197d3a4f8560fa6388",
        lambda: key("prune", "a-dense-network", PruneSpec.of("n_m", keep_n=2, group_m=4)),
    ),
    "stats": (
        "c990d1913389195b9d9317d4",
        lambda: key("stats", "a-pruned-network", {"stat_images": 64, "draw": 0}, BatchNormState()),
    ),
    "repair": (
        "cf52815be7c7476acb8c8b2a",
        lambda: key("repair", "a-pruned-network", RepairSpec.of("asr_bn", "sequential")),
    ),
    "lw_bn": (
        "5bf8c3bad118e66c98e9d16c",
        lambda: key("repair", "a-pruned-network", RepairSpec.of("lw_bn", "simultaneous", False)),
    ),
    "evaluation": (
        "bf4b1242af1c3ee847a2b183",
        lambda: key(
            "evaluation", "a-network", EvalSpec(eval_images=None, subset=0), BatchNormState.of("reset", "ema", 0.1, 20)
        ),
    ),
}


def test_options_that_rules_gained_later_left_old_specs_as_they_were():
    assert PruneSpec.of("global_l1", sparsity=0.95).params == (("include_linear", False), ("sparsity", 0.95))
    assert PruneSpec.of("uniform", keep_first=False, min_density=0).params == (
        ("include_linear", False),
        ("sparsity", 0.95),
    )
    assert dict(PruneSpec.of("erk", keep_first=True).params) == {
        "include_linear": False,
        "keep_first": True,
        "sparsity": 0.95,
    }


def test_options_that_training_gained_later_are_in_no_key_while_they_have_their_default():
    assert "average" not in canonical(DenseSpec())
    assert '"average":true' in canonical(DenseSpec(average=True))
    assert key("dense", DenseSpec(average=False)) == key("dense", DenseSpec())
    assert recipe_key(ExperimentSpec(dense=DenseSpec(average=True))) != recipe_key(ExperimentSpec())


@pytest.mark.parametrize("name", PINNED)
def test_keys_of_stored_results_do_not_move(name):
    pinned, compute = PINNED[name]
    assert compute() == pinned


def test_a_key_depends_on_the_stage_its_version_and_every_part(monkeypatch):
    parts = "a", PruneSpec.of("uniform")
    keys = {key("prune", *parts), key("stats", *parts), key("prune", "b", parts[1]), key("prune", "a")}
    keys.add(key("prune", "a", PruneSpec.of("uniform", sparsity=0.5)))
    monkeypatch.setitem(spec_keys.STAGE_VERSIONS, "prune", 99)
    keys.add(key("prune", *parts))
    assert len(keys) == 6
    assert all(len(k) == 24 and set(k) <= set("0123456789abcdef") for k in keys)


def test_canonical_json_is_sorted_and_without_spaces():
    assert canonical({"b": 1, "a": [1.5, None, True]}) == '{"a":[1.5,null,true],"b":1}'
    assert canonical(EvalSpec()) == '{"eval_images":null,"subset":0}'
    assert canonical([EvalSpec(), Path("x")]) == '[{"eval_images":null,"subset":0},"x"]'


def test_canonical_json_refuses_nan():
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical({"a": math.nan})


@pytest.mark.parametrize(
    "a, b",
    [
        (DataSpec(image_size=32), DataSpec(image_size=32.0)),
        (DataSpec(classes=10), DataSpec(classes=np.int64(10))),
        (DenseSpec(epochs=5, learning_rate=1), DenseSpec(epochs=5.0, learning_rate=1.0)),
        (CalibrationSpec(stat_images=64), CalibrationSpec(stat_images=64.0)),
        (EvalSpec(eval_images=100), EvalSpec(eval_images=np.float64(100))),
        (PruneSpec.of("global_l1", sparsity=0), PruneSpec.of("global_l1", sparsity=0.0)),
        (PruneSpec(), PruneSpec.of("global_l1", sparsity=0.95, include_linear=False)),
        (PruneSpec(pruning="n_m"), PruneSpec.of("n_m", group_m=4.0, keep_n=2)),
        (RepairSpec.of("lw_bn", bias=0), RepairSpec.of("lw_bn", bias=False)),
        (RepairSpec.of("asr_bn", eps=0), RepairSpec.of("asr_bn", eps=0.0)),
        (BatchNormState.of(momentum=1, calib_batches=20), BatchNormState.of(momentum=1.0, calib_batches=20.0)),
    ],
)
def test_equal_specs_have_equal_keys(a, b):
    assert a == b and hash(a) == hash(b) and canonical(a) == canonical(b)


def test_the_dense_recipe_depends_on_data_model_and_training_alone():
    base = ExperimentSpec()
    same = base.with_(
        prune=PruneSpec.of("n_m"), calibration=CalibrationSpec(draw=3), evaluation=EvalSpec(eval_images=5), states=()
    )
    assert recipe_key(same) == recipe_key(base)
    others = (
        base.with_(data=DataSpec(image_size=64)),
        base.with_(model=ModelSpec(architecture="resnet34")),
        base.with_(dense=DenseSpec(seed=1)),
    )
    assert len({recipe_key(one) for one in (base, *others)}) == 4


def test_specs_are_frozen():
    with pytest.raises(FrozenInstanceError):
        ExperimentSpec().data = None


def test_an_experiment_survives_json():
    for experiment in (
        ExperimentSpec(),
        ExperimentSpec(prune=PruneSpec.of("n_m"), repairs=(RepairSpec.of("asr_bn", prior="fixed", prior_value=2),)),
    ):
        again = spec.from_dict(json.loads(json.dumps(experiment.as_dict())))
        assert again == experiment and canonical(again) == canonical(experiment)


# --- normalisation ---


def test_bn_only_has_neither_order_nor_bias_nor_prior():
    expected = RepairSpec(method="bn_only")
    assert RepairSpec.of("bn_only", "sequential", True) == RepairSpec.of("bn_only") == expected
    assert (expected.order, expected.bias, expected.params, expected.parameters) == (None, None, (), {})


@pytest.mark.parametrize("method, bias", [("lw_bn", False), ("raw_bn", True), ("asr_bn", True)])
def test_the_mean_correction_defaults_to_the_methods_own(method, bias):
    assert RepairSpec.of(method).bias is bias
    assert RepairSpec.of(method, bias=not bias).bias is not bias


def test_every_parameter_of_a_repair_is_written_out():
    found = RepairSpec.of("asr_bn")
    assert found.order == "simultaneous"
    assert dict(found.params) == {
        "eps": 1e-8,
        "floor": 1e-12,
        "prior": "median",
        "prior_value": 1.0,
        "skip_first": True,
    }


def test_fields_of_a_batchnorm_state_that_do_not_apply_are_none():
    assert BatchNormState.of("keep", "cumulative", 0.3, 0) == BatchNormState()
    cumulative = BatchNormState.of("keep", "cumulative", 0.3, 10)
    assert cumulative == BatchNormState.of("reset", "cumulative", 0.1, 10)
    assert (cumulative.start, cumulative.momentum, cumulative.calib_batches) == (None, None, 10)
    ema = BatchNormState.of()
    assert (ema.start, ema.averaging, ema.momentum, ema.calib_batches) == ("reset", "ema", 0.1, 20)


# --- the default grid ---


def test_the_default_grid_is_bn_only_and_three_methods_in_both_orders_and_bias_settings():
    grid = default_repairs()
    assert grid[0] == RepairSpec.of("bn_only") and len(grid) == 13
    assert len({(r.method, r.order, r.bias) for r in grid}) == 13
    assert {r.method for r in grid} == {"bn_only", "lw_bn", "raw_bn", "asr_bn"}


def test_legends_and_columns_are_unique_and_readable():
    priors = [RepairSpec.of("asr_bn", prior=prior) for prior in ("mean", "fixed")]
    values = [RepairSpec.of("asr_bn", prior="fixed", prior_value=v) for v in (2, 2.0000001, 1e-9)]
    others = [RepairSpec.of("raw_bn", **p) for p in ({"eps": 0}, {"floor": 1e-6}, {"skip_first": False})]
    every = [*default_repairs(), *priors, *values, *others]
    assert len({canonical(r.columns) for r in every}) == len(every)
    assert len({label(r) for r in every}) == len(every)
    legends = {label(r) for r in every}
    assert {"BN only", "LW (eq. 1) · sequential · bias off", "ASR · simultaneous · bias on"} <= legends
    assert RepairSpec.of("raw_bn", eps=1e-6, skip_first=False).columns == {
        "method": "raw_bn",
        "order": "simultaneous",
        "bias": True,
        "params": '{"eps":1e-06,"skip_first":false}',
    }


def test_the_default_states_are_none_and_three_ways_at_each_budget():
    states = default_states()
    assert states[0] == BatchNormState() and len(states) == len(set(states)) == 1 + 3 * 4
    ways = {(s.start, s.averaging, s.momentum) for s in states[1:]}
    assert ways == {("reset", "ema", 0.1), ("keep", "ema", 0.1), (None, "cumulative", None)}
    assert default_states((0,)) == (BatchNormState(),)
    assert ExperimentSpec().max_batches == 50 and REPORTED_STATE in states


# --- fields: declared once, known by flat names ---

KINDS = [part.kind for part in spec.PARTS.values() if issubclass(part, Chosen)]


def owners() -> list[str]:
    """Flat names, once for each part that declares them or whose choices have them as parameters."""
    own = [name for part in (*spec.PARTS.values(), Recalibration, RepairChoice) for name in declarations(part)]
    return own + [name for kind in (*KINDS, "repair method") for name in registry.parameters(kind)]


def every_field() -> dict[str, Field]:
    """Every field of the parts and of recalibration and repairs, and every parameter, by flat name."""
    more = declarations(Recalibration) | declarations(RepairChoice) | registry.parameters("repair method")
    return setting_fields() | more


FIELDS = every_field()


def test_flat_names_are_unique_over_all_parts_and_parameters():
    names = owners()
    assert len(set(names)) == len(names) == len(FIELDS)
    assert set(names) == set(FIELDS)


@pytest.mark.parametrize("name", FIELDS)
def test_every_field_has_a_label_a_help_and_a_default_that_passes_its_check(name):
    field = FIELDS[name]
    assert field.label and field.help
    assert field.default is None or field.checked(name, field.default) == field.default


TEXTS = {"class_map": ["0,217,482", "1,0"], "logits": ["out", "1", "-1"], "ignore": ["conv1", "conv1,layer1.*"]}
TEXTS["normalization"] = ["dataset", "imagenet", "0.5,0.5,0.5/0.25,0.25,0.25"]


def values_of(name: str, field: Field) -> st.SearchStrategy:
    """Valid values of a field, None left out."""
    if name in TEXTS:
        return st.sampled_from(TEXTS[name])
    if field.many:
        return st.lists(st.sampled_from(field.options), min_size=1, unique=True).map(tuple)
    if field.options:
        return st.sampled_from(field.options)
    if field.kind == "flag":
        return st.booleans()
    if field.kind == "text":
        return st.text("0123456789abcdef", min_size=8, max_size=64)
    if field.kind == "whole":
        return st.integers(int(field.low), int(10**6 if field.high is None else field.high))
    high = 1e6 if field.high is None else field.high
    return st.floats(field.low, high).filter(lambda value: fits(name, field, value))


def fits(name: str, field: Field, value) -> bool:
    try:
        field.checked(name, value)
    except SpecError:
        return False
    return True


@given(data=st.data())
@pytest.mark.parametrize("name", FIELDS)
def test_the_text_of_a_value_is_read_back_as_the_value(name, data):
    field = FIELDS[name]
    value = field.checked(name, data.draw(values_of(name, field)))
    assert field.read(name, field.text(value)) == value


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("min_density", "much", "min_density is 'much'; give a number"),
        ("epochs", "1.5", "epochs is '1.5'; give a whole number"),
        ("keep_first", "True", "unknown keep_first 'True'. Choices: off, on"),
        ("methods", "asr", "unknown repair method 'asr'. Did you mean 'asr_bn'"),
        ("methods", " , ", "methods is empty; give at least one of asr_bn"),
    ],
)
def test_a_text_that_is_no_value_is_refused(name, text, says):
    with pytest.raises(SpecError, match=says):
        FIELDS[name].read(name, text)


@st.composite
def settings(draw) -> Setting:
    """A random valid setting: each value given or left at its default."""
    drawn = {name: draw(st.none() | values_of(name, field)) for name, field in setting_fields().items()}
    if drawn["dataset"] == "folder":
        drawn |= {"digest": drawn["digest"] or "0123abcd", "classes": drawn["classes"] or 2}
    if drawn["source"] == "file":
        drawn["weights_digest"] = drawn["weights_digest"] or "0123abcd"
    drawn["outputs"] = 1000 if drawn["class_map"] else None
    low, high = sorted((drawn["keep_n"] or 2, drawn["group_m"] or 4))
    return Setting.of(**drawn | {"keep_n": low, "group_m": high + (low == high)})


@st.composite
def experiments(draw) -> ExperimentSpec:
    """A random valid experiment."""
    known = registry.parameters("repair method")
    params = {name: draw(st.none() | values_of(name, field)) for name, field in known.items()}
    params["prior_value"] = params["prior_value"] if params["prior"] == "fixed" else None
    chosen = {name: draw(values_of(name, FIELDS[name])) for name in ("methods", "orders", "biases")}
    fields = declarations(Recalibration)
    one = {name: values_of(name, field) for name, field in fields.items()}
    states = tuple(BatchNormState.of(**state) for state in draw(st.lists(st.fixed_dictionaries(one), min_size=1)))
    return ExperimentSpec.of_setting(draw(settings()), default_repairs(**chosen, **params), states)


@given(settings())
def test_a_setting_survives_its_facts_and_its_values(setting):
    again = Setting.from_facts(json.loads(json.dumps(setting.facts())))
    assert again == setting
    assert canonical(again) == canonical(setting)
    assert Setting.of(**setting.values()) == setting


@given(experiments())
def test_any_experiment_survives_json(experiment):
    again = spec.from_dict(json.loads(json.dumps(experiment.as_dict())))
    assert again == experiment
    assert canonical(again) == canonical(experiment)
    assert key("result", again) == key("result", experiment)


OWN = [
    (rule, name) for rule in registry.names("pruning rule") for name in registry.get("pruning rule", rule).parameters
]


@pytest.mark.parametrize(("rule", "name"), OWN)
def test_prunings_that_differ_in_one_parameter_have_different_keys(rule, name):
    field, plain = FIELDS[name], PruneSpec.of(rule)
    other = {"flag": not field.default, "whole": 3, "number": 0.25}[field.kind]
    changed = PruneSpec.of(rule, **{name: other})
    assert changed.parameters[name] != plain.parameters[name]
    assert key("prune", changed) != key("prune", plain)
    assert Keys(ExperimentSpec(prune=changed), "a").prune != Keys(ExperimentSpec(prune=plain), "a").prune


def test_what_is_silent_and_at_its_default_is_in_no_key():
    silent = {name: field for name, field in FIELDS.items() if field.silent}
    assert {"average", "keep_first", "keep_head", "min_density"} <= silent.keys()
    for rule in registry.names("pruning rule"):
        own = {n: f.default for n, f in silent.items() if n in registry.get("pruning rule", rule).parameters}
        text = canonical(ExperimentSpec(prune=PruneSpec.of(rule, **own)))
        assert not [name for name in silent if f'"{name}"' in text]


def test_a_silent_field_of_a_part_with_a_choice_is_in_no_key_at_its_default():
    """As one would be added to a part: what is stored keeps its key."""

    @dataclass(frozen=True, kw_only=True)
    class Later(PruneSpec):
        rounds: int = declared(whole(1, "Rounds", "Times that the rule is applied.", 1, silent=True))

    assert canonical(Later()) == canonical(PruneSpec())
    assert '"rounds":2' in canonical(Later(rounds=2))


# --- bad input ---


@pytest.mark.parametrize(
    "build, message",
    [
        (lambda: PruneSpec.of("global_l1", sparsity=90), r"sparsity is 90; .*in \[0, 1\). For 90 % write 0.9\.$"),
        (lambda: PruneSpec.of("global_l1", sparsity=1.0), r"sparsity is 1.0; .*in \[0, 1\)\.$"),
        (lambda: PruneSpec.of("global_l1", sparsity=math.nan), "sparsity is nan"),
        (lambda: PruneSpec.of("global_l1", sparsity=-0.1), "sparsity is -0.1"),
        (lambda: PruneSpec.of("global_l1", sparsity="a lot"), "sparsity is a lot"),
        (lambda: PruneSpec(params=(("sparsity", None),)), "global_l1 needs sparsity: Fraction of weights removed"),
        (lambda: PruneSpec.of("global_l1", include_linear="no"), "include_linear is 'no'; give True or False"),
        (lambda: PruneSpec.of("n_m", keep_n=4), "N:M is 4:4; N must be below M, for example 2:4 or 1:4"),
        (lambda: PruneSpec.of("n_m", keep_n=True), "keep_n is True; give a whole number of at least 1"),
        (lambda: PruneSpec(pruning="global_l1", params=(("sparsity", 2),)), "sparsity is 2"),
        (lambda: DataSpec(image_size=4), "image_size is 4; give a whole number of at least 8 and at most 1024"),
        (lambda: DataSpec(image_size=math.nan), "image_size is nan; give a whole number"),
        (lambda: DataSpec(image_size=math.inf), "image_size is inf; give a whole number"),
        (lambda: DataSpec(image_size="32"), "image_size is '32'; give a whole number"),
        (lambda: DenseSpec(epochs=10**400), "epochs is beyond 9007199254740991; give a whole number of at least 1"),
        (lambda: DenseSpec(epochs=-(10**400)), "epochs is beyond -9007199254740991; give a whole number of at least 1"),
        (lambda: DataSpec(classes=1), "classes is 1; give a whole number of at least 2"),
        (
            lambda: DataSpec(dataset="folder"),
            "a folder needs the digest of its content, .*give folder:PATH",
        ),
        (lambda: DataSpec(digest="0123abcd"), "a folder needs the digest of its content, and only a folder has one"),
        (lambda: DataSpec(dataset="folder", digest="abc", classes=2), "digest is 'abc'; it is a digest of content"),
        (lambda: DataSpec(dataset="folder", digest="0123abcd"), "folder needs its number of classes; give folder:PATH"),
        (lambda: ModelSpec.of("cifar_resnet20", stem="half"), "unknown parameter of cifar 'stem'"),
        (lambda: DenseSpec(average="yes"), "average is 'yes'; give True or False"),
        (lambda: DenseSpec(epochs=0), "epochs is 0; give a whole number of at least 1"),
        (lambda: DenseSpec(batch_size=1), "batch_size is 1; give a whole number of at least 2"),
        (lambda: DenseSpec(learning_rate=0), "learning_rate is 0; give a finite number above 0"),
        (lambda: DenseSpec(learning_rate=math.inf), "learning_rate is inf; give a finite number above 0"),
        (lambda: DenseSpec(source="file"), "source 'file' needs a weights file"),
        (lambda: DenseSpec(weights_digest="0123abcd"), "only it takes one"),
        (
            lambda: DenseSpec(source="file", weights_digest="../x"),
            "weights_digest is '../x'; it is a digest of content",
        ),
        (
            lambda: DataSpec(normalization="ImageNet"),
            "normalization is 'ImageNet'; give dataset, imagenet, or means/stand",
        ),
        (lambda: DataSpec(normalization="1,1,1/1,1,0"), "the last three above 0"),
        (lambda: DataSpec(normalization="1,1/1,1,1"), "such as 0.5,0.5,0.5/0.25,0.25,0.25"),
        (lambda: PruneSpec(ignore="conv1; rm"), "ignore is 'conv1; rm'; give names of layers with"),
        (lambda: CalibrationSpec(stat_images=1), "stat_images is 1; give a whole number of at least 2"),
        (lambda: CalibrationSpec(calib_batch_size=1.5), "calib_batch_size is 1.5; give a whole number"),
        (lambda: EvalSpec(eval_images=0), "eval_images is 0; give a whole number of at least 1"),
        (lambda: EvalSpec(subset=-1), "subset is -1; give a whole number of at least 0"),
        (lambda: RepairSpec.of("lw_bn", bias="on"), "bias is 'on'; give True or False"),
        (lambda: RepairSpec.of("raw_bn", eps=-1), "eps is -1; give a finite number of at least 0"),
        (lambda: BatchNormState.of(momentum=0), r"momentum is 0; give a number in \(0, 1\]"),
        (lambda: BatchNormState.of(momentum="fast"), r"momentum is fast; give a number in \(0, 1\]"),
        (lambda: BatchNormState.of(calib_batches=-1), "calib_batches is -1; give a whole number of at least 0"),
        (lambda: spec.from_dict({"data": {}}), "this is no experiment: KeyError: 'model'"),
    ],
)
def test_a_bad_value_is_refused_with_the_value_the_rule_and_the_remedy(build, message):
    with pytest.raises(SpecError, match=message) as caught:
        build()
    assert isinstance(caught.value, AsrError) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "build, near",
    [
        (lambda: DataSpec(dataset="digit"), "digits"),
        (lambda: ModelSpec(architecture="resnet-18"), "resnet18"),
        (lambda: ModelSpec.of("resnet18", stem="smal"), "small"),
        (lambda: ModelSpec.of("resnet18", head="liner"), "linear"),
        (lambda: DenseSpec(source="scrach"), "scratch"),
        (lambda: DenseSpec(precision="bfloat"), "bfloat16"),
        (lambda: PruneSpec.of("globall1"), "global_l1"),
        (lambda: PruneSpec(pruning="unifrom"), "uniform"),
        (lambda: PruneSpec.of("uniform", sparsty=0.5), "sparsity"),
        (lambda: RepairSpec.of("asr"), "asr_bn"),
        (lambda: RepairSpec.of("lw_bn", "sequental"), "sequential"),
        (lambda: RepairSpec.of("bn_only", "sequental"), "sequential"),
        (lambda: RepairSpec.of("asr_bn", prior="medium"), "median"),
        (lambda: BatchNormState.of(start="kept"), "keep"),
        (lambda: BatchNormState.of(averaging="cummulative"), "cumulative"),
    ],
)
def test_an_unknown_name_suggests_the_nearest_and_lists_the_choices(build, near):
    with pytest.raises(UnknownName, match=rf"Did you mean '{near}'\? Choices: .*{near}"):
        build()


def test_a_name_far_from_all_choices_gets_the_list_alone():
    with pytest.raises(UnknownName) as caught:
        registry.get("pruning rule", "zzz")
    assert "Did you mean" not in str(caught.value) and "global_l1" in str(caught.value)
