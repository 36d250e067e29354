"""Any checkpoint: every container, wrapper and prefix that training scripts leave gives the same weights."""

import argparse
import collections
import datetime
import io
import os
import pathlib
import pickle
import re
import types
import zipfile

import numpy as np
import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn
from torch.nn.utils import parametrizations, prune, spectral_norm, weight_norm

from asr_core.errors import WeightsError
from asr_core.networks import layouts, models, weights
from asr_core.networks.suffixes import SUFFIXES
from asr_core.spec.model import ModelSpec


def network(seed: int = 0, classes: int = 3) -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        made = nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, classes)
        )
        nn.init.normal_(made[1].running_mean)
    return made.eval()


STATE = network().state_dict()
IDENTITY = weights.weights_identity(STATE)
AVERAGED = network(1).state_dict()


def written(content, path, **how):
    if path.name.lower().endswith(".safetensors"):
        save_file(content, path)
    else:
        torch.save(content, path, **how)
    return path


def said(path, model=None) -> str:
    """Why a file is refused, in one bounded line without control characters."""
    with pytest.raises(WeightsError) as caught:
        weights.load_weights(model or network(2), path)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1500
    return str(caught.value)


def loaded(path, model=None) -> str:
    """Identity of the network after loading, without a warning."""
    model = model or network(2)
    found = weights.load_weights(model, path)
    assert found == weights.weights_identity(model.state_dict())
    return found


def warned(path, words: str, model=None) -> str:
    with pytest.warns(UserWarning, match=words):
        return loaded(path, model)


def before(prefix: str, state=STATE) -> dict:
    return {prefix + name: tensor for name, tensor in state.items()}


CONTAINERS = {
    "w.pt": {},
    "w.pth": {},
    "w.th": {},
    "w.bin": {},
    "w.ckpt": {},
    "w.tar": {},
    "best.pth.tar": {},
    "W.PTH": {},
    "Best.Pth.Tar": {},
    "old.pt": {"_use_new_zipfile_serialization": False},
    "old.pth.tar": {"_use_new_zipfile_serialization": False},
}
WRAPPERS = {
    "plain": lambda state: state,
    "ordered": collections.OrderedDict,
    "state_dict": lambda state: {"state_dict": state, "epoch": 3, "best_prec1": 91.7},
    "model": lambda state: {
        "model": state,
        "optimizer": {"state": {0: {"exp_avg": torch.ones(3)}}, "param_groups": []},
    },
    "net": lambda state: {"net": state, "acc": 95.1, "epoch": torch.tensor(3)},
    "network": lambda state: {"network": state},
    "model_state_dict": lambda state: {"epoch": 1, "model_state_dict": state, "loss": torch.tensor(0.1)},
    "params": lambda state: {"params": state},
    "model.state_dict": lambda state: {"model": {"state_dict": state}},
    "generator": lambda state: {"generator": state, "scaler": {"scale": torch.tensor(1.0)}},
    "lightning": lambda state: {
        "state_dict": state,
        "pytorch-lightning_version": "2.5.0",
        "hyper_parameters": {"lr": 0.1, "milestones": [1, 2]},
        "optimizer_states": [{"state": {0: {"step": torch.tensor(1.0)}}, "param_groups": [{"lr": 0.1}]}],
        "callbacks": {"ModelCheckpoint": {"best": torch.tensor(0.9)}},
        "loops": {},
    },
    "averaged": lambda state: {"n_averaged": torch.tensor(3), **state},
}
PREFIXES = [
    "",
    "module.",
    "_orig_mod.",
    "model.",
    "module._orig_mod.",
    "_orig_mod.module.",
    "module.module.",
    "model._orig_mod.module.",
    "_orig_mod.model.model.",
    "net.",
    "backbone.",
    "_fsdp_wrapped_module.",
]


@pytest.mark.parametrize("wrapper", WRAPPERS)
@pytest.mark.parametrize("container", CONTAINERS)
def test_one_network_is_the_same_in_every_container_wrapper_and_prefix(tmp_path, container, wrapper):
    model, found = network(2), {}
    for prefix in PREFIXES:
        path = written(WRAPPERS[wrapper](before(prefix)), tmp_path / container, **CONTAINERS[container])
        found[prefix] = loaded(path, model)
    assert found == dict.fromkeys(PREFIXES, IDENTITY)


