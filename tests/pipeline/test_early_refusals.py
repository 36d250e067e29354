"""What a setting's files are refused for, before an image is read."""

import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from asr_core.errors import AsrError
from asr_core.images import pixels
from asr_core.pipeline import asked
from asr_core.store import Store


@pytest.fixture
def tree(tmp_path):
    """A tree of two classes, 8 x 8 pixels."""
    for split in ("train", "test"):
        for at, kind in enumerate(("cat", "dog")):
            (folder := tmp_path / "words" / split / kind).mkdir(parents=True)
            Image.fromarray(np.full((8, 8, 3), 90 * at + len(split), np.uint8)).save(folder / "0.png")
    return tmp_path / "words"


@pytest.fixture
def weights(tmp_path):
    """A weights file of another network."""
    torch.save({"nothing": torch.zeros(3)}, tmp_path / "other.pt")
    return tmp_path / "other.pt"


def of(tree, **values):
    return asked.setting(
        Store(tree.parent / "cache"), dataset=f"folder:{tree}", architecture="cifar_resnet20", **values
    )


@pytest.mark.parametrize(
    ("name", "why"),
    [("nosuch.pt", "No such file"), ("other.onnx", "must end in .safetensors"), ("other.pt", "does not fit")],
)
def test_weights_are_refused_before_an_image_is_read(name, why, tree, weights, monkeypatch):
    monkeypatch.setattr(pixels, "digests", lambda *_: pytest.fail("an image was read"))
    with pytest.raises(AsrError, match=why):
        of(tree, weights=str(weights.parent / name))


def test_a_class_map_goes_by_the_names_of_the_folder_that_is_given(tree):
    other = tree.parent / "synsets"
    for split in ("train", "test"):
        for old, new in (("cat", "n01"), ("dog", "n02")):
            shutil.copytree(tree / split / old, other / split / new)
    (tree.parent / "map.txt").write_text("cat 1\ndog 2\nn01 5\nn02 7\n")
    maps = [of(one, class_map=str(tree.parent / "map.txt")).model.class_map for one in (tree, other)]
    assert maps == ["1,2", "5,7"]
