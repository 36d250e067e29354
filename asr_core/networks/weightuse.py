"""Whether a layer computes with the weights that it holds: only then do zeros and factors put into them last."""

from collections.abc import Iterator
from contextlib import suppress
from types import FunctionType
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from asr_core.errors import ModelError

_PERMANENT = {
    "weight_norm": "torch.nn.utils.remove_weight_norm(layer)",
    "spectral_norm": "torch.nn.utils.remove_spectral_norm(layer)",
    "masks of torch.nn.utils.prune": "torch.nn.utils.prune.remove(layer, '{}')",
    "a parametrisation": "torch.nn.utils.parametrize.remove_parametrizations(layer, '{}')",
    "other tensors": "make it an nn.Parameter of the layer",
}


def check_held(name: str, layer: nn.Module, what: str) -> None:
    """Raise ModelError if the layer's `what` (weight or bias) is no parameter of its own but computed at each pass."""
    if what in layer._parameters:
        return
    how = _computed_by(layer, what)
    remedy = _PERMANENT[how].format(what)
    raise ModelError(
        f"the {what} of {name} is computed at each pass from {how}, so what is put into it is lost; make it "
        f"permanent first: {remedy}."
    )


def _computed_by(layer: nn.Module, what: str) -> str:
    if what in getattr(layer, "parametrizations", ()):
        return "a parametrisation"
    if f"{what}_mask" in layer._buffers:
        return "masks of torch.nn.utils.prune"
    if f"{what}_g" in layer._parameters:
        return "weight_norm"
    return "spectral_norm" if f"{what}_u" in layer._buffers else "other tensors"


def check_numbers(name: str, layer: nn.Module, finite: bool) -> None:
    """Raise ModelError for weights that are no floats, or (if `finite`) are NaN or infinite."""
    weight = layer.weight.detach()
    if not weight.is_floating_point():
        raise ModelError(
            f"the weights of {name} are {str(weight.dtype).removeprefix('torch.')}; give a network of floats."
        )
    if finite and (wrong := weight.numel() - int(weight.isfinite().sum())):
        raise ModelError(
            f"{wrong} of {weight.numel()} weights of {name} are NaN or infinite; give a network of finite weights."
        )


def check_single(model: nn.Module, layers: dict[str, nn.Module]) -> None:
    """Raise ModelError if the weight of one of the `layers` is also a parameter of another module."""
    users: dict[int, list[str]] = {}
    for name, module in model.named_modules():
        for own, parameter in module._parameters.items():
            if parameter is not None:
                users.setdefault(id(parameter), []).append(f"{name}.{own}".lstrip("."))
    for layer in layers.values():
        if len(names := users[id(layer.weight)]) > 1:
            raise ModelError(
                f"{' and '.join(names)} are one tensor, which would be pruned and scaled once for each; "
                "give every layer a copy of its own."
            )


def check_forward(name: str, layer: nn.Module) -> None:
    """Raise ModelError if a layer with a forward of its own does not give the plain conv (or linear map) of its
    weight."""
    if not _has_own_forward(layer):
        return
    seen: list[Any] = []
    output = None
    with suppress(Exception), torch.no_grad(), _Watch(seen):
        output, weight = _trial(layer)
    if len(seen) == 1 and torch.equal(seen[0][0], weight) and torch.equal(seen[0][1], output):
        return
    raise ModelError(
        f"{name} is a {type(layer).__name__} whose forward does more than apply its weight (weight "
        "standardisation, for example), so zeros and factors put into the weight are not what it computes with; use "
        "plain layers."
    )


def _has_own_forward(layer: nn.Module) -> bool:
    plain = nn.Conv2d if isinstance(layer, nn.Conv2d) else nn.Linear
    return any(
        method in vars(layer) or getattr(type(layer), method, None) is not getattr(plain, method, None)
        for method in ("forward", "_conv_forward")
    )


class _Watch(TorchFunctionMode):
    """Notes the weight and the output of each conv and linear map."""

    def __init__(self, seen: list):
        super().__init__()
        self.seen = seen

    def __torch_function__(self, func, types, args=(), kwargs=None):
        output = func(*args, **(kwargs or {}))
        if func in (F.conv2d, F.linear):
            weight = args[1] if len(args) > 1 else kwargs["weight"]
            self.seen.append((weight, output))
        return output


def _trial(layer: nn.Module) -> tuple[torch.Tensor, torch.Tensor]:
    """(output, weight) of the layer's forward on a small input, all its tensors replaced by random ones on the CPU."""
    draw = torch.Generator().manual_seed(0)
    tensors = {name: torch.randn(t.shape, generator=draw) for name, t in layer.named_parameters()}
    tensors |= {name: torch.rand(t.shape, generator=draw) for name, t in layer.named_buffers() if t.is_floating_point()}
    given, bare = torch.randn(_input_shape(layer), generator=draw), _Bare(layer)
    output = torch.func.functional_call(bare, {f"layer.{name}": t for name, t in tensors.items()}, (given,))
    return output, tensors["weight"]


class _Bare(nn.Module):
    """Runs a layer's forward without its hooks."""

    def __init__(self, layer: nn.Module):
        super().__init__()
        self.layer = layer

    def forward(self, given):
        return self.layer.forward(given)


def _input_shape(layer: nn.Module) -> tuple[int, ...]:
    if isinstance(layer, nn.Linear):
        return 1, layer.in_features
    side = max(gap * (kernel - 1) for kernel, gap in zip(layer.kernel_size, layer.dilation, strict=True))
    return 1, layer.in_channels, side + 3, side + 3


def check_own_forwards(model: nn.Module) -> None:
    """Raise ModelError if a function that a module holds (a forward put over it, an attribute, a hook) or a forward of
    its class reaches for the network itself by name: a copy would run the original."""
    modules = {id(module) for module in model.modules()}
    for name, module in model.named_modules():
        for kind, function in _functions(module):
            if any(id(_owner(each)) in modules for each in _reached(function)):
                raise ModelError(
                    f"the {kind} of {name or 'the network'} calls the network's own layers, so a copy would run the "
                    "original ones; write it as the forward of a class that calls its own."
                )


def _functions(module: nn.Module) -> Iterator[tuple[str, FunctionType]]:
    """What it is, and each function that a module's attributes, containers and hooks hold, and its class's forward."""
    for key, value in vars(module).items():
        held = list(value.values()) if isinstance(value, dict) else value
        for each in held if isinstance(held, (list, tuple)) else (held,):
            if isinstance(each, FunctionType):
                yield ("hook" if key.endswith("_hooks") else key), each
    if isinstance(forward := type(module).forward, FunctionType):
        yield "forward", forward


def _reached(function: FunctionType) -> list:
    """What a function holds on to: closed over, as defaults, or by global names."""
    held = [cell.cell_contents for cell in function.__closure__ or ()] + list(function.__defaults__ or ())
    return held + [function.__globals__[name] for name in function.__code__.co_names if name in function.__globals__]


def _owner(thing):
    """The object of a bound method; else the thing itself."""
    return getattr(thing, "__self__", thing)