@pytest.mark.parametrize("container", ["w.safetensors", "W.SAFETENSORS", "pytorch_model.bin"])
def test_safetensors_are_read_by_their_content_with_every_prefix(tmp_path, container):
    found = {}
    for prefix in PREFIXES:
        save_file(before(prefix), tmp_path / container)
        found[prefix] = loaded(tmp_path / container)
    assert found == dict.fromkeys(PREFIXES, IDENTITY)


@pytest.mark.parametrize(
    "change",
    [
        lambda state: dict(reversed(state.items())),
        lambda state: {name: tensor for name, tensor in state.items() if "tracked" not in name},
        lambda state: {name: tensor.double() for name, tensor in state.items()},
        lambda state: {name: nn.Parameter(tensor.float()) for name, tensor in state.items() if "tracked" not in name},
        lambda state: {
            name: tensor.to(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor
            for name, tensor in state.items()
        },
        lambda state: state | {"epoch": 3, "acc": 0.9, "arch": "small", "best": None},
        lambda state: state | {"0.total_ops": torch.zeros(1), "total_params": torch.zeros(1)},
    ],
    ids=["order", "no counters", "float64", "parameters", "memory format", "facts beside", "counters of operations"],
)
def test_the_identity_is_that_of_the_tensors_as_the_network_takes_them(tmp_path, change):
    assert loaded(written(change(STATE), tmp_path / "w.pt")) == IDENTITY


def test_other_values_are_another_identity(tmp_path):
    assert loaded(written(AVERAGED, tmp_path / "w.pt")) != IDENTITY


def test_an_averaged_model_of_torch_is_read(tmp_path):
    averaged = torch.optim.swa_utils.AveragedModel(network())
    assert loaded(written(averaged.state_dict(), tmp_path / "w.pt")) == IDENTITY


def test_data_parallel_around_a_part_is_taken_off(tmp_path):
    inner = nn.Sequential(collections.OrderedDict(features=network(), head=nn.Linear(3, 2)))
    state = inner.state_dict()
    moved = {name.replace("features.", "features.module."): tensor for name, tensor in state.items()}
    other = nn.Sequential(collections.OrderedDict(features=network(1), head=nn.Linear(3, 2)))
    assert loaded(written(moved, tmp_path / "w.pt"), other) == weights.weights_identity(state)


def test_a_network_whose_own_names_look_like_wrappers_keeps_them(tmp_path):
    class Own(nn.Module):
        def __init__(self, seed):
            super().__init__()
            self.module = nn.Sequential(collections.OrderedDict(model=network(seed)))

    state = Own(0).state_dict()
    assert loaded(written(state, tmp_path / "w.pt"), Own(1)) == weights.weights_identity(state)
    assert loaded(written(before("model.", state), tmp_path / "v.pt"), Own(1)) == weights.weights_identity(state)


EMA = {
    "ema": lambda: {"model": STATE, "ema": AVERAGED},
    "state_dict_ema": lambda: {"state_dict": STATE, "state_dict_ema": AVERAGED, "arch": "small"},
    "model_ema": lambda: {"model": STATE, "model_ema": before("module.", AVERAGED) | {"n_averaged": torch.tensor(9)}},
    "model_ema.module": lambda: {"model": STATE, "model_ema": {"module": AVERAGED}},
    "ema_state_dict": lambda: {"model_state_dict": STATE, "ema_state_dict": AVERAGED},
    "swa_model": lambda: {"model": STATE, "swa_model": AVERAGED},
    "ema_model.": lambda: before("online_model.") | before("ema_model.", AVERAGED) | {"step": torch.tensor(1)},
    "model_ema. ": lambda: {"state_dict": before("model.") | before("model_ema.module.", AVERAGED)},
}


@pytest.mark.parametrize("where", EMA)
def test_averaged_weights_go_first_and_that_is_said(tmp_path, where):
    path = written(EMA[where](), tmp_path / "w.pt")
    with pytest.warns(UserWarning, match="the averaged weights under .* are taken"):
        found = loaded(path)
    assert found == weights.weights_identity(AVERAGED)


@pytest.mark.parametrize(
    ("averaged", "why"),
    [
        ({"decay": 0.99, "shadow_params": [torch.zeros(3)]}, "have no names"),
        ({"shadow": {"0.weight": STATE["0.weight"]}}, "7 missing"),
    ],
)
def test_averaged_weights_that_are_not_whole_are_passed_over_and_that_is_said(tmp_path, averaged, why):
    path = written({"model": STATE, "ema": averaged}, tmp_path / "w.pt")
    assert warned(path, f"averaged weights under ema.* are not taken .*({why})") == IDENTITY


@pytest.mark.parametrize("beside", [{"ema": True, "ema_decay": 0.9}, {"ema": {"decay": 0.9}}, {"ema": None}])
def test_settings_of_averaging_are_no_averaged_weights(tmp_path, beside):
    assert loaded(written({"model": STATE} | beside, tmp_path / "w.pt")) == IDENTITY


def test_several_networks_that_fit_are_not_chosen_among(tmp_path):
    message = said(written({"student": STATE, "teacher": AVERAGED}, tmp_path / "w.pt"))
    assert "several networks that fit: student, teacher; save the one that is meant" in message
    message = said(written(before("student.") | before("teacher.", AVERAGED), tmp_path / "w.pt"))
    assert "several networks of the file fit: student., teacher." in message


def test_the_same_network_twice_in_a_file_is_one(tmp_path):
    assert loaded(written({"model": STATE, "state_dict": before("module.")}, tmp_path / "w.pt")) == IDENTITY


def test_a_loss_with_weights_beside_the_network_is_left_out_and_named(tmp_path):
    content = {"state_dict": before("model.") | {"criterion.weight": torch.ones(3)}}
    assert warned(written(content, tmp_path / "w.ckpt"), "left out .*criterion.weight") == IDENTITY


EXTRAS = {
    "argparse": argparse.Namespace(lr=0.1, path=pathlib.PurePosixPath("a")),
    "simple namespace": types.SimpleNamespace(lr=0.1),
    "numpy float": np.float64(91.0),
    "numpy integer": np.int64(3),
    "numpy bool": np.bool_(True),
    "numpy array": np.arange(3.0),
    "path": pathlib.PosixPath("runs/1"),
    "defaultdict": collections.defaultdict(list, {"acc": [1.0]}),
    "nested": [{"args": argparse.Namespace(best=np.float32(1.0))}],
    "date": datetime.datetime(2025, 1, 1),
    "version": torch.__version__,
    "set": {1, 2},
    "counter": collections.Counter("ab"),
}


@pytest.mark.parametrize("how", [{}, {"_use_new_zipfile_serialization": False}], ids=["zip", "old"])
@pytest.mark.parametrize("extra", EXTRAS)
def test_what_lies_beside_the_weights_does_not_matter(tmp_path, extra, how):
    content = {"state_dict": before("module."), "args": EXTRAS[extra]}
    assert loaded(written(content, tmp_path / "w.pth", **how)) == IDENTITY


class Config:
    """A class of somebody's project."""


class Call:
    """Would call a function when unpickled."""

    def __init__(self, function, *given):
        self.how = function, given

    def __reduce__(self):
        return self.how


@pytest.mark.parametrize("how", [{}, {"_use_new_zipfile_serialization": False}], ids=["zip", "old"])
def test_a_class_that_is_not_let_in_is_named(tmp_path, how):
    message = said(written({"state_dict": STATE, "config": Config()}, tmp_path / "w.pth", **how))
    assert "it holds test_checkpoints.Config, and code is never run" in message
    assert "torch.save(model.state_dict(), FILE)" in message


@pytest.mark.parametrize("how", [{}, {"_use_new_zipfile_serialization": False}], ids=["zip", "old"])
@pytest.mark.parametrize(
    ("call", "name"),
    [(("open", "mark", "w"), "open"), (("system", "touch mark"), "system"), (("eval", "1"), "eval")],
)
def test_a_call_is_named_and_never_made(tmp_path, monkeypatch, call, name, how):
    monkeypatch.chdir(tmp_path)
    function = {"open": open, "system": os.system, "eval": eval}[call[0]]
    message = said(written({"state_dict": STATE, "x": Call(function, *call[1:])}, tmp_path / "w.pth", **how))
    assert name in message
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize("how", [{}, {"_use_new_zipfile_serialization": False}], ids=["zip", "old"])
def test_a_whole_network_is_refused_by_its_class(tmp_path, how):
    assert "Sequential" in said(written(network(), tmp_path / "w.pt", **how))


def test_weights_in_place_of_which_a_stand_in_was_put_are_refused(tmp_path):
    message = said(written({"state_dict": STATE | {"0.weight": np.zeros(3)}}, tmp_path / "w.pt"))
    assert "not plain tensors with names: 1 entries: 0.weight" in message


def zip_of(path, *names, how=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", how) as archive:
        for name in names:
            archive.writestr(name, b"x" * 100)
    return path


@pytest.mark.filterwarnings("ignore:`torch.jit")
def test_torchscript_is_called_by_its_name(tmp_path):
    torch.jit.save(torch.jit.script(nn.Sequential(nn.Conv2d(3, 4, 3))), tmp_path / "w.pt")
    assert "TorchScript archive, which holds code" in said(tmp_path / "w.pt")


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (["photos/a.png", "photos/b.png"], "zip of something else: photos/a.png, photos/b.png"),
        (["run/best.pth"], "zip around run/best.pth.*unpack it"),
        (["archive_format", "models/model.json"], "holds code"),
        (["w/archive_format", "w/data/weights/a"], "program of torch.export"),
        (["x.npy"], "zip of something else: x.npy"),
        ([], "zip of something else: nothing"),
    ],
)
def test_other_zips_are_refused_in_words(tmp_path, names, why):
    assert re.search(why, said(zip_of(tmp_path / "w.pt", *names)))


