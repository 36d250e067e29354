"""Weights from elsewhere: ImageNet's, a user's file, and the identity of a network."""

import copy
import urllib.error

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

from asr_core.errors import WeightsError
from asr_core.networks import models, weights
from asr_core.spec.model import ModelSpec


def network(classes: int = 3) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, classes)
    )


def same(a: nn.Module, b: nn.Module) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def saved(content, path):
    if path.suffix == ".safetensors":
        save_file(content, path)
    else:
        torch.save(content, path)
    return path


def refusal(model: nn.Module, path) -> str:
    """The message with which `path` is refused; the network must not have changed."""
    before = copy.deepcopy(model)
    with pytest.raises(WeightsError) as caught:
        weights.load_weights(model, path)
    assert same(model, before)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ["w.safetensors", "w.pt", "w.pth"])
def test_a_state_dict_is_loaded_from_each_kind_of_file(tmp_path, name):
    source, target = network(), network()
    weights.load_weights(target, saved(source.state_dict(), tmp_path / name))
    assert same(source, target)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {"model": state},
        lambda state: {f"module.{name}": tensor for name, tensor in state.items()},
        lambda state: {name: tensor for name, tensor in state.items() if "tracked" not in name},
    ],
)
def test_checkpoints_of_common_shapes_are_understood(tmp_path, wrap):
    source, target = network(), network()
    weights.load_weights(target, saved(wrap(source.state_dict()), tmp_path / "w.pt"))
    assert same(source, target)


def test_missing_unexpected_and_misshaped_entries_are_listed_with_counts_and_shapes(tmp_path):
    state = network().state_dict()
    state["extra.weight"] = state.pop("0.bias")
    state["0.weight"] = torch.zeros(4, 3, 1, 1)
    message = refusal(network(), saved(state, tmp_path / "w.pt"))
    assert "1 missing: 0.bias; 1 unexpected: extra.weight;" in message
    assert "1 mis-shaped: 0.weight (4, 3, 1, 1) where (4, 3, 3, 3) is needed" in message
    assert "Choose the architecture, stem and head" in message


def test_long_lists_of_entries_are_cut_to_five(tmp_path):
    state = {f"layer{i}": torch.zeros(1) for i in range(9)}
    message = refusal(network(), saved(state, tmp_path / "w.pt"))
    assert "9 unexpected: layer0, layer1, layer2, layer3, layer4, ..." in message
    assert "layer5" not in message


def test_a_head_for_other_classes_is_told_as_such(tmp_path):
    message = refusal(network(3), saved(network(1000).state_dict(), tmp_path / "w.pt"))
    assert "2 mis-shaped: 4.weight (1000, 4) where (3, 4) is needed" in message
    assert "Its head has 1000 classes, the images 3" in message


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_refused(tmp_path, value):
    state = network().state_dict()
    state["0.weight"][0, 0, 0, 0] = value
    message = refusal(network(), saved(state, tmp_path / "w.pt"))
    assert "NaN, infinite or non-float values in 1 of its entries: 0.weight" in message


def test_integer_weights_are_refused(tmp_path):
    state = network().state_dict() | {"0.bias": torch.zeros(4, dtype=torch.int8)}
    assert "non-float values in 1 of its entries: 0.bias" in refusal(
        network(), saved(state, tmp_path / "w.safetensors")
    )


