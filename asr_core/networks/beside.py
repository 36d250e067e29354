"""What a network computes with that neither its graph nor its state_dict tells, in words that are the same in each
process: tensors and lists beside its weights, functions, hooks, and the code that its own layers are made of."""

import functools
import hashlib
import inspect
import sysconfig
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import CodeType, FunctionType, MethodType
from typing import Any

import torch
from torch import nn

DEEP = 6  # levels of lists, and of functions that functions hold
STANDARD = sysconfig.get_path("stdlib")
HOOKS = ("_forward_hooks", "_forward_pre_hooks")


def lines(network: nn.Module, traced: bool) -> list[str]:
    """A line for each such thing; none for a network of torch's layers and plain numbers. traced: a graph tells what
    modules with children do."""
    own = [(name, module) for name, module in network.named_modules() if not _is_torchs(type(module))]
    told = [(name, module) for name, module in own if not (traced and any(module.children()))]
    found = [line for name, module in network.named_modules() for line in _held(name, module)]
    return found + [f"{name} {line}" for name, module in told for line in _bases(module)]


def _is_torchs(kind: type) -> bool:
    return kind.__module__.partition(".")[0] in ("torch", "torchvision", "builtins")


def _held(name: str, module: nn.Module) -> Iterator[str]:
    """Of one module: tensors that no state_dict holds, lists and functions among its attributes, its hooks."""
    for key in sorted(module._non_persistent_buffers_set):
        if (tensor := module._buffers.get(key)) is not None:
            yield f"{name} {key} {_said(tensor)}"
    for key, value in sorted(vars(module).items()):
        if isinstance(value, torch.Tensor) or (not key.startswith("_") and _is_plain(value)):
            yield f"{name} {key} {_said(value)}"
    for kind in HOOKS:
        yield from (f"{name} {kind} {_said(hook)}" for hook in getattr(module, kind).values() if not _is_ours(hook))


def _is_ours(hook: Any) -> bool:
    """Whether it is this project's: that which picks the logits out of a network's outputs, for example."""
    return getattr(getattr(hook, "func", hook), "__module__", "").startswith("asr_core.")


def _is_plain(value: Any) -> bool:
    """Whether it is a list, dict, set or function that holds something, which a forward may use."""
    return bool(value) and isinstance(value, (list, dict, set, FunctionType, functools.partial))


def _bases(module: nn.Module) -> Iterator[str]:
    """The code of an own layer's class and of those that it is made from, with the globals that it uses."""
    for kind in type(module).__mro__:
        if not _is_torchs(kind):
            for key, value in sorted(vars(kind).items()):
                if isinstance(value, FunctionType):
                    yield f"{kind.__qualname__}.{key} {_said(value)}"


def _said(value: Any, deep: int = DEEP) -> str:
    """A value in words; of things that hold no numbers, their kind."""
    if isinstance(value, torch.Tensor):
        return f"{value.dtype} {tuple(value.shape)} {_bytes(value)}"
    if isinstance(value, (bool, int, float, complex, str, bytes, type(None))):
        return repr(value)
    if deep == 0:
        return type(value).__qualname__
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_said(each, deep - 1) for each in value)}]"
    if isinstance(value, (set, frozenset)):
        return f"{{{', '.join(sorted(_said(each, deep - 1) for each in value))}}}"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_said(k, deep - 1)}: {_said(v, deep - 1)}' for k, v in value.items())}}}"
    if isinstance(value, functools.partial):
        return f"partial {_said([value.func, value.args, value.keywords], deep - 1)}"
    if isinstance(value, MethodType):
        value = value.__func__
    return _function(value, deep) if isinstance(value, FunctionType) else _named(value)


def _named(value: Any) -> str:
    kind = value if isinstance(value, type) else type(value)
    return f"{kind.__module__}.{kind.__qualname__} {getattr(value, '__name__', '')}"


def _function(function: FunctionType, deep: int) -> str:
    """A function's code, and what it holds on to or uses of its module's numbers and functions."""
    if _is_library(function):
        return f"{function.__module__}.{function.__qualname__}"
    held = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).items()]
    for cell in function.__closure__ or ():
        with suppress(ValueError):  # of a name that is not bound yet
            held.append(cell.cell_contents)
    used = [(name, function.__globals__[name]) for name in _names(function.__code__) if name in function.__globals__]
    plain = [each for each in used if not inspect.ismodule(each[1])]
    return f"{_code(function.__code__)} {_said([held, plain], deep - 1)}"


def _is_library(function: FunctionType) -> bool:
    """Whether it comes with Python or an installed package: that is known by its name."""
    place = Path(function.__code__.co_filename)
    return bool({"site-packages", "dist-packages"} & set(place.parts)) or place.is_relative_to(STANDARD)


def _names(code: CodeType) -> list[str]:
    inner = [name for each in code.co_consts if isinstance(each, CodeType) for name in _names(each)]
    return sorted({*code.co_names, *inner})


def _code(code: CodeType) -> str:
    """Its instructions and constants."""
    constants = [_code(each) if isinstance(each, CodeType) else _said(each) for each in code.co_consts]
    return f"{hashlib.sha256(code.co_code).hexdigest()[:16]} {code.co_names} {constants}"


def _bytes(tensor: torch.Tensor) -> str:
    plain = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
    return hashlib.sha256(plain.numpy()).hexdigest()[:16]
