"""torchvision's networks with another stem or head."""

from contextlib import suppress
from typing import Any

import torch
import torchvision
from torch import nn

from asr_core.networks.models import meta_forward

# Without these torchvision warns, or builds training-only branches.
_ARGUMENTS = {
    "googlenet": {"aux_logits": False, "init_weights": True},
    "inception_v3": {"aux_logits": False, "init_weights": True, "transform_input": False},
}


def torchvision_network(architecture: str, params: dict, classes: int, image_size: int) -> nn.Module:
    """The classifier of that name with the stem and head of `params`; raises ValueError where torchvision refuses the
    size."""
    arguments: dict[str, Any] = dict(_ARGUMENTS.get(architecture, {}))
    if architecture == "maxvit_t":  # fixes its attention grids for a stem of stride 2
        side = image_size * 2 if params["stem"] in ("small", "small-pool") else image_size
        arguments["input_size"] = (side, side)
    if architecture.startswith("vit_"):  # embeds as many positions as an image has patches
        arguments["image_size"] = image_size
    network = torchvision.models.get_model(architecture, weights=None, num_classes=classes, **arguments).eval()
    if params["stem"] != "imagenet":
        _replace_stem(network, params["stem"], image_size)
    if params["head"] == "linear":
        _replace_head(network, classes)
    return network


def _stem(network: nn.Module, image_size: int) -> tuple[str, str | None]:
    """Names of the first conv that runs, and of the max-pool that runs before the second one (None without)."""
    order = []
    with suppress(RuntimeError, ValueError, AssertionError):  # later layers may not fit before the stem is replaced
        handles = [
            module.register_forward_pre_hook(lambda module, _, name=name: order.append((name, module)))
            for name, module in network.named_modules()
            if isinstance(module, (nn.Conv2d, nn.MaxPool2d))
        ]
        meta_forward(network, image_size)
    for handle in handles:
        handle.remove()
    (first, _), (second, module) = order[:2]
    return first, second if isinstance(module, nn.MaxPool2d) else None


def _replace_stem(network: nn.Module, stem: str, image_size: int):
    """First conv 3x3, of stride 2 for `half`, else 1; the max-pool of a stem that was strided goes but for
    `small-pool`."""
    stride = 2 if stem == "half" else 1
    name, pool = _stem(network, image_size)
    old = network.get_submodule(name)
    new = nn.Conv2d(3, old.out_channels, 3, stride, padding=1, bias=old.bias is not None)
    nn.init.kaiming_normal_(new.weight, mode="fan_out", nonlinearity="relu")
    network.set_submodule(name, new)
    if (
        pool and old.stride != (1, 1) and stem != "small-pool"
    ):  # VGG's first conv has stride 1, and its pools are stages
        network.set_submodule(pool, nn.Identity())


def _replace_head(network: nn.Module, classes: int):
    """One linear layer after global average pooling, where the classifier has more than one."""
    head = network.get_submodule(next(name for name in ("fc", "heads", "classifier") if hasattr(network, name)))
    linears = [module for module in head.modules() if isinstance(module, nn.Linear)]
    if len(linears) == 1:
        return
    features = linears[0].in_features
    if hasattr(network, "avgpool"):
        rows, columns = torch.nn.modules.utils._pair(network.avgpool.output_size)
        features //= rows * columns
        network.avgpool = nn.AdaptiveAvgPool2d(1)
    pooling = [module for module in head if isinstance(module, (nn.AdaptiveAvgPool2d, nn.Flatten))]
    network.classifier = nn.Sequential(*pooling, nn.Linear(features, classes))
