"""The paper's protocol end to end by its one command: random weights in torchvision's file layout, a handful of
images, a small side."""

import json
import shlex

import numpy as np
import pytest
import torch
import torchvision
from click.testing import CliRunner
from PIL import Image

from asr_core.cli.main import main
from asr_core.store import Store
from asr_core.store.catalogue import stored
from asr_core.studies import protocol
from asr_core.studies.cells import Cell

CELL = Cell("resnet18", "cifar10", "global_l1_0.90")
SMALL = (
    "--image-size 32 --epochs 2 --batch-size 4 --stat-images 4 --calib-batch-size 4 --budgets 1,2 "
    "--orders simultaneous --biases off --threads 1"
)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with the images, the ImageNet weights where torchvision looks for them, and the store."""
    return tmp_path_factory.mktemp("protocol")


@pytest.fixture(scope="module")
def imagenet(place):
    """Random weights of a resnet18 with 1000 classes, under the name and at the place of torchvision's download."""
    torch.manual_seed(0)
    state = torchvision.models.resnet18().state_dict()
    name = torchvision.models.ResNet18_Weights.IMAGENET1K_V1.url.rpartition("/")[2]
    path = place / "hub" / "checkpoints" / name
    path.parent.mkdir(parents=True)
    torch.save(state, path)
    return state


@pytest.fixture(scope="module")
def images(place):
    """An ImageFolder of two classes, dark and light: six images each to train on, two to test."""
    random = np.random.default_rng(0)
    for split, count in (("train", 6), ("test", 2)):
        for name, level in (("dark", 40), ("light", 160)):
            folder = place / "images" / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                Image.fromarray(random.integers(level, level + 60, (40, 48, 3), np.uint8)).save(
                    folder / f"{number}.png"
                )
    return place / "images"


def run(place, images, cell: Cell):
    """The command of the cell, with small numbers and the folder in place of the download."""
    words = shlex.split(protocol.command(cell))[3:]
    words[words.index("--dataset") + 1] = f"folder:{images}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCH_HOME", str(place))
        shown = CliRunner().invoke(
            main,
            ["--cache-dir", str(place / "cache"), *words, *shlex.split(SMALL), "--json"],
            prog_name="python -m asr_core",
        )
    assert shown.exit_code == 0, shown.output
    return json.loads(shown.stdout)


@pytest.fixture(scope="module")
def first(place, imagenet, images):
    return run(place, images, CELL)


def test_every_method_is_measured_with_and_without_recalibration(first):
    rows = {(row["method"], row["calib_batches"]) for row in first["accuracy"]}
    assert rows >= {(method, b) for method in ("bn_only", "lw_bn", "raw_bn", "asr_bn") for b in (0, 1, 2)} | {
        ("dense", 0),
        ("no_repair", 0),
    }
    assert all(row["n_eval"] == 4 and 0 <= row["top1"] <= 1 for row in first["accuracy"])


def test_the_setting_is_the_paper_s_protocol(first):
    setting = first["setting"]
    assert (
        setting["dense"]["source"],
        setting["data"]["normalization"],
        setting["model"]["stem"],
        setting["model"]["head"],
    ) == ("imagenet", "imagenet", "imagenet", "torchvision")
    assert setting["sparsity_achieved"] == pytest.approx(0.9, abs=1e-5) and not setting["prune"]["include_linear"]


def test_all_but_the_last_block_and_the_head_are_imagenet_s_weights(first, place, imagenet):
    dense = Store(place / "cache").find("dense", first["setting"]["dense_id"]).weights()
    frozen = [name for name in imagenet if not name.startswith(("layer4.1.", "fc.")) and "num_batches" not in name]
    assert len(frozen) == 90 and all(
        torch.equal(dense[name], imagenet[name]) for name in frozen
    )  # BatchNorm statistics too
    assert not torch.equal(dense["layer4.1.conv2.weight"], imagenet["layer4.1.conv2.weight"])
    assert dense["fc.weight"].shape == (2, 512)


def test_another_pruning_takes_the_same_dense_network(first, place, imagenet, images):
    found = run(place, images, Cell(CELL.architecture, CELL.dataset, "nm_2:4"))
    assert found["setting"]["dense_id"] == first["setting"]["dense_id"]
    assert found["setting"]["sparsity_achieved"] == pytest.approx(0.5, abs=0.01)
    assert len(Store(place / "cache").manifests("dense")) == 1


def test_the_result_answers_no_cell_unless_its_images_are_the_paper_s(first, place):
    found = stored(Store(place / "cache"))
    assert found and all(protocol.cell_of(item) is None for item in found)
