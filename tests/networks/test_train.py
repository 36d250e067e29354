"""Dense networks: what training changes, what it leaves alone, and what it refuses."""

from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from asr_core.errors import DataError, ModelError
from asr_core.networks import models, sgd, train, weights
from asr_core.spec.dense import DenseSpec
from asr_core.spec.model import ModelSpec

SMALL = ModelSpec.of("shufflenet_v2_x0_5", stem="half")
RESNET18 = ModelSpec.of("resnet18")  # one that has ImageNet weights


@dataclass
class Images:
    """Two easy classes, dark and bright, shaped like asr_core.images.data.Dataset."""

    count: int = 32
    dataset: str = "cifar10"
    classes: int = 2
    spec: SimpleNamespace = field(init=False)

    def __post_init__(self):
        rng = np.random.default_rng(0)
        self.spec = SimpleNamespace(dataset=self.dataset, image_size=32)
        self.train_labels = np.arange(self.count) % 2
        noise = rng.integers(0, 100, (self.count, 32, 32, 3))
        self.train_images = (noise + 150 * self.train_labels[:, None, None, None]).astype(np.uint8)

    def batch(self, images):
        return torch.from_numpy(images / 127.5 - 1).float().permute(0, 3, 1, 2)

    def train_batch(self, indices):
        return self.batch(self.train_images[indices])


class Progress:
    """Adds up the images of each stage."""

    def __init__(self):
        self.images = {}

    def __call__(self, stage, images):
        self.images[stage] = self.images.get(stage, 0) + images


def state(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def test_training_lowers_the_loss_and_returns_a_network_in_eval_mode():
    network, facts = train.train_scratch(SMALL, DenseSpec(epochs=4, batch_size=8), Images(), "cpu")
    assert facts["learning_rate"] == sgd.LEARNING_RATE["scratch"]
    assert len(facts["losses"]) == 4
    assert facts["losses"][-1] < facts["losses"][0]
    assert not any(module.training for module in network.modules())
    assert int(network.conv1[1].num_batches_tracked) == 4 * 4


def test_bfloat16_training_leaves_a_float32_network():
    network, _ = train.train_scratch(SMALL, DenseSpec(epochs=1, batch_size=16, precision="bfloat16"), Images(), "cpu")
    assert {p.dtype for p in network.parameters()} == {torch.float32}
    assert all(p.isfinite().all() for p in network.parameters())


def test_the_seed_decides_start_and_order_and_the_callers_generators_do_not_move():
    torch.manual_seed(11)
    before = torch.random.get_rng_state()
    runs = [train.train_scratch(SMALL, DenseSpec(epochs=1, seed=s), Images(), "cpu")[1] for s in (5, 5, 6)]
    assert torch.equal(before, torch.random.get_rng_state())
    losses = [run["losses"][0] for run in runs]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
    assert losses[0] != pytest.approx(losses[2], rel=1e-3)


def test_progress_counts_each_image_of_each_epoch_and_a_last_single_image_is_left_out():
    progress = Progress()
    train.train_scratch(SMALL, DenseSpec(epochs=2, batch_size=4), Images(9), "cpu", progress)
    assert progress.images == {"train": 2 * 8}


def test_one_training_image_is_refused():
    with pytest.raises(DataError, match="at least 2 images, the training split has 1"):
        train.train_scratch(SMALL, DenseSpec(), Images(1), "cpu")


def test_divergence_is_refused_with_the_learning_rate_and_the_remedy():
    with pytest.raises(ModelError, match=r"diverged in epoch \d.*lower the learning rate \(it was 1e\+30\)"):
        train.train_scratch(SMALL, DenseSpec(learning_rate=1e30, batch_size=8), Images(), "cpu")


def test_an_augmented_image_is_a_crop_of_the_reflected_image_or_its_mirror_image():
    images = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), dtype=np.uint8)
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")
    result = train.augment(images, np.random.default_rng(1))
    assert result.shape == images.shape
    assert result.dtype == np.uint8
    kinds = [(y, x, flip) for y in range(3) for x in range(3) for flip in (1, -1)]
    found = set()
    for image, frame in zip(result, padded, strict=True):
        (kind,) = [(y, x, f) for y, x, f in kinds if np.array_equal(frame[y : y + 8, x : x + 8][:, ::f], image)]
        found.add(kind)
    assert len(found) > 6


