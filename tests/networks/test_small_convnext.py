"""The small ConvNeXt, and that nothing is recalibrated of a network whose name says that it has no BatchNorm."""

import pytest
import torch
from click.testing import CliRunner
from torch import nn

from asr_core.cli import sections
from asr_core.cli.main import main
from asr_core.errors import ModelError
from asr_core.measure import absorption
from asr_core.networks import models
from asr_core.networks.small_convnext import SmallConvNeXt
from asr_core.networks.sources import torchvision as sources
from asr_core.pipeline import asked, plan, signals
from asr_core.pruning import masks
from asr_core.spec.experiment import ExperimentSpec, Setting, from_dict
from asr_core.spec.model import ModelSpec
from asr_core.spec.recalibration import NO_STATE, NOTHING, REPORTED_STATE
from asr_core.spec.repairs import BN_ONLY, NO_REPAIR
from asr_core.store import Store

SMALL = ModelSpec.of("small_convnext")
SPEC = ExperimentSpec(model=SMALL)


def network(size: int = 32) -> nn.Module:
    return models.build(SMALL, 10, size)


def test_stages_have_8_and_4_pixels_and_64_and_128_channels():
    model, shapes = network(), []
    for stage in model.stages:
        stage.register_forward_hook(lambda _, inputs, output: shapes.append(tuple(output.shape[1:])))
    model(torch.zeros(1, 3, 32, 32))
    assert shapes == [(64, 8, 8), (128, 4, 4)]


def test_its_layers_are_convs_and_the_linear_layers_of_blocks_but_not_the_head():
    model = network()
    found = models.conv_layers(model)
    assert sum(isinstance(layer, nn.Conv2d) for layer in found.values()) == 6
    assert sum(isinstance(layer, nn.Linear) for layer in found.values()) == 8
    assert "head" not in found and set(masks.prunable(model)) == set(found)


def test_it_is_traced_whole_and_absorbs_nothing():
    index = absorption.conv_index(network())
    assert set(index["absorbed"]) == {"no"} and not index["reason"].str.contains("traced").any()
    assert index["layer"].tolist()[:4] == ["stem", "stages.0.0.conv", "stages.0.0.expand", "stages.0.0.contract"]


@pytest.mark.parametrize("size", [8, 32, 64])
def test_other_sides_than_32_pixels_run_too(size):
    assert network(size)(torch.zeros(2, 3, size, size)).shape == (2, 10)


def test_a_side_too_small_to_be_halved_is_refused():
    with pytest.raises(ModelError, match="small_convnext cannot run on 4x4"):
        network(4)


def test_a_fresh_network_keeps_the_size_of_its_signal():
    torch.manual_seed(0)
    outputs, model = [], SmallConvNeXt(10)
    model.stages.register_forward_hook(lambda _, inputs, output: outputs.append(output))
    model(torch.randn(16, 3, 32, 32))
    assert 0.1 < float(outputs[0].detach().std()) < 10


@pytest.mark.parametrize("architecture", ["small_convnext", "vgg11", "convnext_tiny", "vit_b_32"])
def test_what_the_name_says_of_batchnorm_is_so(architecture):
    model = ModelSpec.of(architecture)
    built = models.outline(model, 10, 32)
    assert not model.batchnorm and not models.batchnorms(built) and models.conv_layers(built)


@pytest.mark.parametrize("architecture", ["cifar_resnet20", "resnet18", "timm:resnet18", "nets.py:small"])
def test_a_name_that_does_not_tell_may_have_batchnorm(architecture):
    assert ModelSpec(architecture=architecture).batchnorm


@pytest.mark.parametrize(("architecture", "layers"), [("vit_b_32", 25), ("vgg11", 8), ("convnext_tiny", 58)])
def test_torchvisions_networks_without_batchnorm_run_on_small_images(architecture, layers):
    model = models.outline(ModelSpec.of(architecture), 10, 32)
    assert models.meta_forward(model, 32).shape == (2, 10) and len(models.conv_layers(model)) == layers


