"""Networks by name: torchvision's classifiers and the CIFAR ResNets, their convs and BatchNorms, and their traced
graph."""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import torch
from torch import fx, nn
from torch.nn.modules.batchnorm import _BatchNorm

from asr_core.errors import ModelError, SpecError
from asr_core.networks import outputs

if TYPE_CHECKING:
    from asr_core.spec.model import ModelSpec


CHANNELS = 64  # of a layer, that are worked on at once


def build(model: ModelSpec, classes: int, image_size: int) -> nn.Module:
    """A randomly initialised network in eval mode, channels_last, taking (N, 3, image_size, image_size).

    Weights come from the current torch generator: the same torch.manual_seed gives the same
    network. Raises ModelError, before any image is computed, if the network cannot run at that size.
    """
    network = _untried(model, classes, image_size)
    _check_size(network, model, classes, image_size)
    return network


def _untried(model: ModelSpec, classes: int, image_size: int) -> nn.Module:
    """The network of `build`, which may not run at that size."""
    if model.columns and len(model.columns) != classes:
        raise SpecError(f"the class map has {len(model.columns)} classes, the images {classes}; give one for each.")
    try:
        network = model.chosen.build(model.architecture, model.parameters, model.outputs or classes, image_size).eval()
    except ValueError as error:  # attention grids, for example, are fixed while a network is built
        raise _cannot_run(model, image_size, error) from None
    outputs.shaped(network, model.logits, model.columns)
    return network.to(memory_format=torch.channels_last)


def outline(model: ModelSpec, classes: int, image_size: int) -> nn.Module:
    """The network of `build` without data in its tensors, where torch can make it so: to check, or to load weights
    into. Somebody else's code keeps its data: it may hold tensors that no state_dict knows."""
    return _outlined(build, model, classes, image_size)


def _outlined(make: Callable[..., nn.Module], model: ModelSpec, classes: int, image_size: int) -> nn.Module:
    if not model.chosen.foreign:
        with suppress(NotImplementedError, RuntimeError), torch.device("meta"):
            return make(model, classes, image_size)  # else its constructor computes with tensors
    with torch.random.fork_rng():
        return make(model, classes, image_size)


def with_weights(model: ModelSpec, classes: int, image_size: int, state: dict[str, torch.Tensor]) -> nn.Module:
    """The network of `build` with copies of the weights in `state`, of one that has run; nothing is initialised only to
    be overwritten."""
    network = _outlined(_untried, model, classes, image_size)
    own = network.state_dict()
    if {name for name, _ in [*network.named_parameters(), *network.named_buffers()]} - own.keys():
        network = build(model, classes, image_size)  # buffers that no state_dict holds
    network.load_state_dict({name: _laid_out(t, own[name].dtype) for name, t in state.items()}, assign=True)
    return network


def refill(model: nn.Module, state: dict[str, torch.Tensor]) -> nn.Module:
    """Put `state` into a network of the same layout, in the network's own memory; biases that a repair added go.
    Returns it."""
    for name, conv in conv_layers(model).items():
        if f"{name}.bias" not in state:
            conv.bias = None
    model.load_state_dict(state)
    return model


def unwrapped(model: nn.Module) -> nn.Module:
    """The network within one that is compiled or wrapped for several devices."""
    while True:
        if isinstance(model, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
            model = model.module
        elif hasattr(model, "_orig_mod"):  # torch.compile(model)
            model = model._orig_mod
        elif compiled(model):  # model.compile(): a shallow copy shares all but the compiled call
            model = copy.copy(model)
        else:
            return model


def compiled(module: nn.Module) -> bool:
    """Whether torch.compile was put over this module."""
    return hasattr(module, "_orig_mod") or getattr(module, "_compiled_call_impl", None) is not None


def _laid_out(tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """A copy in `dtype`, images and kernels channels_last: never a view of a file."""
    layout = torch.channels_last if tensor.ndim == 4 else torch.contiguous_format
    return tensor.to(dtype, memory_format=layout, copy=True)


def conv_layers(model: nn.Module) -> dict[str, Any]:
    """The layers whose output channels are measured and repaired, by name, in registration order: the convolutions; of
    a network with LayerNorm and without BatchNorm the linear layers too, an output feature being a channel and tokens
    being space, but for its head (the last one) and those inside an attention, which takes their weights itself."""
    modules = dict(model.named_modules())
    tokens = _token_layers(modules)
    return {name: module for name, module in modules.items() if isinstance(module, nn.Conv2d) or name in tokens}


def weight_layers(model: nn.Module, include_linear: bool = False) -> dict[str, Any]:
    """`conv_layers`, with `include_linear` all linear layers too, by name, in registration order."""
    own = conv_layers(model)
    return {
        name: module
        for name, module in model.named_modules()
        if name in own or (include_linear and isinstance(module, nn.Linear))
    }


def _token_layers(modules: dict[str, nn.Module]) -> set[str]:
    """Linear layers between the LayerNorms of a network without BatchNorm."""
    kinds = [type(module) for module in modules.values()]
    if not any(issubclass(k, nn.LayerNorm) for k in kinds) or any(issubclass(k, _BatchNorm) for k in kinds):
        return set()
    inside = tuple(f"{name}." for name, module in modules.items() if isinstance(module, nn.MultiheadAttention))
    linear = [name for name, module in modules.items() if isinstance(module, nn.Linear)]
    return {name for name in linear[:-1] if not (inside and name.startswith(inside))}


def batchnorms(model: nn.Module) -> dict[str, _BatchNorm]:
    """BatchNorm layers that keep running statistics, by name, in registration order."""
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, _BatchNorm) and module.running_mean is not None
    }


