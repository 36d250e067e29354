"""A weights file is known by its tensors: one identity for the command line, the dashboard and the notebook, refused
before images are read."""

import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from made_uploads import MODEL, saved, state_of, tried_here
from PIL import Image
from safetensors.torch import save_file

from asr_core.errors import AsrError, SpecError, WeightsError
from asr_core.images import data
from asr_core.networks import known_weights, uploads, weights
from asr_core.pipeline import asked, maps
from asr_core.pipeline import run as experiment
from asr_core.pipeline.lab import Report
from asr_core.runtime import Runtime
from asr_core.spec.dense import DenseSpec
from asr_core.spec.experiment import Setting
from asr_core.spec.recalibration import BatchNormState
from asr_core.store import Store
from asr_core.store.entries import PROJECT, versions


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "cache")


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "best.pth.tar"
    path.write_bytes(
        saved({"state_dict": {f"module.{name}": tensor for name, tensor in state_of().items()}}).getvalue()
    )
    return path


def small(**changes) -> dict:
    values = {"architecture": MODEL.architecture, "stem": MODEL.parameters["stem"], "sparsity": 0.5}
    return values | {"methods": ("bn_only",), "budgets": (2,)} | changes


def identify(path, store) -> str:
    return known_weights.identify(path, store, MODEL, 10, 32).digest


def test_the_spec_names_the_tensors_of_the_file(store, file):
    spec = asked.experiment(store, **small(weights=str(file)))
    assert spec.dense == DenseSpec(source="file", weights_digest=weights.weights_identity(state_of()))


def test_containers_of_the_same_weights_give_equal_specs(store, file, tmp_path):
    other = tmp_path / "same.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in state_of().items()}, other)
    specs = [asked.experiment(store, **small(weights=str(path))) for path in (file, other)]
    assert specs[0] == specs[1]


def test_the_command_line_and_an_upload_give_the_same_identity(store, file, monkeypatch):
    versions()  # asks git, once, by the very function that is replaced
    monkeypatch.setattr(uploads.subprocess, "run", tried_here)
    with open(file, "rb") as upload:
        kept = uploads.keep_weights(store, file.name, upload, MODEL, 10, 32)
    spec = asked.experiment(store, **small(weights=str(file)))
    setting = Setting.of(**MODEL.values(), source="file", weights_digest=kept.digest)
    assert setting.dense == spec.dense


def test_a_file_seen_before_is_not_tried_again_wherever_it_lies(store, file, monkeypatch):
    first = identify(file, store)
    moved = file.rename(file.with_name("moved.ckpt"))
    monkeypatch.setattr(weights, "fitted", None)
    assert identify(moved, store) == first


def test_a_file_seen_before_needs_no_torch(store, file):
    spec = asked.experiment(store, **small(weights=str(file)))
    code = f"""
import sys
from asr_core.pipeline import asked
from asr_core.store import Store
spec = asked.experiment(Store({str(store.root)!r}), **{small(weights=str(file))!r})
assert "torch" not in sys.modules
print(spec.dense.weights_digest)
"""
    ran = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=True, capture_output=True, text=True)
    assert ran.stdout.strip() == spec.dense.weights_digest


def test_a_changed_file_is_another_network(store, file):
    first = identify(file, store)
    file.write_bytes(saved(state_of(seed=1)).getvalue())
    assert identify(file, store) != first


def test_another_network_is_asked_anew(store, file):
    identify(file, store)
    with pytest.raises(WeightsError, match="Its head has 10 classes, the images 3"):
        known_weights.identify(file, store, MODEL, 3, 32)


@pytest.mark.parametrize("content", ["", "[]", "{", '{"a": 1}', '{"a": {}}'])
def test_a_damaged_memory_is_no_memory(store, file, content):
    first = identify(file, store)
    (store.root / known_weights.MEMORY).write_text(content)
    assert identify(file, store) == first


