"""A network's identity holds whatever its outputs depend on beside its weights and its graph."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from asr_core.networks.own import network_digest


class Attribute(nn.Module):
    """Multiplies by what it was given, kept as `keep` says."""

    def __init__(self, keep, value):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        keep(self, value)

    def forward(self, x):
        return self.conv(x) * self.value


class Leaf(nn.Module):
    """Applies what it was given."""

    def __init__(self, value):
        super().__init__()
        self.value = value

    def forward(self, x):
        return self.value(x) if callable(self.value) else x * self.value[0]


class Untraced(nn.Module):
    """Asks for numbers, so that no graph of it can be made."""

    def __init__(self, value):
        super().__init__()
        self.conv, self.scale = nn.Conv2d(3, 4, 3), Attribute(as_number, value)

    def forward(self, x):
        return self.scale(x) if x.sum() < 0 else self.conv(x)


def as_tensor(module, value):
    module.value = torch.tensor(value)


def as_buffer(module, value):
    module.register_buffer("value", torch.tensor(value), persistent=False)


def as_number(module, value):
    module.value = value


def hooked(factor):
    network = nn.Sequential(nn.Conv2d(3, 4, 3))
    network[0].register_forward_hook(lambda module, given, output: output * factor)
    return network


PAIRS = {
    "a tensor": lambda value: Attribute(as_tensor, value),
    "a buffer that is not saved": lambda value: Attribute(as_buffer, value),
    "a list": lambda value: nn.Sequential(nn.Conv2d(3, 4, 3), Leaf([value])),
    "a function": lambda value: nn.Sequential(nn.Conv2d(3, 4, 3), Leaf(F.relu if value > 0 else torch.sin)),
    "what a function holds": lambda value: nn.Sequential(nn.Conv2d(3, 4, 3), Leaf(lambda x: x * value)),
    "a hook": hooked,
    "a part of what cannot be traced": Untraced,
}


@pytest.mark.parametrize("make", PAIRS.values(), ids=PAIRS)
def test_networks_that_differ_in_it_have_two_identities(make):
    assert network_digest(make(1.0)) != network_digest(make(-3.0))


@pytest.mark.parametrize("make", PAIRS.values(), ids=PAIRS)
def test_built_twice_they_have_one(make):
    assert network_digest(make(1.0)) == network_digest(make(1.0))


FACTOR = 1.0


class UsesGlobal(nn.Module):
    """A leaf that uses a number of its module."""

    def forward(self, x):
        return x * FACTOR


def test_a_number_of_the_module_that_a_layer_uses_is_part_of_it(monkeypatch):
    before = network_digest(nn.Sequential(UsesGlobal()))
    monkeypatch.setitem(globals(), "FACTOR", -3.0)
    assert network_digest(nn.Sequential(UsesGlobal())) != before