def test_a_compressed_zip_is_refused_unread(tmp_path):
    assert "compressed archive" in said(zip_of(tmp_path / "w.pt", "archive/data.pkl", how=zipfile.ZIP_DEFLATED))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "it is empty"),
        (b"\x1f\x8b" + bytes(50), "gzip"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "git lfs pull"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"\x89HDF\r\n\x1a\n" + bytes(50), "HDF5"),
        (bytes(257) + b"ustar" + bytes(300), "tar archive"),
        (pickle.dumps({"0.weight": [1.0]}), "torch.save did not write it|cannot be read"),
    ],
)
def test_what_is_often_given_by_mistake_is_named(tmp_path, content, why):
    (tmp_path / "w.pth.tar").write_bytes(content)
    assert re.search(why, said(tmp_path / "w.pth.tar"))


def test_a_pickle_of_another_protocol_says_so(tmp_path):
    assert "protocol" in said(written(STATE, tmp_path / "w.pt", pickle_protocol=4))


def test_a_cut_file_is_refused(tmp_path):
    content = io.BytesIO()
    torch.save(STATE, content)
    (tmp_path / "w.pt").write_bytes(content.getvalue()[:-200])
    assert "cannot be read" in said(tmp_path / "w.pt")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ({}, "it holds no entries"),
        ([STATE], "it holds a list"),
        (STATE["0.weight"], "it holds a Tensor"),
        ({"epoch": 3, "optimizer": {"state": {0: {"exp_avg": torch.ones(3)}}}}, "among its entries: epoch, optimizer"),
        ({"model": {}}, "among its entries: model"),
        ({"0.weight": torch.zeros(4, 3).to_sparse()}, "not plain tensors"),
        ({"0.weight": torch.zeros(3, dtype=torch.complex64)}, "not plain tensors"),
    ],
)
def test_a_file_without_a_state_dict_says_what_it_has(tmp_path, content, why):
    assert why in said(written(content, tmp_path / "w.pt"))


