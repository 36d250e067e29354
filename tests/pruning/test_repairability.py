"""Relative repairability: as it is defined, in one dense forward per batch; its stage, its rule, its command."""

import json
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from counting import Counter
from tiny_networks import FAMILIES, TinyResNet, TinyVGG, Twice, convs, fingerprint, noise, outputs, seeded
from torch import nn

from asr_core import prune, repairability
from asr_core.cli.main import main
from asr_core.errors import DataError, ModelError, SpecError
from asr_core.pipeline import allocations, plan
from asr_core.pipeline import run as experiment
from asr_core.pruning import budget, masks
from asr_core.pruning import rules as pruning
from asr_core.report import allocation
from asr_core.spec.dense import DenseSpec
from asr_core.spec.experiment import ExperimentSpec
from asr_core.spec.keys import Keys
from asr_core.spec.model import ModelSpec
from asr_core.spec.parts import PruneSpec
from asr_core.spec.recalibration import BatchNormState
from asr_core.spec.repairs import RepairSpec
from asr_core.spec.samples import CalibrationSpec, EvalSpec
from asr_core.store import Store, results

GRID = (0.3, 0.6, 0.9)


def by_definition(dense, pruned, eps=1e-8, floor=1e-12):
    """(D_raw, D_res) of a layer and per channel from whole outputs (N, C, H, W) in float64."""
    dense, pruned = (y.double().movedim(1, 0).flatten(1) for y in (dense, pruned))
    (v_dense, mu_dense), (v_pruned, mu_pruned) = (
        torch.var_mean(y, 1, correction=0, keepdim=True) for y in (dense, pruned)
    )
    repaired = mu_dense + (v_dense / (v_pruned + eps)).sqrt() * (pruned - mu_pruned)
    repaired = torch.where(v_pruned <= floor, mu_dense, repaired)
    sums = [(y - dense).square().mean(1) for y in (pruned, repaired)]
    v_dense = v_dense[:, 0]
    return [float(s.sum() / v_dense.sum()) for s in sums], [(s / v_dense).numpy() for s in sums]


def pruned_alone(model, name, sparsity, images):
    """The output of conv `name` in a network where it alone is pruned: a whole forward pass."""
    conv = model.get_submodule(name)
    dense = conv.weight.data
    mask = pruning.smallest({"": dense}, round(sparsity * dense.numel()))[""]
    conv.weight.data = dense * mask
    found = outputs(model, images)[name]
    conv.weight.data = dense
    return found


@pytest.mark.parametrize("family", FAMILIES)
def test_the_tables_are_what_the_definition_says_on_whole_outputs(family):
    model, images = seeded(FAMILIES[family]), noise(40)
    layers, channels = repairability(model, images.split(16), GRID)
    dense = outputs(seeded(FAMILIES[family]).double(), images.double())
    assert layers["layer"].unique().tolist() == list(convs(model)) and len(layers) == len(dense) * len(GRID)
    reference = model.double()
    for row in layers.itertuples():
        (raw, left), per_channel = by_definition(
            dense[row.layer], pruned_alone(reference, row.layer, row.sparsity, images.double())
        )
        assert (row.d_raw, row.d_res, row.rr) == pytest.approx((raw, left, left / raw), rel=1e-5)
        found = channels[(channels["layer"] == row.layer) & (channels["sparsity"] == row.sparsity)]
        assert found["channel"].tolist() == list(range(len(found)))
        np.testing.assert_allclose(found[["d_raw", "d_res"]].to_numpy().T, per_channel, rtol=1e-4, atol=1e-7)
        np.testing.assert_allclose(found["rr"], found["d_res"] / found["d_raw"], rtol=1e-9)


@pytest.mark.parametrize(("offset", "spread"), [(0.0, 1.0), (100.0, 1.0), (0.0, 1e-4)])
def test_float32_sums_stay_within_a_hundred_thousandth_of_float64(offset, spread):
    """Also where the mean lies far from the values, and where they are tiny."""
    model = nn.Sequential(nn.Conv2d(3, 32, 3, padding=1))
    with torch.no_grad():
        model[0].weight.mul_(spread)
    images = noise(64, size=24)
    images = images + offset if offset else images
    found = repairability(model, images, GRID, eps=0)[0]
    exact = repairability(model.double(), images.double(), GRID, eps=0)[0]
    for name in ("d_raw", "d_res", "rr"):
        np.testing.assert_allclose(found[name], exact[name], rtol=1e-5 if not offset else 1e-3)


