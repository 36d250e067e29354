"""What an experiment is: checked, normalised, and known by a key that does not move."""

import json
import math
from dataclasses import FrozenInstanceError, asdict
from pathlib import Path

import numpy as np
import pytest

from asr_core import registry
from asr_core.errors import AsrError, SpecError, UnknownName
from asr_core.spec import experiment as spec
from asr_core.spec import grid
from asr_core.spec.experiment import (
    CalibrationSpec,
    DataSpec,
    DenseSpec,
    EvalSpec,
    ExperimentSpec,
    ModelSpec,
    PruneSpec,
    canonical,
    key,
)
from asr_core.spec.grid import BatchNormState, RepairSpec, default_repairs, default_states

# --- keys ---

# Every result in cache/, shipped ones included, is found by such a key. If one of these moves, what is
# stored under the old key is never found again and users recompute everything. If the meaning of a stage
# changed on purpose, raise its number in STAGE_VERSIONS, pin the new keys, and compute the shipped results
# again; if nothing changed its meaning, it is a mistake: a renamed field, a new default, an int for a float.
PINNED = {
    "dense": (
        "8df7b74bba12bd63e822d2c5",
        lambda: key(
            "dense",
            DataSpec(dataset="digits", image_size=32, classes=10, normalization="dataset"),
            ModelSpec(architecture="resnet18", stem="imagenet", head="torchvision"),
            DenseSpec(source="scratch", epochs=5, batch_size=64, learning_rate=0.1, precision="float32", seed=0),
        ),
    ),
    "prune": (
        "6888921c861156ac61fc79f8",
        lambda: key("prune", "a-dense-network", PruneSpec.of("global_l1", sparsity=0.9)),
    ),
    "n_m": (
        "cd9f01aa7467f860c0fadd17",
        lambda: key("prune", "a-dense-network", PruneSpec.of("n_m", keep_n=2, group_m=4)),
    ),
    "stats": (
        "cef99cf94954c9a029189a68",
        lambda: key("stats", "a-pruned-network", {"stat_images": 64, "seed": 0}, BatchNormState()),
    ),
    "repair": (
        "a5c4253c1ae1187c8a1e4e23",
        lambda: key("repair", "a-pruned-network", RepairSpec.of("asr_bn", "sequential")),
    ),
    "lw_bn": (
        "42629cfe2a316fff113f1810",
        lambda: key("repair", "a-pruned-network", RepairSpec.of("lw_bn", "simultaneous", False)),
    ),
    "evaluation": (
        "e6f649ed5cc41e0e76858c97",
        lambda: key(
            "evaluation", "a-network", EvalSpec(eval_images=None, seed=0), BatchNormState.of("reset", "ema", 0.1, 20)
        ),
    ),
}


def test_options_that_rules_gained_later_left_old_specs_as_they_were():
    assert PruneSpec.of("global_l1", sparsity=0.95).params == (("include_linear", False), ("sparsity", 0.95))
    assert PruneSpec.of("uniform", keep_first=False, min_density=0).params == (
        ("include_linear", False),
        ("sparsity", 0.95),
    )
    assert PruneSpec.of("erk", keep_first=True).asked == {"include_linear": False, "keep_first": True, "sparsity": 0.95}


def test_options_that_training_gained_later_are_in_no_key_while_they_have_their_default():
    assert "average" not in canonical(DenseSpec())
    assert '"average":true' in canonical(DenseSpec(average=True))
    assert key("dense", DenseSpec(average=False)) == key("dense", DenseSpec())
    assert key("dense", ExperimentSpec(dense=DenseSpec(average=True))) != key("dense", ExperimentSpec())


@pytest.mark.parametrize("name", PINNED)
def test_keys_of_stored_results_do_not_move(name):
    pinned, compute = PINNED[name]
    assert compute() == pinned


def test_a_key_depends_on_the_stage_its_version_and_every_part(monkeypatch):
    parts = "a", PruneSpec.of("uniform")
    keys = {key("prune", *parts), key("stats", *parts), key("prune", "b", parts[1]), key("prune", "a")}
    keys.add(key("prune", "a", PruneSpec.of("uniform", sparsity=0.5)))
    monkeypatch.setitem(spec.STAGE_VERSIONS, "prune", 99)
    keys.add(key("prune", *parts))
    assert len(keys) == 6
    assert all(len(k) == 24 and set(k) <= set("0123456789abcdef") for k in keys)


