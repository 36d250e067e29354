"""The experiment as a capable reader of the paper would script it: the other side of the benchmark.

torch.nn.utils.prune for the masks, hooks that keep whole activations, one forward per layer for
sequential repair, one recalibration per start, averaging and budget, a DataLoader for every pass,
PyTorch's default memory format. No needless copies, no gradients. It follows the same definitions
(eq. 1 to 10, floor, eps) as asr_core and uses none of its code. What asr_core computes beside the
accuracies (statistics of the repaired networks, tables, a store) is left out, in this side's favour.
"""

import copy
from dataclasses import dataclass, field
from itertools import product

import torch
from torch import nn
from torch.nn.utils import prune
from torch.utils.data import DataLoader, Dataset, Subset

EPS, FLOOR = 1e-8, 1e-12
METHODS = ("bn_only", "lw_bn", "raw_bn", "asr_bn")
ORDERS = ("simultaneous", "sequential")
AVERAGINGS = (("reset", "ema"), ("keep", "ema"), (None, "cumulative"))


@dataclass(frozen=True)
class Setting:
    """What to compute. train, test: data sets of (image (3, H, W), label), normalised; the index lists
    say which images of them, in which order."""

    train: Dataset
    test: Dataset
    stat_indices: list[int]
    calib_indices: list[int]
    eval_indices: list[int]
    sparsity: float
    methods: tuple[str, ...] = METHODS
    budgets: tuple[int, ...] = (10, 20, 30, 50)
    momentum: float = 0.1
    calib_batch_size: int = 128
    eval_batch_size: int = 256
    workers: int = 0


@dataclass
class Outcome:
    """masks and factors by layer; predictions (image,) by (method, order, bias, start, averaging, b)."""

    masks: dict
    factors: dict = field(default_factory=dict)
    predictions: dict = field(default_factory=dict)


@torch.no_grad()
def run(dense: nn.Module, setting: Setting) -> Outcome:
    """The whole grid on `dense` (eval mode, default memory format), which is not changed."""
    pruned, masks = prune_globally(dense, setting.sparsity)
    outcome = Outcome(masks)
    evaluation = loader(setting.test, setting.eval_indices, setting.eval_batch_size, setting.workers, keep=True)
    for state, found in recalibrations(dense, evaluation, setting):
        outcome.predictions["dense", None, None, *state] = found
    outcome.predictions["no_repair", None, None, None, None, 0] = predict(pruned, evaluation)
    count = len(setting.stat_indices)
    images = next(iter(loader(setting.train, setting.stat_indices, count, 0)))[0]
    dense_stats, pruned_stats = statistics(dense, images), statistics(pruned, images)
    for method in setting.methods:
        for order, bias in [(None, None)] if method == "bn_only" else product(ORDERS, (False, True)):
            if order is None:
                model = pruned
            elif order == "simultaneous":
                model, outcome.factors[method, order, bias] = repaired(pruned, method, bias, dense_stats, pruned_stats)
            else:
                model, outcome.factors[method, order, bias] = repaired_in_turn(
                    pruned, method, bias, dense_stats, images
                )
            for state, found in recalibrations(model, evaluation, setting):
                outcome.predictions[method, order, bias, *state] = found
    return outcome


def recalibrations(model: nn.Module, evaluation: DataLoader, setting: Setting):
    """((start, averaging, b), predictions) without recalibration, then for each way and budget."""
    yield (None, None, 0), predict(model, evaluation)
    for (start, averaging), b in product(AVERAGINGS, setting.budgets):
        indices = setting.calib_indices[: b * setting.calib_batch_size]
        batches = loader(setting.train, indices, setting.calib_batch_size, setting.workers)
        yield (
            (start, averaging, b),
            predict(recalibrated(model, batches, start, averaging, setting.momentum), evaluation),
        )


def loader(images: Dataset, indices, batch_size: int, workers: int, keep: bool = False) -> DataLoader:
    """Batches of the chosen images in the given order; `keep` lets the workers live between passes."""
    return DataLoader(Subset(images, indices), batch_size, num_workers=workers, persistent_workers=keep and workers > 0)


def convs(model: nn.Module) -> dict[str, nn.Conv2d]:
    """Convolutions by name."""
    return {name: module for name, module in model.named_modules() if isinstance(module, nn.Conv2d)}