def test_gaussian_channels_follow_the_closed_form():
    """A centred channel with correlation rho and r = sqrt(v_pruned / v_dense): RR = 2(1 - rho) / (1 + r^2 - 2 rho r).

    A 1x1 conv on independent Gaussian inputs: the kept part k of the squared weights gives rho = r = sqrt(k).
    """
    model = nn.Sequential(nn.Conv2d(8, 4, 1, bias=False)).double()
    images = torch.randn(4000, 8, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    layers, channels = repairability(model, images.split(500), [0.5], eps=0)
    weight = model[0].weight.detach().flatten(1)
    mask = pruning.smallest({"": weight}, 16)[""]
    kept = ((weight * mask).square().sum(1) / weight.square().sum(1)).numpy()
    rho = r = np.sqrt(kept)
    np.testing.assert_allclose(channels["d_raw"], 1 - kept, rtol=0.02)
    np.testing.assert_allclose(channels["rr"], 2 * (1 - rho) / (1 + r**2 - 2 * rho * r), rtol=0.02)
    assert (
        layers["rr"].item() > 1
    )  # variance matching of uncorrelated losses adds to the damage: a ratio, no percentage


def test_a_channel_that_is_only_scaled_is_mended_wholly():
    """Both inputs of a channel are the same image, so that dropping one weight of two scales its output."""
    model = nn.Sequential(nn.Conv2d(2, 2, 1)).double()
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[3.0, 1.0], [5.0, 2.0]]).reshape(2, 2, 1, 1))
    images = noise(8).double()[:, :1].repeat(1, 2, 1, 1)
    layers, _ = repairability(model, images, [0.5], eps=0)
    assert layers["d_raw"].item() > 0.05 and layers["rr"].item() == pytest.approx(0, abs=1e-9)


def test_a_dead_channel_becomes_its_dense_mean():
    model = seeded(lambda: nn.Sequential(nn.Conv2d(3, 2, 3)))
    with torch.no_grad():
        model[0].weight[0] *= 1e-3
        model[0].bias.fill_(7.3)  # a constant that float32 does not sum exactly
    _, channels = repairability(model, noise(), [0.5])
    assert channels.loc[0, "d_res"] == pytest.approx(1, rel=1e-9) and channels.loc[0, "rr"] == pytest.approx(
        channels.loc[0, "d_res"] / channels.loc[0, "d_raw"]
    )


def test_a_layer_that_loses_nothing_is_undefined_and_gets_the_minimum_density():
    model = seeded(TinyVGG)
    with torch.no_grad():
        kept = model[3].weight.abs() >= model[3].weight.abs().flatten().kthvalue(865 - 80).values
        model[3].weight.mul_(kept)
    layers, channels = repairability(model, noise(), (0.0, 0.8))
    undefined = layers[layers["rr"].isna()]
    assert undefined["sparsity"].tolist() == [0.0, 0.0, 0.8, 0.0] and undefined["layer"].tolist() == [
        "0",
        "3",
        "3",
        "7",
    ]
    assert (undefined["d_raw"] == 0).all() and (undefined["d_res"] == 0).all()
    assert channels.loc[channels["layer"] == "3", "rr"].isna().all()
    _, table = prune(model, "rr", noise(), sparsity=0.8, min_density=0.05)
    kept = table.set_index("layer")["kept"]
    assert kept["3"] == 44 and kept.sum() == 2808 - round(0.8 * 2808)


def test_a_layer_that_never_runs_and_one_without_variance_are_undefined():
    class Idle(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.idle = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 1)

        def forward(self, x):
            return self.used(x)

    layers, _ = repairability(Idle(), noise(), [0.5])
    assert layers.set_index("layer").loc["idle", ["d_raw", "d_res", "rr"]].isna().all()
    layers, _ = repairability(Idle(), torch.zeros(2, 3, 4, 4), [0.5])
    assert layers[["d_raw", "d_res", "rr"]].isna().all(axis=None)


def test_a_conv_that_runs_twice_is_measured_over_both_runs():
    found, _ = repairability(seeded(Twice), noise(), [0.6])
    assert set(found["layer"]) == {"last", "shared", "first"} and found["rr"].notna().all()