def test_canonical_json_is_sorted_and_without_spaces():
    assert canonical({"b": 1, "a": [1.5, None, True]}) == '{"a":[1.5,null,true],"b":1}'
    assert canonical(EvalSpec()) == '{"eval_images":null,"seed":0}'
    assert canonical([EvalSpec(), Path("x")]) == '[{"eval_images":null,"seed":0},"x"]'


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
        (PruneSpec(rule="n_m"), PruneSpec.of("n_m", group_m=4.0, keep_n=2)),
        (RepairSpec.of("lw_bn", bias=0), RepairSpec.of("lw_bn", bias=False)),
        (RepairSpec.of("asr_bn", eps=0), RepairSpec.of("asr_bn", eps=0.0)),
        (BatchNormState.of(momentum=1, batches=20), BatchNormState.of(momentum=1.0, batches=20.0)),
    ],
)
def test_equal_specs_have_equal_keys(a, b):
    assert a == b and hash(a) == hash(b) and canonical(a) == canonical(b)


def test_the_dense_recipe_depends_on_data_model_and_training_alone():
    base = ExperimentSpec()
    same = base.with_(
        prune=PruneSpec.of("n_m"), calibration=CalibrationSpec(seed=3), evaluation=EvalSpec(eval_images=5), states=()
    )
    assert same.recipe_key == base.recipe_key
    others = (
        base.with_(data=DataSpec(image_size=64)),
        base.with_(model=ModelSpec(architecture="resnet34")),
        base.with_(dense=DenseSpec(seed=1)),
    )
    assert len({base.recipe_key, *(other.recipe_key for other in others)}) == 4


def test_specs_are_frozen():
    with pytest.raises(FrozenInstanceError):
        ExperimentSpec().data = None


def test_an_experiment_survives_json():
    for experiment in (
        ExperimentSpec(),
        ExperimentSpec(prune=PruneSpec.of("n_m"), repairs=(RepairSpec.of("asr_bn", prior="fixed", prior_value=2),)),
    ):
        again = spec.from_dict(json.loads(json.dumps(asdict(experiment))))
        assert again == experiment and canonical(again) == canonical(experiment)


# --- normalisation ---


def test_bn_only_has_neither_order_nor_bias_nor_prior():
    expected = RepairSpec(method="bn_only")
    assert RepairSpec.of("bn_only", "sequential", True) == RepairSpec.of("bn_only") == expected
    assert (expected.order, expected.bias, expected.prior, expected.params) == (None, None, None, ())


@pytest.mark.parametrize("method, bias", [("lw_bn", False), ("raw_bn", True), ("asr_bn", True)])
def test_the_mean_correction_defaults_to_the_methods_own(method, bias):
    assert RepairSpec.of(method).bias is bias
    assert RepairSpec.of(method, bias=not bias).bias is not bias


def test_every_parameter_of_a_repair_is_written_out():
    found = RepairSpec.of("asr_bn")
    assert found.prior == "median" and found.order == "simultaneous"
    assert dict(found.params) == {"eps": 1e-8, "floor": 1e-12, "prior_value": 1.0, "skip_first": True}


def test_fields_of_a_batchnorm_state_that_do_not_apply_are_none():
    assert BatchNormState.of("keep", "cumulative", 0.3, 0) == BatchNormState()
    cumulative = BatchNormState.of("keep", "cumulative", 0.3, 10)
    assert cumulative == BatchNormState.of("reset", "cumulative", 0.1, 10)
    assert (cumulative.start, cumulative.momentum, cumulative.batches) == (None, None, 10)
    ema = BatchNormState.of()
    assert (ema.start, ema.averaging, ema.momentum, ema.batches) == ("reset", "ema", 0.1, 20)


# --- the default grid ---


def test_the_default_grid_is_bn_only_and_three_methods_in_both_orders_and_bias_settings():
    grid = default_repairs()
    assert grid[0] == RepairSpec.of("bn_only") and len(grid) == 13
    assert len({(r.method, r.order, r.bias) for r in grid}) == 13
    assert {r.method for r in grid} == {"bn_only", "lw_bn", "raw_bn", "asr_bn"}


def test_slugs_are_unique_and_readable():
    priors = [RepairSpec.of("asr_bn", prior=prior) for prior in ("mean", "fixed")]
    values = [RepairSpec.of("asr_bn", prior="fixed", prior_value=v) for v in (2, 2.0000001, 1e-9)]
    others = [RepairSpec.of("raw_bn", **p) for p in ({"eps": 0}, {"floor": 1e-6}, {"skip_first": False})]
    slugs = [r.slug for r in (*default_repairs(), *priors, *values, *others)]
    assert len(set(slugs)) == len(slugs)
    assert {"bn_only", "lw_bn.sequential.nobias", "asr_bn.simultaneous.bias.median"} <= set(slugs)
    assert (
        RepairSpec.of("raw_bn", eps=1e-6, skip_first=False).slug
        == "raw_bn.simultaneous.bias.eps=1e-06.skip_first=False"
    )


