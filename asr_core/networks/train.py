"""Dense networks: trained from scratch, or fine-tuned by the paper's protocol.

The recipe of both trainings stands in `asr_core.networks.sgd`.
"""

from __future__ import annotations

from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import fx, nn

from asr_core.errors import ModelError
from asr_core.networks import models
from asr_core.networks.resume import Kept
from asr_core.networks.sgd import Training
from asr_core.networks.weights import load_imagenet

if TYPE_CHECKING:
    from asr_core.spec.dense import DenseSpec
    from asr_core.spec.model import ModelSpec


FEATURE_BATCH = 256  # images of one forward through the frozen part


def train_scratch(
    model: ModelSpec, dense: DenseSpec, data, device, progress=None, kept: Kept | None = None
) -> tuple[nn.Module, dict]:
    """All layers from a random start seeded by `dense.seed`.

    Training images are cropped at random from a frame of reflected pixels and flipped, except
    digits. `progress` as of `asr_core.networks.sgd.Training.run`. A training that was stopped goes on from its last
    epoch in `kept`, to the same weights. Returns the network (eval mode, on `device`) and facts: learning_rate and the
    mean training loss of each epoch. The caller's random generators are left as they were. Raises ModelError
    if it cannot run or training diverges.
    """
    with _seeded(dense.seed, device):
        network = models.build(model, data.classes, data.spec.image_size).to(device)

        def inputs(indices, rng):
            images = data.train_images[indices]
            return [data.batch(images if data.spec.dataset == "digits" else augment(images, rng))]

        facts = Training(network.train(), inputs, data.train_labels, dense, device).run(progress, kept)
    return network.eval(), facts


def augment(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Random crops from a frame of reflected pixels (4 at 32x32, in proportion) and horizontal flips.

    images: uint8 (N, H, W, 3); the result has the same shape.
    """
    count, side = images.shape[:2]
    frame = max(1, round(side / 8))
    padded = np.pad(images, ((0, 0), (frame, frame), (frame, frame), (0, 0)), mode="reflect")
    top, left = rng.integers(0, 2 * frame + 1, (2, count)).tolist()
    flipped = rng.random(count) < 0.5
    result, (height, width) = np.empty_like(images), images.shape[1:3]
    for image, source, y, x, flip in zip(result, padded, top, left, np.asarray(flipped), strict=True):
        crop = source[y : y + height, x : x + width]
        image[:] = crop[:, ::-1] if flip else crop
    return result


@contextmanager
def _seeded(seed: int, device):
    """Seed torch inside the block; afterwards its generators are as before."""
    device = torch.device(device)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def finetune(
    model: ModelSpec, dense: DenseSpec, data, device, progress=None, kept: Kept | None = None
) -> tuple[nn.Module, dict]:
    """The paper's protocol: torchvision's ImageNet weights, all frozen but the last block and what follows.

    The head's last linear layer is fresh. Returns the network and facts as `tune_last_block` does.
    Raises WeightsError, naming the file to provide, when the weights cannot be had; ModelError for
    another stem than torchvision's, or a network that has none.
    """
    if model.chosen.name != "torchvision":
        raise ModelError(f"{model.architecture} has no ImageNet weights; train from scratch, or give a weights file.")
    if (stem := model.parameters.get("stem")) != "imagenet":
        raise ModelError(f"ImageNet weights need stem 'imagenet', not {stem!r}; choose it or train from scratch.")
    with _seeded(dense.seed, device):
        network = models.build(model, data.classes, data.spec.image_size)
        load_imagenet(network, model.architecture)
        facts = tune_last_block(network, dense, data, device, progress, kept)
    return network, facts


def tune_last_block(
    network: nn.Module, dense: DenseSpec, data, device, progress=None, kept: Kept | None = None
) -> dict:
    """Train, in place, only the last block of `network` and what runs after it; the rest stays in eval mode.

    The frozen part sees each training image once, without augmentation; what it passes on is kept in
    memory as float32 for all epochs (resnet18: 2 kB an image at 32x32, 100 kB at 224x224).
    `progress` hears stage `features`, then `train`. Returns facts as `train_scratch` does, and
    `trained_from`, the name of the first trained module.
    """
    block = last_block(network)
    network.to(device).eval().requires_grad_(False)
    frozen, trained = cut(network, block)
    features = _features(frozen, data, device, progress)
    trained.train().requires_grad_(True)
    facts = Training(trained, lambda i, _: [x[i] for x in features], data.train_labels, dense, device).run(
        progress, kept
    )
    network.eval().requires_grad_(True)
    return facts | {"trained_from": block}


def last_block(network: nn.Module) -> str:
    """Name of the last child with convs, descending through sequences.

    resnet18: layer4.1; densenet121: features.denseblock4. Where it is a bare conv among max-pools
    (VGG), the first module after the pool before it.
    """
    path: list[Any] = []
    parent, child = None, network
    while not path or isinstance(child, (nn.Sequential, nn.ModuleList)):
        parent = child
        name, child = [(n, c) for n, c in parent.named_children() if models.conv_layers(c)][-1]
        path.append(name)
    if isinstance(child, nn.Conv2d):
        path[-1] = _stage_start(parent, path[-1])
    return ".".join(path)


def _stage_start(parent: nn.Module, conv: str) -> str:
    """Name of the child after the last max-pool before `conv`; `conv` itself without one."""
    children = list(parent.named_children())
    before = [name for name, _ in children].index(conv)
    starts = [name for (_, pool), (name, _) in pairwise(children[: before + 1]) if isinstance(pool, nn.MaxPool2d)]
    return starts[-1] if starts else conv


def cut(network: nn.Module, block: str) -> tuple[fx.GraphModule, fx.GraphModule]:
    """Two halves, of the network's own module objects: what runs before `block`, and the rest.

    second(*first(x)) equals network(x). Traced in the network's present mode.
    """
    nodes = list(models.trace(network).nodes)
    start = next(i for i, node in enumerate(nodes) if _inside(node, block))
    rest = set(nodes[start:])
    crossing = [node for node in nodes[:start] if rest & set(node.users)]
    first = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    for node in nodes[:start]:
        copies[node] = first.node_copy(node, copies.__getitem__)
    first.output(tuple(copies[node] for node in crossing))
    second = fx.Graph()
    copies = {node: second.placeholder(node.name) for node in crossing}
    for node in nodes[start:]:
        copies[node] = second.node_copy(node, copies.__getitem__)
    return fx.GraphModule(network, first), fx.GraphModule(network, second)


def _inside(node: fx.Node, block: str) -> bool:
    return any(f"{path}.".startswith(f"{block}.") for path in node.meta.get("nn_module_stack", {}))


@torch.no_grad()
def _features(frozen: nn.Module, data, device, progress) -> list[torch.Tensor]:
    """What `frozen` returns for all training images: CPU tensors whose first axis is the image."""
    count = len(data.train_labels)
    kept: list[torch.Tensor] = []
    for start in range(0, count, FEATURE_BATCH):
        part = np.arange(start, min(start + FEATURE_BATCH, count))
        found = frozen(data.train_batch(part).to(device))
        if not kept:
            kept = [torch.empty((count, *x.shape[1:]), memory_format=_layout(x)) for x in found]
        for whole, x in zip(kept, found, strict=True):
            whole[start : start + len(part)] = x.cpu()
        if progress:
            progress("features", len(part))
    return kept


def _layout(x: torch.Tensor) -> torch.memory_format:
    return torch.channels_last if x.ndim == 4 else torch.contiguous_format