@pytest.mark.parametrize(("stem", "size"), [("small", 32), ("imagenet", 40)])
def test_a_vit_whose_patches_cannot_tile_the_image_is_refused_with_the_remedy(stem, size):
    with pytest.raises(ModelError, match="stem 'imagenet' and a multiple of 16"):
        models.outline(ModelSpec.of("vit_b_16", stem=stem), 10, size)


def test_a_linear_head_is_what_convnext_and_vit_have_already():
    for architecture in ("convnext_tiny", "vit_b_32"):
        one, other = (
            models.outline(ModelSpec.of(architecture, head=head), 10, 32) for head in ("torchvision", "linear")
        )
        assert [n for n, _ in one.named_parameters()] == [n for n, _ in other.named_parameters()]


def test_of_a_network_without_batchnorm_nothing_is_recalibrated_whatever_is_asked():
    assert SPEC.states == (NO_STATE,) and SPEC.max_batches == 0
    assert BN_ONLY not in SPEC.repairs and len(SPEC.repairs) == len(ExperimentSpec().repairs) - 1
    assert SPEC.with_(states=(REPORTED_STATE,)).states == (NO_STATE,)
    assert from_dict(SPEC.as_dict()) == SPEC


def test_a_network_with_batchnorm_keeps_what_is_asked():
    spec = SPEC.with_(model=ModelSpec(), states=(REPORTED_STATE,), repairs=(BN_ONLY,))
    assert spec.states == (REPORTED_STATE,) and spec.repairs == (BN_ONLY,)


def test_its_plan_holds_no_recalibration():
    planned = plan.tasks(SPEC, "1" * 16, 1437, 360)
    assert {task.stage for task in planned} == {"prune", "stats", "repair", "evaluation"}
    assert {task.state for task in planned} == {NO_STATE}


def test_its_signal_is_asked_for_once():
    found = signals.networks(SPEC, REPORTED_STATE)
    assert found == [(NO_REPAIR, NO_STATE), *((repair, NO_STATE) for repair in SPEC.repairs)]


def test_options_of_recalibration_change_nothing_of_it():
    one, other = (asked.experiment(Store(), architecture="small_convnext", budgets=b) for b in ((10, 20), (0,)))
    assert one == other and one.states == (NO_STATE,)


def test_the_command_line_prints_its_table_and_that_nothing_is_recalibrated(tmp_path):
    options = (
        "--architecture small_convnext --epochs 1 --batch-size 256 --eval-images 20 --stat-images 8 --sparsity 0.5"
    )
    grid = "--methods bn_only,lw_bn --orders simultaneous --biases off"
    given = f"--cache-dir {tmp_path} run {options} {grid} --threads 1".split()
    found = CliRunner().invoke(main, given, catch_exceptions=False)
    assert found.exit_code == 0 and NOTHING in found.output
    assert "b=0" in found.output and "b=10" not in found.output and "BN only" not in found.output


def test_the_gallery_ships_it_at_every_pruning_but_95_with_channels_and_signal_at_80():
    def ask(dataset, **values):
        return ExperimentSpec.of_setting(Setting.of(**values), SPEC.repairs, SPEC.states)

    first, signal, *rest = sections.without_batchnorm(ask, sections.Sources(cifar10="images"))
    assert {one.experiment.prune.parameters["sparsity"] for one in (first, signal)} == {0.8}
    assert first.channels and signal.signal and set(signal.experiment.repairs) < set(first.experiment.repairs)
    assert not any(piece.signal or piece.channels for piece in rest)
    assert {piece.experiment.prune.words for piece in rest} == {
        *("global L1 90 %", "global L1 70 %", "global L1 50 %", "2:4")
    }
    assert {piece.experiment.states for piece in (first, signal, *rest)} == {(NO_STATE,)}


def test_every_source_of_torchvision_without_batchnorm_is_listed_once():
    assert not set(sources.ARCHITECTURES) & set(sources.WITHOUT_BATCHNORM)