def test_what_was_chosen_is_warned_of_also_from_memory(store, tmp_path):
    path = tmp_path / "w.pt"
    torch.save({"model": state_of(seed=1), "ema": state_of()}, path)
    for _ in range(2):
        with pytest.warns(UserWarning, match=f"^{re.escape(str(path))}: the averaged weights under ema are taken.$"):
            assert identify(path, store) == weights.weights_identity(state_of())


def test_a_missing_file_and_another_source_are_refused(store, file):
    with pytest.raises(SpecError, match=r"cannot read weights file none\.pt: No such file"):
        asked.experiment(store, **small(weights="none.pt"))
    with pytest.raises(SpecError, match="--source scratch cannot hold"):
        asked.experiment(store, **small(weights=str(file), source="scratch"))


def test_a_refused_file_is_not_remembered(store, tmp_path):
    torch.save({}, tmp_path / "w.th")
    for _ in range(2):
        with pytest.raises(WeightsError, match="it holds no entries"):
            identify(tmp_path / "w.th", store)


@pytest.fixture
def folder(tmp_path):
    """Eighty images of noise in two classes."""
    root, noise = tmp_path / "images", np.random.default_rng(0)
    for split in ("train", "test"):
        for name in "ab":
            (root / split / name).mkdir(parents=True)
            for i in range(20):
                Image.fromarray(noise.integers(0, 255, (32, 32, 3), np.uint8)).save(root / split / name / f"{i}.png")
    return root


class Heard(Report):
    def __init__(self):
        self.images = 0

    def advance(self, images):
        self.images += images


def test_weights_that_cannot_be_used_are_refused_before_the_images_are_decoded(store, folder, tmp_path):
    torch.save({}, tmp_path / "net.th")
    given = small(dataset=f"folder:{folder}", weights=str(tmp_path / "net.th"), calib_batch_size=8, stat_images=8)
    with pytest.raises(WeightsError, match=r"net\.th cannot be read"):
        spec = asked.experiment(store, **given)
        experiment.run(spec, store, where=Runtime(weights=str(tmp_path / "net.th")))
    assert store.find("images", data.images_key(data.resolve(f"folder:{folder}", store, image_size=32))) is None


WHY = {
    "gone": r"cannot be read \(.*No such file",
    "damaged": r"cannot be read \(it is empty",
    "other": "holds the weights [0-9a-f]{16}, not [0-9a-f]{16} that were asked",
}


@pytest.mark.parametrize("change", WHY)
@pytest.mark.parametrize("what", ["result", "maps"])
def test_weights_that_changed_since_are_refused_before_the_images_are_decoded(store, folder, tmp_path, change, what):
    path, heard = tmp_path / "w.pt", Heard()
    torch.save(state_of(classes=2), path)
    given = small(dataset=f"folder:{folder}", weights=str(path), calib_batch_size=8, stat_images=8)
    spec = asked.experiment(store, **given)
    if change == "gone":
        path.unlink()
    else:
        path.write_bytes(b"" if change == "damaged" else saved(state_of(classes=2, seed=1)).getvalue())
    with pytest.raises(AsrError, match=rf"w\.pt {WHY[change]}"):
        if what == "result":
            experiment.run(spec, store, heard, Runtime(weights=str(path)))
        else:
            wanted = maps.MapSpec(layer="conv1.0", state=BatchNormState(), images=1)
            experiment.maps(spec, store, wanted, report=heard, where=Runtime(weights=str(path)))
    assert heard.images == 0
    assert store.find("images", data.images_key(spec.data)) is None


def test_a_stored_dense_network_needs_its_file_no_more(store, folder, tmp_path):
    path = tmp_path / "w.pt"
    torch.save(state_of(classes=2), path)
    given = small(dataset=f"folder:{folder}", weights=str(path), calib_batch_size=8, stat_images=8)
    spec = asked.experiment(store, **given)
    first = experiment.run(spec, store, where=Runtime(weights=str(path)))
    path.unlink()
    store.clear(["result", "evaluation"])
    again = experiment.run(spec, store, where=Runtime(weights=str(path)))
    assert first.setting["dense_id"] == spec.dense.weights_digest
    assert again.setting["dense_id"] == spec.dense.weights_digest