class Hostile:
    """Would create a file when unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_a_hostile_pickle_is_refused_and_never_run(tmp_path):
    path = saved({"0.weight": Hostile(tmp_path / "mark")}, tmp_path / "w.pt")
    assert "cannot be read" in refusal(network(), path)
    assert not (tmp_path / "mark").exists()


def test_a_whole_pickled_network_is_refused_with_the_remedy(tmp_path):
    assert "give a state_dict" in refusal(network(), saved(network(), tmp_path / "w.pt"))


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
@pytest.mark.parametrize("content", [b"", b"not weights at all", bytes(100)])
def test_a_file_of_something_else_is_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    assert f"{name} cannot be read" in refusal(network(), tmp_path / name)


@pytest.mark.parametrize("content", [[1, 2], {"0.weight": [1.0]}, {1: torch.zeros(1)}, torch.zeros(3)])
def test_a_file_without_named_tensors_is_refused(tmp_path, content):
    assert "cannot be read" in refusal(network(), saved(content, tmp_path / "w.pt"))


def test_a_missing_file_and_an_unknown_ending_are_refused(tmp_path):
    assert "none.pt cannot be read" in refusal(network(), tmp_path / "none.pt")
    assert "must end in .safetensors, .pt, .pth" in refusal(network(), tmp_path / "w.onnx")


def test_the_identity_is_that_of_the_values_not_of_memory_layout_or_order():
    model = network()
    state = model.state_dict()
    name = weights.weights_identity(state)
    assert len(name) == 16
    assert weights.weights_identity(dict(reversed(state.items()))) == name
    assert weights.weights_identity(copy.deepcopy(model).to(memory_format=torch.channels_last).state_dict()) == name
    assert weights.weights_identity({n: t for n, t in state.items() if "tracked" not in n}) == name


@pytest.mark.parametrize("entry", ["0.weight", "1.running_mean"])
def test_the_identity_changes_with_any_parameter_or_running_statistic(entry):
    model = network()
    name = weights.weights_identity(model.state_dict())
    model.state_dict()[entry].view(-1)[0] += 1
    assert weights.weights_identity(model.state_dict()) != name


def test_the_identity_knows_names_types_and_shapes():
    a = torch.zeros(4)
    variants = [{"a": a}, {"b": a}, {"a": a.view(2, 2)}, {"a": a.int()}, {"a": a.bfloat16()}]
    assert len({weights.weights_identity(state) for state in variants}) == len(variants)


def test_the_identity_of_known_weights_is_pinned():
    # If this moves, every stored dense network gets a new name and all results are computed again.
    state = {"conv.weight": torch.arange(6.0).view(1, 2, 3), "bn.running_var": torch.ones(2)}
    assert weights.weights_identity(state) == "0fa2de6313616a62"


def test_without_network_the_error_names_the_file_and_where_to_put_it(tmp_path, monkeypatch):
    def unreachable(*args, **kwargs):
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", unreachable)
    model = models.build(ModelSpec(), 3, 32)
    with pytest.raises(WeightsError, match="no route to host") as caught:
        weights.load_imagenet(model, "resnet18")
    assert f"put it at {tmp_path}/checkpoints/resnet18-" in str(caught.value)


def test_imagenet_weights_fill_all_but_the_last_linear_layer(monkeypatch):
    pretrained = models.build(ModelSpec(architecture="mobilenet_v3_small"), 1000, 32).state_dict()
    monkeypatch.setattr(weights, "_downloaded", lambda which: dict(pretrained))
    model = models.build(ModelSpec(architecture="mobilenet_v3_small"), 3, 32)
    fresh = model.classifier[3].weight.clone()
    weights.load_imagenet(model, "mobilenet_v3_small")
    assert torch.equal(model.classifier[3].weight, fresh)
    assert all(
        torch.equal(t, pretrained[n]) for n, t in model.state_dict().items() if not n.startswith("classifier.3.")
    )


def test_imagenet_weights_that_lack_an_entry_are_refused(monkeypatch):
    monkeypatch.setattr(weights, "_downloaded", lambda which: {"conv1.weight": torch.zeros(64, 3, 7, 7)})
    with pytest.raises(WeightsError, match=r"do not fit resnet18: \d+ missing: bn1.weight"):
        weights.load_imagenet(models.build(ModelSpec(), 3, 32), "resnet18")


def test_densenets_old_entry_names_are_translated():
    old = {"features.denseblock1.denselayer2.norm.1.weight": torch.zeros(1), "features.norm0.weight": torch.zeros(1)}
    assert set(weights._adapted(old, "densenet121")) == {
        "features.denseblock1.denselayer2.norm1.weight",
        "features.norm0.weight",
    }


def test_inceptions_own_scaling_of_its_inputs_is_folded_into_its_first_layer(monkeypatch):
    theirs = torchvision.models.inception_v3(aux_logits=False, init_weights=False, transform_input=True).eval()
    monkeypatch.setattr(weights, "_downloaded", lambda which: theirs.state_dict())
    ours = models.build(ModelSpec(architecture="inception_v3"), 1000, 96)
    weights.load_imagenet(ours, "inception_v3")
    ours.fc.load_state_dict(theirs.fc.state_dict())
    images = torch.randn(2, 3, 96, 96)
    with torch.no_grad():
        torch.testing.assert_close(ours(images), theirs(images), rtol=1e-4, atol=1e-5)
