"""A notebook's network through the whole experiment: the same tables, stored where the dashboard shows them."""

import numpy as np
import pytest
import torch
from torch import nn

import asr_core
from asr_core.errors import DataError, ModelError, SpecError
from asr_core.networks import named
from asr_core.pruning import masks
from asr_core.store import Store, catalogue
from asr_core.store.results import TABLES

QUICK = {"sparsity": 0.5, "methods": ("asr_bn",), "orders": ("simultaneous",), "budgets": (1,), "calib_batch_size": 8}
QUICK |= {"stat_images": 8}


class Net(nn.Module):
    """Two convs with BatchNorm."""

    def __init__(self, classes=3):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8)
        self.conv2, self.bn2 = nn.Conv2d(8, 8, 3, bias=False), nn.BatchNorm2d(8)
        self.fc = nn.Linear(8, classes)

    def forward(self, x):
        x = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu())).relu()
        return self.fc(x.mean((2, 3)))


class Both(Net):
    """The same, which returns a dict."""

    def forward(self, x):
        return {"logits": super().forward(x), "x": x}


def split(count, seed):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, 12, 12, 3), np.uint8), np.arange(count) % 3


IMAGES = split(30, 0), split(12, 1)


def seeded(kind=Net, **arguments):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return kind(**arguments)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def network():
    return seeded()


@pytest.fixture(scope="module")
def found(network, store):
    return asr_core.study(network, IMAGES, name="mine", store=store, **QUICK)


def test_the_result_has_every_table(found):
    assert all(len(getattr(found, name)) for name in TABLES)
    assert set(found.channels["layer"]) == {"conv1", "conv2"}


def test_the_dense_accuracy_is_the_networks_own(found, network):
    (x, _), (test, labels) = IMAGES
    mean, std = x.mean((0, 1, 2)) / 255, x.std((0, 1, 2)) / 255
    inputs = torch.tensor((test / 255 - mean) / std).permute(0, 3, 1, 2).float()
    dense = found.accuracy[(found.accuracy["method"] == "dense") & (found.accuracy["calib_batches"] == 0)]
    assert dense["top1"].iloc[0] == asr_core.evaluate(network, inputs, labels).top1


def test_the_network_is_not_changed(found, network):
    assert torch.equal(network.conv1.weight, seeded().conv1.weight) and network.training


def test_it_is_stored_where_the_dashboard_looks_under_its_name(found, store):
    (stored,) = [item for item in catalogue.stored(store) if item.setting.model.words == "notebook:mine"]
    assert stored.facts["dataset_label"] == "mine" and stored.setting.data.dataset == "folder"


def test_the_same_again_is_read_from_the_store(found, network, store, monkeypatch):
    monkeypatch.setattr("asr_core.pipeline.run.perform", lambda *_: pytest.fail("computed"))
    assert asr_core.study(network, IMAGES, name="mine", store=store, **QUICK).setting == found.setting


def test_another_network_of_the_same_name_is_another_result(found, store):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        other = asr_core.study(Net(), IMAGES, name="mine", store=store, **QUICK)
    assert other.setting["dense_id"] != found.setting["dense_id"]


def test_a_network_of_the_same_weights_that_does_something_else_is_another_result(found, store):
    strided = seeded()
    strided.conv2.stride = (2, 2)
    other = asr_core.study(strided, IMAGES, name="mine", store=store, **QUICK)
    assert other.setting["dense_id"] == found.setting["dense_id"]
    assert other.setting["model"]["network_digest"] != found.setting["model"]["network_digest"]
    assert not other.channels.equals(found.channels)


def test_layers_are_left_out_by_name_in_every_table(network, store):
    result = asr_core.study(network, IMAGES, name="mine", store=store, ignore="conv2", **QUICK)
    skipped = result.convs.set_index("layer")["skipped"]
    assert skipped["conv2"] == masks.LEFT_OUT and skipped["conv1"] == ""
    assert result.repairs.loc[result.repairs["layer"] == "conv2", "gamma"].isna().all()
    assert result.setting["sparsity_achieved"] == pytest.approx(0.5, abs=0.01)


def test_the_logits_of_a_dict_are_named(found, store):
    result = asr_core.study(seeded(Both), IMAGES, name="both", store=store, logits="logits", **QUICK)
    assert result.accuracy["top1"].equals(found.accuracy["top1"])


def test_a_head_of_more_outputs_takes_a_class_map(store):
    values = {"outputs": 7, "class_map": store.root / "map.txt"}
    store.root.mkdir(exist_ok=True)
    (store.root / "map.txt").write_text("0 4\n1 2\n2 6\n")
    values["class_map"] = str(values["class_map"])
    result = asr_core.study(seeded(classes=7), IMAGES, name="wide", store=store, **values, **QUICK)
    assert result.setting["model"]["class_map"] == "4,2,6"


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (IMAGES[0], "of another form; give .train, test."),
        (None, "images are a NoneType of another form"),
        (tuple((x[:0], y[:0]) for x, y in IMAGES), r"training images are uint8 \(0, .* with 0 labels"),
        (((IMAGES[0][0] / 255, IMAGES[0][1]), IMAGES[1]), r"training images are float64 .*uint8 \(N, H, W, 3\)"),
        ((IMAGES[0], (IMAGES[1][0], IMAGES[1][1][:5])), "with 5 labels"),
        ((IMAGES[0], (IMAGES[1][0], IMAGES[1][1] * 0)), "test images have 1 of 3 classes"),
    ],
    ids=["one part", "nothing", "no image", "floats", "labels", "classes"],
)
def test_images_of_another_form_are_refused(images, said, network, store):
    with pytest.raises(DataError, match=said):
        asr_core.study(network, images, name="mine", store=store)


@pytest.mark.parametrize("name", ["", "a b", "../x", "1st"])
def test_a_name_that_is_no_word_is_refused(name, network, store):
    with pytest.raises(SpecError, match="give a word of letters, digits"):
        asr_core.study(network, IMAGES, name=name, store=store)


def test_what_is_no_network_is_refused(store):
    with pytest.raises(ModelError, match="the network is a dict"):
        asr_core.study({}, IMAGES, name="mine", store=store)


def test_the_names_of_a_notebook_are_known_to_its_process_alone(found):
    assert named.held("notebook:mine") is not None and "notebook:mine" in named.listed()


def test_images_that_are_no_squares_are_refused(network, store):
    (x, labels), test = IMAGES
    with pytest.raises(DataError, match="8x12 and 12x12 pixels; give squares, all of one size"):
        asr_core.study(network, ((x[:, :8], labels), test), name="wide", store=store, **QUICK)


@pytest.mark.parametrize(
    ("given", "words"),
    [({"budgets": 20}, r"budgets is 20; give several"), ({"dataset": "digits"}, "dataset cannot be given")],
)
def test_options_of_another_kind_are_refused(given, words, network, store):
    with pytest.raises(SpecError, match=words):
        asr_core.study(network, IMAGES, name="mine", store=store, **QUICK | given)