def prune_globally(dense: nn.Module, sparsity: float) -> tuple[nn.Module, dict]:
    """A pruned copy and its masks (True: kept)."""
    model = copy.deepcopy(dense)
    layers = convs(model)
    pairs = [(conv, "weight") for conv in layers.values()]
    prune.global_unstructured(pairs, pruning_method=prune.L1Unstructured, amount=sparsity)
    masks = {name: conv.weight_mask.bool() for name, conv in layers.items()}
    for conv in layers.values():
        prune.remove(conv, "weight")
    return model, masks


@torch.inference_mode()
def predict(model: nn.Module, batches: DataLoader) -> torch.Tensor:
    """Predicted classes, shape (image,)."""
    return torch.cat([model(images).argmax(1) for images, _ in batches])


@torch.inference_mode()
def statistics(model: nn.Module, images: torch.Tensor, layers=None) -> dict:
    """(mean, variance) per channel of the outputs of `layers` (all convs by default), by name."""
    outputs = {}
    wanted = {name: conv for name, conv in convs(model).items() if layers is None or name in layers}
    handles = [
        conv.register_forward_hook(lambda _, __, output, name=name: outputs.update({name: output}))
        for name, conv in wanted.items()
    ]
    model(images)
    for handle in handles:
        handle.remove()
    return {name: (y.mean((0, 2, 3)), y.var((0, 2, 3), unbiased=False)) for name, y in outputs.items()}


def factor(method: str, v_dense: torch.Tensor, v_pruned: torch.Tensor) -> torch.Tensor:
    """gamma of one layer, shape (channel,): eq. 1 (lw_bn), eq. 4 (raw_bn), eq. 5-8 (asr_bn)."""
    ones, alive = torch.ones_like(v_pruned), v_pruned > FLOOR
    if method == "lw_bn":
        if v_pruned.mean() <= FLOOR:
            return ones
        return ones * (v_dense.mean().clamp(min=FLOOR) / (v_pruned.mean() + EPS)).sqrt()
    raw = torch.where(alive, (v_dense.clamp(min=FLOOR) / (v_pruned + EPS)).sqrt(), ones)
    if method == "raw_bn":
        return raw
    prior_var = v_pruned.median()
    if prior_var <= FLOOR:
        return ones
    return 1 + v_pruned / (v_pruned + prior_var) * (raw - 1)


def mend(conv: nn.Conv2d, method: str, bias: bool, dense: tuple, pruned: tuple) -> torch.Tensor:
    """Scale the weights of `conv` and, with `bias`, correct its mean; returns gamma."""
    (mu_dense, v_dense), (mu_pruned, v_pruned) = dense, pruned
    gamma = factor(method, v_dense, v_pruned)
    conv.weight *= gamma.view(-1, 1, 1, 1)
    if bias:
        old = 0 if conv.bias is None else conv.bias
        conv.bias = nn.Parameter(mu_dense - gamma * (mu_pruned - old))
    return gamma


def repaired(pruned: nn.Module, method: str, bias: bool, dense_stats: dict, pruned_stats: dict) -> tuple:
    """A copy with all layers but the first repaired from statistics collected once, and the factors."""
    model = copy.deepcopy(pruned)
    later = list(convs(model).items())[1:]
    return model, {name: mend(conv, method, bias, dense_stats[name], pruned_stats[name]) for name, conv in later}


def repaired_in_turn(pruned: nn.Module, method: str, bias: bool, dense_stats: dict, images: torch.Tensor) -> tuple:
    """A copy with each layer but the first repaired after those before it: one forward per layer."""
    model, factors = copy.deepcopy(pruned), {}
    for name, conv in list(convs(model).items())[1:]:
        now = statistics(model, images, {name})
        factors[name] = mend(conv, method, bias, dense_stats[name], now[name])
    return model, factors


def recalibrated(model: nn.Module, batches: DataLoader, start, averaging: str, momentum: float) -> nn.Module:
    """A copy whose BatchNorm statistics were re-estimated on all of `batches`."""
    model = copy.deepcopy(model)
    for bn in (module for module in model.modules() if isinstance(module, nn.BatchNorm2d)):
        bn.train()
        bn.momentum = None if averaging == "cumulative" else momentum
        if start != "keep":
            bn.reset_running_stats()
    with torch.inference_mode():
        for images, _ in batches:
            model(images)
    return model.eval()