def test_hostile_names_are_shown_bounded_and_without_control_characters(tmp_path):
    message = said(written({f"{i}\x1b[31m\n" + "x" * 10_000: torch.zeros(1) for i in range(50)}, tmp_path / "w.pt"))
    assert "50 unexpected" in message


def test_the_place_of_weights_that_do_not_fit_is_named(tmp_path):
    message = said(written({"state_dict": {"conv.weight": torch.zeros(1)}}, tmp_path / "w.pt"))
    assert "does not fit Sequential (its state_dict): 8 missing" in message


def test_a_head_of_another_size_is_named_in_a_wrapped_and_prefixed_file(tmp_path):
    state = network(classes=1000).state_dict()
    message = said(written({"model": before("module.", state)}, tmp_path / "w.pt"))
    assert "Its head has 1000 classes, the images 3: use images of the same classes." in message


def test_a_head_that_lies_outside_the_network_is_listed(tmp_path):
    state = {name: tensor for name, tensor in before("model.").items() if "model.4" not in name}
    message = said(written({"state_dict": state | {"classifier.weight": torch.ones(3, 4)}}, tmp_path / "w.ckpt"))
    assert "2 missing: 4.weight, 4.bias; 1 unexpected: classifier.weight" in message


def test_other_endings_are_refused_with_the_list(tmp_path):
    message = said(tmp_path / "w.onnx")
    assert all(suffix in message for suffix in SUFFIXES)


