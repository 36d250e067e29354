"""Whether BatchNorm absorbs a conv's scale: read off the traced graph, and true of the network."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from asr_core.measure.absorption import conv_index
from asr_core.networks import models
from asr_core.spec.model import ModelSpec


def conv(inputs=3, outputs=4, **options) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1, **options)


class Net(nn.Module):
    """A forward given as a function of (self, x), over the modules given by name."""

    def __init__(self, forward, **parts):
        super().__init__()
        self.run = forward
        for name, module in parts.items():
            self.add_module(name, module)

    def forward(self, x):
        return self.run(self, x)


def verdicts(model: nn.Module) -> dict[str, tuple[str, str]]:
    table = conv_index(model)
    return {row.layer: (row.absorbed, row.reason) for row in table.itertuples()}


def of_a(forward, **parts) -> tuple[str, str]:
    return verdicts(Net(forward, **{"a": conv(), "bn": nn.BatchNorm2d(4)} | parts))["a"]


@pytest.mark.parametrize("architecture", ["resnet18", "resnet50", "densenet121", "vgg16_bn", "cifar_resnet20"])
def test_the_papers_networks_and_the_cifar_resnets_absorb_every_conv(architecture):
    model = models.build(ModelSpec.pick(architecture=architecture, head="linear"), 10, 32)
    assert set(verdicts(model).values()) == {("yes", "every consumer is a BatchNorm")}


@pytest.mark.parametrize(
    ("architecture", "gate"), [("mobilenet_v3_small", "hardsigmoid"), ("efficientnet_b0", "sigmoid")]
)
def test_squeeze_and_excite_convs_are_not_absorbed_and_all_others_are(architecture, gate):
    found = verdicts(models.build(ModelSpec(architecture=architecture), 10, 32))
    gates = {name for name in found if name.endswith((".fc1", ".fc2"))}
    assert gates == {name for name, (absorbed, _) in found.items() if absorbed == "no"}
    assert all(found[name][1].startswith(f"feeds {gate}") for name in gates if name.endswith("fc2"))


@pytest.mark.parametrize(
    ("forward", "reason"),
    [
        (lambda net, x: net.bn(net.a(x) + x[:, :1]), "feeds add"),
        (lambda net, x: net.bn(F.relu(net.a(x))), "feeds relu"),
        (lambda net, x: net.bn(net.a(x).sigmoid()), "feeds sigmoid"),
        (lambda net, x: torch.flatten(net.a(x), 1), "feeds flatten"),
        (lambda net, x: net.a(x), "feeds the output"),
        (lambda net, x: net.bn(F.dropout(net.a(x), 0.5, True)), "feeds dropout"),
        (lambda net, x: net.bn(F.avg_pool2d(net.a(x), 3, 1, 1)), "feeds avg_pool2d"),
        (lambda net, x: net.bn(torch.cat([net.a(x), net.a(x)])), "feeds cat"),
        (lambda net, x: net.bn(net.a(x)) + F.relu(net.a(x)), "feeds relu"),
    ],
)
def test_an_offender_is_named(forward, reason):
    assert of_a(forward) == ("no", reason)


@pytest.mark.parametrize(
    "between",
    [
        lambda y: y.contiguous(),
        lambda y: F.dropout(y, 0.5, False),
        lambda y: F.max_pool2d(y, 3, 2, 1),
        lambda y: F.avg_pool2d(y, 2),
        lambda y: F.avg_pool2d(y, 3, 1, 1, count_include_pad=False),
        lambda y: F.adaptive_avg_pool2d(y, 4),
    ],
)
def test_ops_that_keep_a_channels_scale_and_shift_are_looked_through(between):
    assert of_a(lambda net, x: net.bn(between(net.a(x))))[0] == "yes"


@pytest.mark.parametrize(
    ("module", "absorbed"),
    [
        (nn.Identity(), "yes"),
        (nn.Dropout(), "yes"),
        (nn.MaxPool2d(2), "yes"),
        (nn.AvgPool2d(2), "yes"),
        (nn.AdaptiveAvgPool2d(4), "yes"),
        (nn.AvgPool2d(3, 1, 1, count_include_pad=False), "yes"),
        (nn.AvgPool2d(3, 1, 1), "no"),
        (nn.ZeroPad2d(1), "no"),
        (nn.GroupNorm(2, 4), "no"),
    ],
)
def test_modules_are_judged_like_functions(module, absorbed):
    assert of_a(lambda net, x: net.bn(net.between(net.a(x))), between=module)[0] == absorbed


def test_concatenation_is_followed_to_every_consumer():
    def forward(net, x):
        both = torch.cat([net.a(x), net.b(x)], dim=1)
        return net.wide(both), net.relu(net.wide2(both))

    parts = {"b": conv(), "wide": nn.BatchNorm2d(8), "wide2": nn.BatchNorm2d(8), "relu": nn.ReLU()}
    assert of_a(forward, **parts)[0] == "yes"
    assert of_a(forward, **parts | {"wide2": nn.Identity()}) == ("no", "feeds relu (relu)")


def test_asking_for_a_shape_is_no_consumption():
    def forward(net, x):
        y = net.a(x)
        return F.interpolate(net.bn(y), size=y.shape[-2:]).reshape(y.size(0), -1)

    assert of_a(forward)[0] == "yes"


def test_a_conv_in_a_preactivation_block_feeds_the_addition():
    def forward(net, x):
        y = net.stem(x)
        return net.bn2(y + net.b(F.relu(net.bn(net.a(F.relu(net.bn1(y)))))))

    parts = {"stem": conv(), "a": conv(4), "b": conv(4), "bn1": nn.BatchNorm2d(4), "bn2": nn.BatchNorm2d(4)}
    found = verdicts(Net(forward, bn=nn.BatchNorm2d(4), **parts))
    assert found["a"][0] == "yes"
    assert found["b"] == found["stem"] == ("no", "feeds add")


def test_folded_batchnorm_and_chained_convs_absorb_nothing():
    assert of_a(lambda net, x: F.relu(net.bn(net.a(x))), bn=nn.Identity()) == ("no", "feeds relu")
    assert of_a(lambda net, x: net.bn(net.b(net.a(x))), b=conv(4)) == ("no", "feeds conv2d (b)")


def test_a_conv_called_twice_is_judged_by_both_calls():
    assert of_a(lambda net, x: net.bn(net.a(x)) + net.bn2(net.a(x + 1)), bn2=nn.BatchNorm2d(4))[0] == "yes"
    assert of_a(lambda net, x: net.bn(net.a(x)) + net.a(x + 1)) == ("no", "feeds add")


def test_a_batchnorm_that_other_inputs_share_does_not_absorb():
    found = of_a(lambda net, x: net.bn(net.a(x)) + net.bn(net.b(x)), b=conv())
    assert found == ("no", "shares BatchNorm bn with another input")


def test_convs_that_are_unused_or_never_called_are_listed_last_and_not_absorbed():
    model = Net(lambda net, x: net.bn(net.a(x)), unused=conv(), a=conv(), bn=nn.BatchNorm2d(4))
    table = conv_index(model)
    assert list(table["layer"]) == ["a", "unused"]
    assert list(table["depth"]) == [0, 1]
    assert table.loc[1, "reason"] == "never called"


def test_rows_follow_execution_and_describe_the_conv():
    parts = {"late": conv(6, 4, bias=False, stride=2, groups=2), "early": nn.Conv2d(3, 6, (1, 3))}
    table = conv_index(Net(lambda net, x: net.bn(net.late(net.early(x))), bn=nn.BatchNorm2d(4), **parts))
    late = table.set_index("layer").loc["late"]
    assert list(table["layer"]) == ["early", "late"]
    assert (late["out_channels"], late["in_channels"], late["kernel"], late["stride"]) == (4, 6, "3x3", "2x2")
    assert (late["groups"], late["has_bias"], late["weights"]) == (2, False, 4 * 3 * 9)
    assert table.loc[0, "kernel"] == "1x3"
    assert table.loc[0, "has_bias"]


def test_where_tracing_fails_every_conv_is_unknown_in_registration_order():
    def forward(net, x):
        return net.bn(net.a(x)) if x.sum() > 0 else net.bn(net.b(x))

    table = conv_index(Net(forward, b=conv(), a=conv(), bn=nn.BatchNorm2d(4)))
    assert list(table["layer"]) == ["b", "a"]
    assert set(table["absorbed"]) == {"unknown"}
    assert table["reason"].str.startswith("network cannot be traced: ").all()


def test_the_network_is_left_as_it_was():
    def forward(net, x):
        net.seen = x
        return net.bn(net.a(x))

    model = Net(forward, a=conv(), bn=nn.BatchNorm2d(4)).train()
    conv_index(model)
    assert not hasattr(model, "seen")
    assert all(module.training for module in model.modules())


@pytest.mark.parametrize(
    ("architecture", "stem"),
    [("resnet18", "small"), ("mobilenet_v3_small", "small"), ("cifar_resnet20", "imagenet")],
)
def test_scaling_an_absorbed_conv_changes_nothing_in_train_mode_and_another_conv_does(architecture, stem):
    torch.manual_seed(0)
    model = models.build(ModelSpec.pick(architecture=architecture, stem=stem), 10, 32).double().eval()
    for bn in models.batchnorms(model).values():
        bn.eps = 1e-12
        bn.train()
    images = torch.randn(4, 3, 32, 32, dtype=torch.float64)

    def change(layers):
        scaled = copy.deepcopy(model)
        convs = models.conv_layers(scaled)
        with torch.no_grad():
            for name in layers:
                convs[name].weight.mul_(torch.linspace(0.5, 2, convs[name].out_channels).view(-1, 1, 1, 1))
            return float((scaled(images) - model(images)).abs().max())

    found = verdicts(model)
    absorbed = [name for name, (verdict, _) in found.items() if verdict == "yes"]
    assert change(absorbed) < 1e-8
    if rest := [name for name in found if name not in absorbed]:
        assert change(rest) > 1e-4