def test_digits_are_neither_cropped_nor_flipped(monkeypatch):
    def refuse(images, rng):
        raise AssertionError("augmented")

    monkeypatch.setattr(train, "augment", refuse)
    train.train_scratch(SMALL, DenseSpec(epochs=1), Images(4, dataset="digits"), "cpu")
    with pytest.raises(AssertionError):
        train.train_scratch(SMALL, DenseSpec(epochs=1), Images(4), "cpu")


@pytest.mark.parametrize(
    ("architecture", "block"),
    [
        ("resnet18", "layer4.1"),
        ("cifar_resnet20", "layer3.2"),
        ("densenet121", "features.denseblock4"),
        ("vgg11_bn", "features.22"),
        ("googlenet", "inception5b"),
        ("regnet_y_400mf", "trunk_output.block4.block4-5"),
        ("mobilenet_v2", "features.18.0"),
    ],
)
def test_the_two_halves_around_the_last_block_are_the_network(architecture, block):
    network = models.build(ModelSpec.pick(architecture=architecture, head="linear"), 3, 32)
    assert train.last_block(network) == block
    first, second = train.cut(network, block)
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(second(*first(images)), network(images))
    assert not {id(p) for p in first.parameters()} & {id(p) for p in second.parameters()}
    assert {id(p) for p in network.parameters()} == {id(p) for part in (first, second) for p in part.parameters()}


def test_vggs_last_stage_starts_after_its_last_but_one_pool():
    network = models.build(ModelSpec.of("vgg11_bn", head="linear"), 3, 32)
    pools = [i for i, module in enumerate(network.features) if isinstance(module, nn.MaxPool2d)]
    assert train.last_block(network) == f"features.{pools[-2] + 1}"


def test_tuning_sends_each_image_through_the_frozen_part_once_and_moves_nothing_in_it():
    network = models.build(RESNET18, 2, 32)
    before, passed, progress = state(network), [], Progress()
    handle = network.conv1.register_forward_hook(lambda _, inputs, output: passed.append(len(output)))
    facts = train.tune_last_block(
        network, DenseSpec(source="imagenet", epochs=3, batch_size=8), Images(20), "cpu", progress
    )
    handle.remove()
    assert sum(passed) == 20
    assert progress.images == {"features": 20, "train": 3 * 20}
    assert facts["trained_from"] == "layer4.1"
    assert facts["learning_rate"] == sgd.LEARNING_RATE["imagenet"]
    moved = {name for name, tensor in state(network).items() if not torch.equal(tensor, before[name])}
    assert moved == {name for name in before if name.startswith(("layer4.1.", "fc."))}
    assert not any(module.training for module in network.modules())
    assert all(p.requires_grad for p in network.parameters())


def test_tuning_learns_from_the_kept_features():
    torch.manual_seed(0)
    network = models.build(RESNET18, 2, 32)
    dense = DenseSpec(source="imagenet", epochs=4, batch_size=8)
    assert train.tune_last_block(network, dense, Images(), "cpu")["losses"][-1] < 0.3


def test_finetuning_starts_from_imagenet_weights_with_a_fresh_head(monkeypatch):
    pretrained = models.build(RESNET18, 1000, 32).state_dict()
    monkeypatch.setattr(weights, "_downloaded", lambda which: dict(pretrained))
    network, _ = train.finetune(RESNET18, DenseSpec(source="imagenet", epochs=1), Images(4), "cpu")
    frozen = [name for name in pretrained if not name.startswith(("layer4.1.", "fc."))]
    assert all(torch.equal(network.state_dict()[name], pretrained[name]) for name in frozen)
    assert network.fc.out_features == 2


def test_imagenet_weights_are_refused_for_a_stem_they_do_not_have():
    with pytest.raises(ModelError, match="need stem 'imagenet', not 'half'"):
        train.finetune(ModelSpec.of("resnet18", stem="half"), DenseSpec(source="imagenet"), Images(), "cpu")


def test_imagenet_weights_are_refused_for_a_network_that_has_none():
    with pytest.raises(ModelError, match="cifar_resnet20 has no ImageNet weights; train from scratch"):
        train.finetune(ModelSpec(architecture="cifar_resnet20"), DenseSpec(source="imagenet"), Images(), "cpu")
