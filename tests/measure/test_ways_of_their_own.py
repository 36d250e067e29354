"""Networks that work in place, carry hooks, call layers in their own way: measured as plain ones are, or refused."""

import pytest
import torch
from tiny_networks import noise
from torch import nn
from torch.nn import functional as F

from asr_core import channel_stats, evaluate, prune, recalibrate, repair, repairability, signal
from asr_core.errors import DataError, ModelError

IMAGES, LABELS = noise(), torch.arange(16) % 4


def plain():
    """Two convs with BatchNorm, the same at each call."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        first = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8)
        return nn.Sequential(*first, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4)).eval()


class InPlace(nn.Module):
    """Changes its input before it looks at it."""

    def __init__(self):
        super().__init__()
        self.net = plain()

    def forward(self, x):
        return self.net(x.mul_(2).add_(1))


def test_a_network_that_works_in_place_leaves_the_images_as_they_are():
    images = IMAGES.clone()
    for call in (channel_stats, lambda model, x: evaluate(model, x, LABELS), lambda model, x: signal(model, model, x)):
        call(InPlace(), images)
    assert torch.equal(images, IMAGES)


def test_a_repair_of_an_unpruned_network_that_works_in_place_changes_nothing():
    _, factors = repair(InPlace(), InPlace(), IMAGES, "raw_bn", "sequential")
    assert factors["gamma"].sub(1).abs().max() < 1e-5


def test_hooks_that_a_conv_has_already_change_nothing_of_what_is_measured():
    hooked = plain()
    hooked[3].register_forward_hook(lambda module, given, output: 2 * output)
    assert channel_stats(hooked, IMAGES).equals(channel_stats(plain(), IMAGES))
    found, expected = (repairability(model, IMAGES, (0.5,))[0] for model in (hooked, plain()))
    torch.testing.assert_close(torch.tensor(found["rr"]), torch.tensor(expected["rr"]))


class OneByOne(nn.Module):
    """Calls its conv on single images."""

    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4, 4)

    def forward(self, x):
        return self.fc(torch.stack([self.conv(image) for image in x]).mean((2, 3)))


def test_a_conv_that_takes_single_images_has_its_own_channels():
    network = OneByOne()
    found, expected = channel_stats(network, IMAGES), network.conv(IMAGES).transpose(0, 1).flatten(1).var(1, False)
    torch.testing.assert_close(torch.tensor(found["variance"]).float(), expected.detach())


class Counts(nn.BatchNorm2d):
    """A BatchNorm with a forward of its own, which counts no batches."""

    def forward(self, x):
        given = self.running_mean, self.running_var, self.weight, self.bias
        return F.batch_norm(x, *given, self.training, self.momentum, self.eps)


class Keeps(nn.BatchNorm2d):
    """A BatchNorm with a forward of its own, which sets no statistics."""

    def forward(self, x):
        return F.batch_norm(x, self.running_mean, self.running_var)


def with_own(kind):
    """The plain network, its first BatchNorm one of `kind`."""
    network = plain()
    network[1] = kind(8).eval()
    return network


def recalibrated(network):
    return recalibrate(network, IMAGES.split(8), (2,), averaging="cumulative")[2]


def test_a_batchnorm_with_a_forward_of_its_own_is_recalibrated_as_another():
    torch.testing.assert_close(recalibrated(with_own(Counts))[1].running_var, recalibrated(plain())[1].running_var)


def test_a_batchnorm_that_sets_no_statistics_is_refused_by_name():
    with pytest.raises(ModelError, match="the BatchNorm 1 is a Keeps that runs without setting its running statistics"):
        recalibrated(with_own(Keeps))


class Functional(nn.Module):
    """Uses the tensors of a BatchNorm without running it."""

    def __init__(self):
        super().__init__()
        self.conv, self.bn, self.fc = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Linear(8, 4)

    def forward(self, x):
        return self.fc(F.batch_norm(self.conv(x), self.bn.running_mean, self.bn.running_var).mean((2, 3)))


def test_a_batchnorm_that_no_pass_runs_is_told():
    with pytest.warns(UserWarning, match="no forward pass runs the BatchNorm bn as a module"):
        recalibrated(Functional().eval())


def by_attribute():
    network = plain()
    network.run = lambda x: network[3](network[0](x))
    return network


def by_table():
    network = plain()
    network.table = {"run": lambda x: network[0](x)}
    return network


def by_hook():
    network = plain()
    network.register_forward_hook(lambda module, given, output: network[7](output[:, [0] * 8]))
    return network


@pytest.mark.parametrize("make", [by_attribute, by_table, by_hook])
def test_a_function_that_holds_on_to_the_networks_own_layers_is_refused(make):
    with pytest.raises(ModelError, match="calls the network's own layers, so a copy would run the original ones"):
        prune(make(), "global_l1", sparsity=0.5)


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (IMAGES.to_sparse(), "sparse or nested"),
        (IMAGES.to(torch.float8_e4m3fn), "float8_e4m3fn numbers"),
        ([(IMAGES[:8], LABELS[:7])], "8 images but 7 labels"),
    ],
)
def test_images_and_labels_of_another_kind_are_refused_in_one_line(images, words):
    with pytest.raises(DataError, match=words):
        evaluate(plain(), images, None if isinstance(images, list) else LABELS)
