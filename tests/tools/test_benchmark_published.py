"""The accuracy of public checkpoints: images from the archive, the verdict, and nothing where the data is not."""

import io
import json
import tarfile

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from benchmarks import published


def png(seed: int) -> tuple[np.ndarray, bytes]:
    """A random image, and its bytes."""
    image, buffer = np.random.default_rng(seed).integers(0, 256, (32, 32, 3), np.uint8), io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return image, buffer.getvalue()


@pytest.fixture
def archive(tmp_path):
    """A tar of one training and two test images."""
    path = tmp_path / published.ARCHIVE
    with tarfile.open(path, "w:xz") as file:
        for i, name in enumerate(("top/train/cat/a.png", "top/test/dog/b.png", "top/test/cat/c.png")):
            info = tarfile.TarInfo(name)
            info.size = len(png(i)[1])
            file.addfile(info, io.BytesIO(png(i)[1]))
    return path


def test_only_test_images_are_taken_with_the_place_of_their_class(archive):
    images, labels = published.images_of(archive)
    assert np.array_equal(images, [png(1)[0], png(2)[0]])
    assert labels.tolist() == [1, 0]


@pytest.mark.parametrize(("shift", "status"), [(0.0, 0), (0.5, 1)])
def test_an_accuracy_that_is_not_the_published_one_is_an_error(shift, status, archive, tmp_path, monkeypatch):
    network = published.models.build(published.ModelSpec.of("cifar_resnet20"), 10, 32)
    (tmp_path / "checkpoints").mkdir()
    torch.save({"state_dict": network.state_dict()}, tmp_path / "checkpoints" / "net.th")
    top1 = published.evaluate(network, published.batches(*published.images_of(archive))).top1
    monkeypatch.setattr(published, "FILES", {"cifar_resnet20": ("net.th", top1 + shift)})
    monkeypatch.setattr(published, "DOCUMENT", tmp_path / "last.json")
    done = CliRunner().invoke(published.main, ["cifar_resnet20", "--data", str(tmp_path)])
    assert done.exit_code == status
    assert json.loads((tmp_path / "last.json").read_text())[0]["agrees"] == (status == 0)


def test_without_the_data_nothing_is_measured_and_that_is_said(tmp_path):
    done = CliRunner().invoke(published.main, ["--data", str(tmp_path)])
    assert done.exit_code == 0 and "is not here, so nothing can be measured" in done.output