def test_linear_layers_are_measured_on_request():
    layers, channels = repairability(seeded(TinyResNet), noise(), [0.6], include_linear=True)
    assert layers["layer"].tolist()[-1] == "fc" and (channels["layer"] == "fc").sum() == 5


def test_one_dense_forward_per_batch_and_a_network_left_as_it_was():
    model, calls = seeded(TinyResNet).train(), []
    before = fingerprint(model)
    handle = model.register_forward_pre_hook(lambda *_: calls.append(1))
    repairability(model, noise(40).split(16), GRID)
    handle.remove()
    assert len(calls) == 3 and fingerprint(model) == before and model.training


def test_what_cannot_be_measured_is_refused():
    with pytest.raises(DataError, match="no images were given"):
        repairability(seeded(), [])
    with pytest.raises(ModelError, match="has no Conv2d layer"):
        repairability(nn.Linear(3, 2), noise())
    with pytest.raises(SpecError, match=r"sparsity is 95; .* For 95 % write 0.95"):
        repairability(seeded(), noise(), [95])


# --- the rule ---


def test_rr_gives_densities_in_proportion_to_rr_at_the_asked_sparsity(model):
    layers, _ = repairability(model, noise(), [0.7])
    found, table = masks.choose_masks(model, "rr", noise(), sparsity=0.7)
    total = table["weights"].sum()
    assert table["kept"].sum() == total - round(0.7 * total)
    factor = (table["kept"] / table["weights"] / layers["rr"])[table["kept"] < table["weights"]]
    assert factor.max() / factor.min() == pytest.approx(1, rel=0.05)  # a weight more or less of the smallest layer
    for name, mask in found.items():
        magnitude = model.get_submodule(name).weight.abs()
        assert mask.all() or magnitude[mask].min() >= magnitude[~mask].max()


def test_rr_without_images_says_what_it_needs():
    with pytest.raises(SpecError, match="images is None; rule rr measures layers on calibration images: give 64 or so"):
        prune(seeded(), "rr", sparsity=0.9)


# --- the pipeline ---

TINY = ExperimentSpec(
    model=ModelSpec(architecture="mobilenet_v3_small"),
    dense=DenseSpec(epochs=1),
    prune=PruneSpec.of("rr", sparsity=0.7),
    calibration=CalibrationSpec(stat_images=16, calib_batch_size=32),
    evaluation=EvalSpec(eval_images=40),
    repairs=(RepairSpec.of("bn_only"),),
    states=(BatchNormState(), BatchNormState.of(calib_batches=1)),
)


def test_only_a_rule_that_measures_depends_on_the_calibration_images():
    others = TINY.with_(calibration=CalibrationSpec(stat_images=32, calib_batch_size=32))
    same_batches = TINY.with_(calibration=CalibrationSpec(stat_images=16, calib_batch_size=64))
    keys = [Keys(spec, "dense").prune for spec in (TINY, others, same_batches)]
    assert keys[0] == keys[2] != keys[1]
    for rule in (name for name in allocations.rules() if name != "rr"):
        keys = {Keys(spec.with_(prune=PruneSpec.of(rule)), "dense").prune for spec in (TINY, others)}
        assert len(keys) == 1


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def first(root):
    counter = Counter()
    return experiment.run(TINY, Store(root), counter), counter


def test_rr_runs_from_end_to_end_and_its_passes_are_planned(first, root):
    result, counter = first
    planned = {}
    for task in counter.listed:
        planned[task.stage] = planned.get(task.stage, 0) + task.images
    assert {s: n for s, n in counter.images.items() if s not in ("images", "dense")} == {
        s: n for s, n in planned.items() if s != "dense" and n
    }
    assert planned["prune"] == 2 * 16
    total = result.convs["weights"].sum()
    assert result.convs["kept"].sum() == total - round(0.7 * total)
    assert result.setting["prune"] == {
        "pruning": "rr",
        "include_linear": False,
        "sparsity": 0.7,
        "keep_first": False,
        "keep_head": False,
        "min_density": 0.0,
        "ignore": None,
    }
    assert results.find(TINY, Store(root)) is not None