def images() -> torch.Tensor:
    return torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def test_pruning_masks_are_folded_in_and_that_is_said(tmp_path):
    masked = network()
    prune.global_unstructured([(masked[0], "weight"), (masked[4], "weight")], prune.L1Unstructured, amount=0.5)
    expected = masked(images())
    other = network(2)
    warned(
        written({"state_dict": before("module.", masked.state_dict())}, tmp_path / "w.pt"),
        "masks .* are folded in",
        other,
    )
    assert torch.equal(other(images()), expected)


@pytest.mark.parametrize("dim", [0, 1, None])
@pytest.mark.parametrize("norm", [weight_norm, parametrizations.weight_norm], ids=["old", "new"])
@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated")
def test_weight_norm_is_folded_in_exactly(tmp_path, norm, dim):
    if dim is None and norm is not weight_norm:
        dim = -1
    normed = network()
    norm(normed[0], dim=dim)
    with torch.no_grad():
        for name, tensor in normed[0].named_parameters():
            tensor.mul_(1.7 if name.endswith(("_g", "original0")) else 1.0)
    expected = normed(images())
    other = network(2)
    warned(written(normed.state_dict(), tmp_path / "w.pt"), "weight_norm is folded in", other)
    torch.testing.assert_close(other(images()), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("norm", [spectral_norm, parametrizations.spectral_norm, parametrizations.orthogonal])
def test_other_parametrizations_are_refused_with_the_remedy(tmp_path, norm):
    normed = network()
    norm(normed[4])
    message = said(written(normed.state_dict(), tmp_path / "w.pt"))
    assert "missing: 4.weight" in message
    assert "remove_parametrizations" in message


def test_a_mask_of_another_shape_is_not_spread_over_its_weights(tmp_path):
    state = {name: tensor for name, tensor in STATE.items() if name != "0.weight"}
    state |= {"0.weight_orig": STATE["0.weight"], "0.weight_mask": torch.ones(1).expand(10**9, 1)[:1]}
    assert "1 missing: 0.weight" in said(written(state, tmp_path / "w.pt"))


def test_values_that_overflow_the_networks_type_are_refused(tmp_path):
    state = STATE | {"0.weight": STATE["0.weight"].double() * 1e300}
    assert "NaN, infinite or non-float values in 1 of its entries: 0.weight" in said(written(state, tmp_path / "w.pt"))


@pytest.mark.parametrize("name", ["densenet121", "shufflenet_v2_x0_5", "googlenet", "inception_v3"])
def test_networks_of_torchvision_are_read_as_training_scripts_save_them(tmp_path, name):
    auxiliary = {"aux_logits": True, "init_weights": False} if "cept" in name or "goog" in name else {}
    theirs = torchvision.models.get_model(name, num_classes=10, **auxiliary).state_dict()
    old = {re.sub(r"(denselayer\d+\.(?:norm|conv))([12])\.", r"\1.\2.", f"module.{n}"): t for n, t in theirs.items()}
    side = 96 if name == "inception_v3" else 32
    outline = models.outline(ModelSpec(architecture=name), 10, side)
    found = weights.fitted(outline, written({"state_dict": old, "epoch": 90}, tmp_path / "model_best.pth.tar"))
    assert found.identity == weights.weights_identity({n: t for n, t in theirs.items() if n in outline.state_dict()})
    assert ["auxiliary heads" in note for note in found.notes] == [True] * bool(auxiliary)


def test_old_names_of_densenet_are_translated_behind_wrappers():
    own = {"features.denseblock1.denselayer2.norm1.weight": torch.zeros(1), "features.norm0.weight": torch.zeros(1)}
    old = {
        "module.features.denseblock1.denselayer2.norm.1.weight": torch.ones(1),
        "module.features.norm0.weight": torch.ones(1),
    }
    assert layouts.arrange(old, own).entries.keys() == own.keys()


def test_auxiliary_heads_are_left_out_and_named():
    found = layouts.arrange(
        {"fc.weight": torch.ones(2), "AuxLogits.fc.weight": torch.ones(2)}, {"fc.weight": torch.ones(2)}
    )
    assert list(found.entries) == ["fc.weight"]
    assert "AuxLogits.fc.weight" in found.notes[0]
