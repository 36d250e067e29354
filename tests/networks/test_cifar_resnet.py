"""The CIFAR ResNets of He et al. 2015, section 4.2: their size, their shortcuts, their names."""

import pytest
import torch
from torch import nn

from asr_core.errors import UnknownName
from asr_core.networks import models, weights
from asr_core.networks.cifar_resnet import Block, CifarResNet
from asr_core.networks.sources.cifar import CifarResNets
from asr_core.pruning import masks
from asr_core.spec.model import ModelSpec


def network(architecture="cifar_resnet20", size=32, **options) -> nn.Module:
    return models.build(ModelSpec.of(architecture, **options), 10, size)


@pytest.mark.parametrize(
    ("architecture", "millions"), [*zip(CifarResNets.names(), (0.27, 0.46, 0.66, 0.85, 1.7), strict=True)]
)
def test_networks_have_as_many_parameters_as_in_the_papers_table_6(architecture, millions):
    model = models.outline(ModelSpec(architecture=architecture), 10, 32)
    found = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    assert round(found, 1 if millions > 1 else 2) == millions


@pytest.mark.parametrize("architecture", CifarResNets.names())
def test_the_depth_counts_convs_and_the_linear_layer(architecture):
    model = models.outline(ModelSpec(architecture=architecture), 10, 32)
    depth = int(architecture.removeprefix("cifar_resnet"))
    assert len(models.conv_layers(model)) == depth - 1
    assert len(models.batchnorms(model)) == depth - 1


def test_stages_have_32_16_and_8_pixels_and_16_32_and_64_channels():
    model, shapes = network(), []
    for stage in (model.layer1, model.layer2, model.layer3):
        stage.register_forward_hook(lambda _, inputs, output: shapes.append(tuple(output.shape[1:])))
    model(torch.zeros(1, 3, 32, 32))
    assert shapes == [(16, 32, 32), (32, 16, 16), (64, 8, 8)]


def test_the_shortcut_takes_every_other_pixel_and_pads_channels_with_zeros_on_both_sides():
    x = torch.rand(2, 4, 6, 6)
    found = Block(4, 8, 2)._shortcut(x)
    assert torch.equal(found[:, 2:6], x[:, :, ::2, ::2])
    assert not found[:, :2].any()
    assert not found[:, 6:].any()
    assert Block(4, 4, 1)._shortcut(x) is x


def test_the_shortcut_is_no_layer_and_the_whole_network_is_traced():
    model = network()
    called = {node.target for node in models.trace(model).nodes if node.op == "call_module"}
    assert called == {*models.conv_layers(model), *models.batchnorms(model), "linear"}
    assert set(masks.prunable(model)) == set(models.conv_layers(model))


def test_names_are_those_of_public_checkpoints(tmp_path):
    model = network()
    names = list(model.state_dict())
    assert {"conv1.weight", "bn1.running_var", "layer1.0.conv1.weight", "layer3.2.bn2.bias", "linear.bias"} <= {*names}
    kept = {n: torch.rand_like(t) for n, t in model.state_dict().items() if not n.endswith("num_batches_tracked")}
    torch.save({"state_dict": {f"module.{n}": t for n, t in kept.items()}}, tmp_path / "public.pth")
    weights.load_weights(model, tmp_path / "public.pth")
    assert all(torch.equal(model.state_dict()[name], tensor) for name, tensor in kept.items())


def test_it_takes_no_other_stem_or_head_and_a_setting_lets_them_go():
    for name, value in {"stem": "half", "head": "linear"}.items():
        with pytest.raises(UnknownName, match=f"unknown parameter of cifar '{name}'. Choices: none"):
            network(**{name: value})
        assert ModelSpec.pick(architecture="cifar_resnet20", **{name: value}) == ModelSpec.of("cifar_resnet20")


@pytest.mark.parametrize("size", [8, 33, 64])
def test_other_sides_than_32_pixels_run_too(size):
    assert network(size=size)(torch.zeros(2, 3, size, size)).shape == (2, 10)


def test_a_fresh_network_keeps_the_size_of_its_signal():
    torch.manual_seed(0)
    model = CifarResNet(20, 10).train()
    outputs = []
    model.layer3.register_forward_hook(lambda _, inputs, output: outputs.append(output))
    model(torch.randn(16, 3, 32, 32))
    assert 0.1 < float(outputs[0].detach().std()) < 10
