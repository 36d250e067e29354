"""What BatchNorm's own parameters say of the inputs of convs, without an image."""

import torch
from torch import fx, nn
from torch.nn import functional as F

from asr_core.measure import absorption
from asr_core.networks import models

RELU_FUNCTIONS = (F.relu, F.relu_, torch.relu, torch.relu_)
RELU_METHODS = ("relu", "relu_")
SAME = (nn.Identity, nn.Dropout, nn.Dropout2d)  # of whose outputs, in eval mode, the means are those of their inputs


def input_means(model: nn.Module) -> dict[str, torch.Tensor]:
    """E[x] of each input channel of the convs whose input is the ReLU of a BatchNorm, by layer: float64.

    With scale s = |bn.weight| and shift beta = bn.bias a BatchNorm gives a normal variable of mean beta and standard
    deviation s, so that E[relu] = s phi(beta / s) + beta Phi(beta / s). Other convs, and all of a network that cannot
    be traced, are left out.
    """
    try:
        nodes = absorption.graph(model).nodes
    except Exception:  # whatever a forward raises on symbols
        return {}
    names = {id(module): name for name, module in model.named_modules()}
    found: dict[str, torch.Tensor] = {}
    unclear: set[str] = set()
    for node in nodes:
        module = _module(model, node)
        if not isinstance(module, nn.Conv2d):
            continue
        name, bn = names[id(module)], _rectified(model, node)
        if bn is None or name in found:  # a conv that runs twice has two inputs
            unclear.add(name)
        else:
            found[name] = _mean(bn)
    convs = models.conv_layers(model)
    return {name: mean for name, mean in found.items() if name in convs and name not in unclear}


def _module(model: nn.Module, node: fx.Node) -> nn.Module | None:
    return model.get_submodule(str(node.target)) if node.op == "call_module" else None


def _rectified(model: nn.Module, conv: fx.Node) -> nn.BatchNorm2d | None:
    """The BatchNorm whose ReLU the input of a conv is, or None."""
    node = _through(model, _input(conv))
    module = _module(model, node)
    relu = isinstance(module, nn.ReLU) or (node.op == "call_function" and node.target in RELU_FUNCTIONS)
    if not relu and not (node.op == "call_method" and node.target in RELU_METHODS):
        return None
    bn = _module(model, _through(model, _input(node)))
    return bn if isinstance(bn, nn.BatchNorm2d) and bn.affine else None


def _through(model: nn.Module, node: fx.Node) -> fx.Node:
    while isinstance(_module(model, node), SAME):
        node = _input(node)
    return node


def _input(node: fx.Node) -> fx.Node:
    """What a call is made with, by place or by keyword."""
    return node.all_input_nodes[0]


def _mean(bn: nn.BatchNorm2d) -> torch.Tensor:
    s, beta = bn.weight.detach().cpu().double().abs(), bn.bias.detach().cpu().double()
    normal = torch.distributions.Normal(torch.zeros((), dtype=torch.float64), 1.0)
    ratio = beta / s
    found = s * normal.log_prob(ratio).exp() + beta * normal.cdf(ratio)
    return torch.where(s > 0, found, beta.clamp(min=0))  # a scale of 0: beta itself
