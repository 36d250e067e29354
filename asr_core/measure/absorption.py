"""Which convs have their scale and shift absorbed by BatchNorm: found in the traced graph, not by name.

Where every consumer of a conv's output is a BatchNorm, replacing y by g*y + c (g > 0) changes nothing
once running statistics are fully re-estimated. Concatenation along channels, average pooling and
max-pooling commute with that, so the search looks through them.
"""

import copy

import pandas as pd
import torch
from torch import fx, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from asr_core.networks import models

# Ops that give the same scale and shift of each channel as they get, for any arguments.
_TRANSPARENT_MODULES = (
    nn.Identity,
    nn.AdaptiveAvgPool2d,
    nn.MaxPool2d,
    nn.AdaptiveMaxPool2d,
    nn.Dropout,
    nn.Dropout1d,
    nn.Dropout2d,
    nn.Dropout3d,
    nn.AlphaDropout,
    nn.FeatureAlphaDropout,
)
_TRANSPARENT_FUNCTIONS = (F.adaptive_avg_pool2d, F.max_pool2d, F.adaptive_max_pool2d, torch.clone, torch.detach)
_TRANSPARENT_METHODS = ("contiguous", "clone", "detach", "to", "float", "double")
NO_BATCHNORM = ("no", "the network has no BatchNorm")
_NO_VALUES = ("size", "dim", "shape", "ndim", "dtype", "device")  # read what a tensor is, not what it holds


def conv_index(model: nn.Module) -> pd.DataFrame:
    """One row per conv, in execution order (registration order where tracing fails).

    Columns: layer, depth (0 for the first), out_channels, in_channels, kernel ('3x3'), stride ('2x2'),
    groups, has_bias, weights (their number), absorbed ('yes', 'no', 'unknown'), reason. A conv that
    the traced forward never calls comes last. The network is not changed.
    """
    convs = models.conv_layers(model)
    try:
        nodes = graph(model).nodes
    except Exception as error:  # whatever a forward raises on symbols
        unclear = ("unknown", f"network cannot be traced: {_short(error)}")
        verdicts = dict.fromkeys(convs, unclear if models.batchnorms(model) else NO_BATCHNORM)
    else:
        calls = _calls(model, nodes)
        verdicts = {name: _verdict(model, calls, calls[name]) for name in calls if name in convs}
        verdicts |= {name: ("no", "never called") for name in convs if name not in verdicts}
    rows = [(name, depth, *_shape(convs[name]), *verdict) for depth, (name, verdict) in enumerate(verdicts.items())]
    columns = "layer depth out_channels in_channels kernel stride groups has_bias weights absorbed reason"
    return pd.DataFrame(rows, columns=columns.split())


def graph(model: nn.Module) -> fx.Graph:
    """The eval-mode graph, of a copy that shares all tensors: a forward may write attributes."""
    tensors = [*model.parameters(), *model.buffers()]
    return models.trace(copy.deepcopy(model, {id(tensor): tensor for tensor in tensors}).eval())


def _shape(conv: nn.Module) -> tuple:
    if isinstance(conv, nn.Linear):  # on every token alike, as a 1x1 conv
        return conv.out_features, conv.in_features, "1x1", "1x1", 1, conv.bias is not None, conv.weight.numel()
    assert isinstance(conv, nn.Conv2d)
    kernel, stride = ("x".join(map(str, pair)) for pair in (conv.kernel_size, conv.stride))
    bias = conv.bias is not None
    return conv.out_channels, conv.in_channels, kernel, stride, conv.groups, bias, conv.weight.numel()


def _short(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:120]


def _calls(model: nn.Module, nodes) -> dict[str, list[fx.Node]]:
    """The nodes that call each module, in order of first call; a shared module goes by its first name."""
    names = {id(module): name for name, module in model.named_modules()}
    calls: dict[str, list[fx.Node]] = {}
    for node in nodes:
        if node.op == "call_module":
            calls.setdefault(names[id(model.get_submodule(node.target))], []).append(node)
    return calls


def _verdict(model: nn.Module, calls: dict[str, list[fx.Node]], sources: list[fx.Node]) -> tuple[str, str]:
    """('yes' or 'no', reason) of the conv that runs at `sources`."""
    ends = _ends(model, sources)
    normalised = {node for node in ends if isinstance(_module(model, node), _BatchNorm)}
    if offenders := sorted({_describe(model, node) for node in ends - normalised}):
        return "no", f"feeds {', '.join(offenders)}"
    if not normalised:
        return "no", "its output is not used"
    for nodes in calls.values():  # one BatchNorm on several inputs mixes their statistics
        if normalised & set(nodes) and not normalised >= set(nodes):
            return "no", f"shares BatchNorm {nodes[0].target} with another input"
    return "yes", "every consumer is a BatchNorm"


def _ends(model: nn.Module, sources: list[fx.Node]) -> set[fx.Node]:
    """The first nodes on each path from `sources` that do not let scale and shift through."""
    ends: set[fx.Node] = set()
    seen: set[fx.Node] = set()
    todo = list(sources)
    while todo:
        users = set(todo.pop().users) - seen
        seen |= users
        for user in users:
            if _transparent(model, user):
                todo.append(user)
            elif not _reads_no_values(user):
                ends.add(user)
    return ends


def _module(model: nn.Module, node: fx.Node) -> nn.Module | None:
    return model.get_submodule(node.target) if node.op == "call_module" else None


def _transparent(model: nn.Module, node: fx.Node) -> bool:
    if node.op == "call_module":
        module = _module(model, node)
        if isinstance(module, nn.AvgPool2d):
            return _shifts_alike(module.padding, module.count_include_pad, module.divisor_override)
        return isinstance(module, _TRANSPARENT_MODULES)
    if node.op == "call_method":
        return node.target in _TRANSPARENT_METHODS
    if node.target in (torch.cat, torch.concat, torch.concatenate):
        return _argument(node, 1, "dim", 0) in (1, -3)
    if node.target in (F.dropout, F.dropout2d):
        return _argument(node, 2, "training", True) is False
    if node.target is F.avg_pool2d:
        padding, counted = _argument(node, 3, "padding", 0), _argument(node, 5, "count_include_pad", True)
        return _shifts_alike(padding, counted, _argument(node, 6, "divisor_override", None))
    return node.op == "call_function" and node.target in _TRANSPARENT_FUNCTIONS


def _shifts_alike(padding, count_include_pad: bool, divisor_override) -> bool:
    """Whether an average pool of y + c is that of y, plus c: not where zeros outside the image count."""
    padded = padding not in (0, (0, 0)) and count_include_pad
    return not padded and divisor_override is None


def _argument(node: fx.Node, position: int, name: str, default):
    return node.args[position] if len(node.args) > position else node.kwargs.get(name, default)


def _reads_no_values(node: fx.Node) -> bool:
    name = node.args[1] if node.target is getattr else node.target
    return name in _NO_VALUES and (node.op == "call_method" or node.target is getattr)


def _describe(model: nn.Module, node: fx.Node) -> str:
    """The op in a word: 'relu', 'add', 'the output'; a module with its name."""
    if node.op == "output":
        return "the output"
    if node.op == "call_module":
        return f"{type(_module(model, node)).__name__.lower()} ({node.target})"
    return node.target if isinstance(node.target, str) else node.target.__name__