def in_parts(*tensors: torch.Tensor):
    """The same few output channels (the first axis) of all `tensors` at a time, so that copies of them stay small."""
    return zip(*(tensor.split(CHANNELS) for tensor in tensors), strict=True)


def check_network(model: nn.Module, batchnorm: bool = True):
    """Raise ModelError if `model` has no Conv2d, or no BatchNorm with running statistics (unless batchnorm=False)."""
    name = type(model).__name__
    if not conv_layers(model):
        raise ModelError(f"{name} has no Conv2d layer; pruning and repair work on convolutions: give a CNN.")
    if batchnorm and not batchnorms(model):
        raise ModelError(
            f"{name} has no BatchNorm layer that keeps running statistics, so there is nothing to recalibrate; "
            "use a network with BatchNorm, or skip recalibration."
        )


class _Tracer(fx.Tracer):
    """Convs, BatchNorms and modules without children are single nodes."""

    def is_leaf_module(self, module, name):
        opaque = isinstance(module, (nn.Conv2d, _BatchNorm)) or not any(module.children())
        return opaque or super().is_leaf_module(module, name)


def trace(model: nn.Module) -> fx.Graph:
    """The network's graph by symbolic tracing; raises whatever its forward raises on symbols.

    The caller owns the mode (train or eval) and any attribute its forward writes.
    """
    return _Tracer().trace(model)


def meta_forward(network: nn.Module, image_size: int, batch: int = 2) -> torch.Tensor:
    """Shapes only: parameters and buffers are replaced by ones without data, so nothing is computed or changed."""
    tensors = [*network.named_parameters(), *network.named_buffers()]
    shapes = {name: torch.empty_like(tensor, device="meta") for name, tensor in tensors}
    images = torch.empty(batch, 3, image_size, image_size, device="meta", dtype=_precision(network))
    with torch.no_grad():
        return torch.func.functional_call(network, shapes, (images,))


def _check_size(network: nn.Module, model: ModelSpec, classes: int, image_size: int):
    try:
        found = _tried(network, image_size)
    except outputs.Unlike as error:
        raise ModelError(str(error)) from None
    except Exception as error:
        raise _cannot_run(model, image_size, error) from None
    if not isinstance(found, torch.Tensor):
        raise ModelError(
            f"{model.architecture} returns {outputs.described(found)}; name its logits: --logits NAME_OR_INDEX."
        )
    if tuple(found.shape) != (2, classes):
        raise _cannot_run(
            model, image_size, f"it returns shape {tuple(found.shape)} for 2 images and {classes} classes"
        )


def _tried(network: nn.Module, image_size: int) -> Any:
    """What the network returns for 2 images: shapes only, or where its forward needs numbers, of zeros."""
    try:
        return meta_forward(network, image_size)
    except Exception:
        if any(tensor.is_meta for tensor in network.parameters()):
            raise
    with torch.no_grad():
        return network(torch.zeros(2, 3, image_size, image_size, dtype=_precision(network)))


def _precision(network: nn.Module) -> torch.dtype | None:
    """That of the network's first tensor of floats."""
    tensors = [*network.parameters(), *network.buffers()]
    return next((tensor.dtype for tensor in tensors if tensor.is_floating_point()), None)


def _cannot_run(model: ModelSpec, image_size: int, reason) -> ModelError:
    reason = model.chosen.reason(reason) if isinstance(reason, Exception) else str(reason)
    remedy = model.chosen.remedy(model.architecture, model.parameters)
    parts = ", ".join(f"{name} {value!r}" for name, value in model.parameters.items())
    named = f"{model.architecture} with {parts}" if parts else model.architecture
    return ModelError(f"{named} cannot run on {image_size}x{image_size} images ({reason}); use {remedy}.")
