"""Networks that somebody else's function builds: calling it, saying what it raised, and what the network does."""

import copy
import hashlib
import importlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable
from contextlib import redirect_stdout, suppress
from pathlib import Path
from typing import Any

import torch
from torch import fx, nn
from torch.nn.parameter import UninitializedTensorMixin

from asr_core.errors import ModelError
from asr_core.networks import beside, models, named
from asr_core.spec.model import ModelSpec, source_of
from asr_core.store.entries import digest_file

SIZES = {"num_classes": 0, "classes": 0, "image_size": 1, "img_size": 1}  # arguments that are given if they are taken


def built(name: str, classes: int, image_size: int) -> nn.Module:
    """What the function of that name returns, called with num_classes, classes, image_size where it takes them.

    Raises ModelError with the function's own message, file and line.
    """
    if (network := named.held(name)) is not None:
        return copy.deepcopy(network)
    function = _function(name)
    try:
        known = inspect.signature(function).parameters
        with redirect_stdout(sys.stderr):  # what it prints is no result
            network = function(**{word: (classes, image_size)[which] for word, which in SIZES.items() if word in known})
    except (Exception, SystemExit) as error:
        raise ModelError(f"own network {name} raised {said(error)}") from error
    if not isinstance(network, nn.Module):
        raise ModelError(f"own network {name} returned a {type(network).__name__}; return a torch.nn.Module.")
    network = models.unwrapped(network)
    if any(isinstance(tensor, UninitializedTensorMixin) for tensor in (*network.parameters(), *network.buffers())):
        raise ModelError(
            f"own network {name} has weights without a shape; run it once on images before it is returned."
        )
    return network


def said(error: BaseException) -> str:
    """An error of somebody else's code in one line: 'ValueError: no such depth (nets.py, line 12).'"""
    frames = traceback.extract_tb(error.__traceback__)
    ours = (str(Path(torch.__file__).parent), str(Path(__file__).parents[1]))
    theirs = [frame for frame in frames if not frame.filename.startswith((*ours, "<"))] or list(frames)
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__
    if isinstance(error, SyntaxError):
        return f"{text.rstrip('.')}."  # its own text says where
    return f"{text.rstrip('.')} ({Path(theirs[-1].filename).name}, line {theirs[-1].lineno})." if theirs else f"{text}."


def _function(name: str) -> Callable[..., Any]:
    reference = named.place(name)
    place, _, attribute = reference.rpartition(":")
    try:
        with redirect_stdout(sys.stderr):
            module = _of_file(Path(place)) if place.endswith(".py") else importlib.import_module(place)
    except (Exception, SystemExit) as error:
        raise ModelError(
            f"own network {name} cannot be imported: {said(error)} Where a module is missing, name its folder in "
            "PYTHONPATH."
        ) from error
    function = getattr(module, attribute, None)
    if not callable(function):
        there = [word for word, value in vars(module).items() if callable(value) and not word.startswith("_")]
        raise ModelError(f"{place} has no function {attribute}; it has {', '.join(there[:20]) or 'none'}.")
    return function


def _of_file(path: Path) -> Any:
    """The module of a file, executed once for each content; modules beside it can be imported from it."""
    name = f"asr_network_{path.stem}_{digest_file(path)[:12]}".replace("-", "_").replace(".", "_")
    if name in sys.modules:
        return sys.modules[name]
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def identity(name: str, classes: int, image_size: int) -> dict[str, Any]:
    """What a network of somebody else's code says of itself, as fields of `ModelSpec`: without_batchnorm, and of one's
    own network_digest: of what it does, whatever its weights, by its traced graph and the settings of each layer, else
    by its source. Raises ModelError."""
    source = source_of(name)
    with torch.random.fork_rng():
        network = source.build(name, source.defaults(), classes, image_size).eval()
    return {
        "network_digest": network_digest(network) if named.is_own(name) else None,
        "without_batchnorm": not models.batchnorms(network),
    }


def check_identity(model: ModelSpec, network: nn.Module) -> None:
    """Raise ModelError unless `network`, in eval mode, is what `model` says of it, see `identity`."""
    name, digest = model.architecture, model.network_digest
    if named.is_own(name) and (found := network_digest(network)) != digest:
        asked = f"not {digest}, which was asked" if digest else "and which was asked is not said"
        raise ModelError(
            f"own network {name} is now {found}, {asked}: its code has changed, or it is another one of the same name; "
            "choose it again."
        )
    if model.without_batchnorm == bool(models.batchnorms(network)):
        has, asked = ("no BatchNorm", "one with") if model.batchnorm else ("BatchNorm", "one without")
        raise ModelError(f"network {name} has {has} to recalibrate, and was asked as {asked}; choose it again.")


def network_digest(network: nn.Module) -> str:
    """16 hex digits of what a network in eval mode does (see `identity`).

    >>> first, second = (nn.Sequential(nn.Conv2d(3, 8, 3, stride=s), nn.ReLU()) for s in (1, 2))
    >>> network_digest(first) == network_digest(second)
    False
    """
    try:
        lines, traced = _graph(network), True
    except Exception:  # whatever a forward raises on symbols
        lines, traced = ["not traced", *map(_described, network.modules()), *_sources(network)], False
    lines += beside.lines(network, traced)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def _graph(network: nn.Module) -> list[str]:
    """A line for each step of the forward: what is called, on the results of which steps."""
    nodes = list(models.trace(network).nodes)
    places = {node: f"%{i}" for i, node in enumerate(nodes)}

    def plain(value: Any) -> str:
        return repr(fx.node.map_arg(value, lambda node: _Place(places[node])))

    lines = []
    for node in nodes:
        target = _described(network.get_submodule(node.target)) if node.op == "call_module" else _called(node.target)
        name = node.target if node.op == "call_module" else ""
        lines.append(f"{node.op} {name} {target} {plain(node.args)} {plain(node.kwargs)}")
    return lines


class _Place(str):
    """The result of a step, as it reads among arguments."""

    def __repr__(self) -> str:
        return str(self)


def _called(target: Any) -> str:
    return target if isinstance(target, str) else f"{getattr(target, '__module__', '')}.{target.__name__}"


def _described(module: nn.Module) -> str:
    """A module's kind and settings; of kinds that are not torch's own, their source too."""
    kind = type(module)
    plain = {n: v for n, v in sorted(vars(module).items()) if isinstance(v, (bool, int, float, str, tuple, type(None)))}
    plain = {n: v for n, v in plain.items() if n != "training" and not n.startswith("_")}
    source = ""
    if not kind.__module__.startswith("torch."):
        with suppress(OSError, TypeError):
            source = inspect.getsource(kind)
    return f"{kind.__module__ if not source else ''}.{kind.__qualname__} {module!r} {plain} {source}"


def _sources(network: nn.Module) -> list[str]:
    """The source of every kind of module that is not torch's own."""
    kinds = {type(module) for module in network.modules() if not type(module).__module__.startswith("torch.")}
    found = []
    for kind in sorted(kinds, key=lambda kind: kind.__qualname__):
        with suppress(OSError, TypeError):
            found.append(inspect.getsource(sys.modules[kind.__module__]))
    return sorted(set(found))