def test_stored_repairability_is_computed_once_and_read_without_torch(first, root):
    store, counter = Store(root), Counter()
    dense_id = first[0].setting["dense_id"]
    assert allocations.repairability_of(store, TINY, dense_id) is None
    assert [task.stage for task in allocations.missing(TINY, store, dense_id)] == ["repairability"]
    assert experiment.repairability(TINY, store, dense_id, report=counter) == dense_id
    assert counter.images == {"repairability": 16 * 6} and allocations.missing(TINY, store, dense_id) == []
    again = Counter()
    experiment.repairability(TINY.with_(prune=PruneSpec.of("uniform")), store, dense_id, report=again)
    assert again.images == {}
    layers, channels = allocations.repairability_of(store, TINY, dense_id)
    assert sorted(layers["sparsity"].unique()) == list(budget.TRIALS)
    assert set(layers["layer"]) == set(channels["layer"]) == set(first[0].convs["layer"])
    program = f"""
import sys
from asr_core.pipeline import allocations
from asr_core.spec import experiment as spec
from asr_core import store
wanted = spec.from_dict({TINY.as_dict()!r})
layers, channels = allocations.repairability_of(store.Store({str(root)!r}), wanted, {dense_id!r})
assert len(layers) and "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_floors_beyond_the_budget_are_refused_before_training(tmp_path):
    counter = Counter()
    with pytest.raises(SpecError, match="must keep at least"):
        experiment.run(TINY.with_(prune=PruneSpec.of("erk", sparsity=0.9, min_density=0.2)), Store(tmp_path), counter)
    assert "dense" not in counter.images


# --- the command line ---


def allocate(root, *arguments):
    asked = [
        "--architecture",
        "mobilenet_v3_small",
        "--epochs",
        "1",
        "--stat-images",
        "16",
        "--sparsity",
        "0.7",
        "--sparsities",
        "0.5,0.9",
    ]
    return CliRunner().invoke(
        main, ["--cache-dir", str(root), "allocate", *asked, *arguments], prog_name="python -m asr_core"
    )


def test_allocate_prints_densities_repairability_and_what_is_kept_dense(first, root):
    done = allocate(root, "--rules", "erk,rr", "--keep-first")
    text = done.output
    assert done.exit_code == 0 and "features.0.0" in text and "30.000" in text and "kept dense" in text
    lines = [line for line in text.splitlines() if "RR" in line]
    assert len(lines) == 2 and all(plan.READING in line for line in lines)


def test_allocate_as_json_has_every_rule_layer_and_trial(first, root):
    done = allocate(root, "--json", "--rules", "uniform, erk")
    found = json.loads(done.stdout)
    convs = len(first[0].convs)
    assert {row["rule"] for row in found["densities"]} == {"uniform", "erk"} and len(found["densities"]) == 2 * convs
    assert len(found["repairability"]) == 2 * convs and found["rr_is"] == plan.READING
    for rule in ("uniform", "erk"):
        rows = [row for row in found["densities"] if row["rule"] == rule]
        assert sum(row["kept"] for row in rows) == sum(row["weights"] for row in rows) - round(
            0.7 * sum(row["weights"] for row in rows)
        )
    assert {row["rule"] for row in found["protected"]} == {"uniform", "erk"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rules", "n_m"], "unknown pruning rule with a budget 'n_m'.*Choices: erk, global_l1, lamp, rr, uniform"),
        (["--sparsities", "half"], "sparsities are 'half'; give fractions"),
        (["--sparsities", "90"], "sparsity is 90.0; .*For 90 % write 0.9"),
        (["--min-density", "2"], r"min_density is 2.0; give a fraction in \[0, 1\)"),
        (["--min-density", "0.5"], "must keep at least"),
    ],
)
def test_a_bad_option_of_allocate_ends_in_one_line(arguments, message, root):
    done = allocate(root, *arguments)
    last = done.stderr.strip().splitlines()[-1]
    assert done.exit_code == 2 and re.match(f"error: .*{message}", last), last


def test_undefined_ratios_are_printed_as_such(first, root):
    layers, _ = repairability(seeded(TinyVGG), noise(), (0.0, 0.5))
    rows = [(name, 0, "3x3", 72, 20) for name in ("0", "3", "7")]
    table = pd.DataFrame(rows, columns=["layer", "depth", "kernel", "weights", "kept"]).assign(rule="erk", sparsity=0.7)
    text = allocation.text(allocations.Allocation(TINY, "0" * 16, table, layers))
    assert text.count("undefined") == 3