def test_the_default_states_are_none_and_three_ways_at_each_budget():
    states = default_states()
    assert states[0] == BatchNormState() and len(states) == len(set(states)) == 1 + 3 * 4
    ways = {(s.start, s.averaging, s.momentum) for s in states[1:]}
    assert ways == {("reset", "ema", 0.1), ("keep", "ema", 0.1), (None, "cumulative", None)}
    assert default_states((0,)) == (BatchNormState(),)
    assert ExperimentSpec().max_batches == 50 and grid.REPORTED_STATE in states


# --- bad input ---


@pytest.mark.parametrize(
    "build, message",
    [
        (lambda: PruneSpec.of("global_l1", sparsity=90), r"sparsity is 90; .*in \[0, 1\). For 90 % write 0.9\.$"),
        (lambda: PruneSpec.of("global_l1", sparsity=1.0), r"sparsity is 1.0; .*in \[0, 1\)\.$"),
        (lambda: PruneSpec.of("global_l1", sparsity=math.nan), "sparsity is nan"),
        (lambda: PruneSpec.of("global_l1", sparsity=-0.1), "sparsity is -0.1"),
        (lambda: PruneSpec.of("global_l1", sparsity="a lot"), "sparsity is a lot"),
        (lambda: PruneSpec.of("global_l1", sparsity=None), "global_l1 needs sparsity: fraction of weights removed"),
        (lambda: PruneSpec.of("global_l1", include_linear="no"), "include_linear is 'no'; give True or False"),
        (lambda: PruneSpec.of("n_m", keep_n=4), "N:M is 4:4; N must be below M, for example 2:4 or 1:4"),
        (lambda: PruneSpec.of("n_m", keep_n=True), "keep_n is True; give a whole number of at least 1"),
        (lambda: PruneSpec(rule="global_l1", params=(("sparsity", 2),)), "sparsity is 2"),
        (lambda: DataSpec(image_size=4), "image_size is 4; give a whole number of at least 8 and at most 1024"),
        (lambda: DataSpec(image_size=math.nan), "image_size is nan; give a whole number"),
        (lambda: DataSpec(image_size=math.inf), "image_size is inf; give a whole number"),
        (lambda: DataSpec(image_size="32"), "image_size is '32'; give a whole number"),
        (lambda: DataSpec(classes=1), "classes is 1; give a whole number of at least 2"),
        (
            lambda: DataSpec(dataset="folder"),
            "a folder needs the digest of its content; use asr_core.images.data.resolve",
        ),
        (lambda: DataSpec(digest="abc"), "a folder needs the digest"),
        (lambda: ModelSpec(architecture="cifar_resnet20", stem="half"), "has a stem of its own.*takes no stem 'half'"),
        (lambda: DenseSpec(average="yes"), "average is 'yes'; give True or False"),
        (lambda: DenseSpec(epochs=0), "epochs is 0; give a whole number of at least 1"),
        (lambda: DenseSpec(batch_size=1), "batch_size is 1; give a whole number of at least 2"),
        (lambda: DenseSpec(learning_rate=0), "learning_rate is 0; give a finite number above 0"),
        (lambda: DenseSpec(learning_rate=math.inf), "learning_rate is inf; give a finite number above 0"),
        (lambda: DenseSpec(source="file"), "source 'file' needs a weights file"),
        (lambda: DenseSpec(weights_digest="abc"), "only it takes one"),
        (lambda: CalibrationSpec(stat_images=1), "stat_images is 1; give a whole number of at least 2"),
        (lambda: CalibrationSpec(calib_batch_size=1.5), "calib_batch_size is 1.5; give a whole number"),
        (lambda: EvalSpec(eval_images=0), "eval_images is 0; give a whole number of at least 1"),
        (lambda: EvalSpec(seed=-1), "seed is -1; give a whole number of at least 0"),
        (lambda: RepairSpec.of("lw_bn", bias="on"), "bias is 'on'; give True or False"),
        (lambda: RepairSpec.of("raw_bn", eps=-1), "eps is -1; give a finite number of at least 0"),
        (lambda: BatchNormState.of(momentum=0), r"momentum is 0; give a number in \(0, 1\]"),
        (lambda: BatchNormState.of(momentum="fast"), r"momentum is fast; give a number in \(0, 1\]"),
        (lambda: BatchNormState.of(batches=-1), "calib_batches is -1; give a whole number of at least 0"),
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
        (lambda: DataSpec(normalization="ImageNet"), "imagenet"),
        (lambda: ModelSpec(architecture="resnet-18"), "resnet18"),
        (lambda: ModelSpec(stem="smal"), "small"),
        (lambda: ModelSpec(head="liner"), "linear"),
        (lambda: DenseSpec(source="scrach"), "scratch"),
        (lambda: DenseSpec(precision="bfloat"), "bfloat16"),
        (lambda: PruneSpec.of("globall1"), "global_l1"),
        (lambda: PruneSpec(rule="unifrom"), "uniform"),
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
