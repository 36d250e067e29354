"""Entries of a state_dict by the names of the network that they are for, whatever wrapped the network when it was
saved."""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch

from asr_core.errors import WeightsError
from asr_core.networks.checkpoints import AVERAGED, clean, listed, some

WRAPPERS = ("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "module")  # torch's own parts of names
OUTER = ("model", "net", "network", "backbone", "encoder", "classifier")  # attributes of training scripts
BOOKKEEPING = ("n_averaged", "total_ops", "total_params")  # of AveragedModel and of counters of operations
AUXILIARY = ("AuxLogits.", "aux1.", "aux2.")  # heads of Inception and GoogLeNet that only training uses
DEPTH = 4  # parts of a prefix that may be taken off
OLD_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12])\.")
PARAMETRIZED = re.compile(r"parametrizations\.|_orig$|_mask$|weight_[guv]$")


@dataclass(frozen=True, eq=False)
class Folded:
    """An entry that is computed from others of the file, once its shape is known to fit."""

    shape: torch.Size
    tensor: Callable[[], torch.Tensor]


@dataclass(frozen=True, eq=False)
class Arranged:
    """entries: by the network's names; beside: what lies outside the network; notes: what was done, in words."""

    entries: dict[str, torch.Tensor | Folded]
    beside: list[str]
    notes: tuple[str, ...] = ()


def tracked(name: str) -> bool:
    """Whether it is BatchNorm's counter of batches, which changes no output."""
    return name.endswith("num_batches_tracked")


def arrange(entries: dict[str, torch.Tensor], own: dict[str, torch.Tensor]) -> Arranged:
    """`entries` by the names of `own`, the network's state_dict, where another name stands for one of them.

    Wrappers (`module.`, `_orig_mod.`, `model.` and others, in any order), old names of DenseNet, masks of
    torch.nn.utils.prune and weight_norm are undone. What fits no name stays as it is. Raises WeightsError where
    several networks of a file fit.
    """
    entries = _without_wrappers(entries, own)
    if any("denselayer" in name for name in own):
        entries = modern(entries)
    entries, notes = _folded(entries, own)
    prefix = _prefix(entries, own)
    inside = {name.removeprefix(prefix): tensor for name, tensor in entries.items() if name.startswith(prefix)}
    beside = [name for name in entries if not name.startswith(prefix)]
    if AVERAGED.search(prefix):
        notes.append(f"the averaged weights under {clean(prefix)} are taken")
    elif beside:
        notes.append(f"what lies beside the network is left out ({some('entries', beside)})")
    unused = [name for name in inside if name.startswith(AUXILIARY) and name not in own]
    if unused:
        notes.append(f"auxiliary heads are left out, which only training uses ({some('entries', unused)})")
    return Arranged({n: t for n, t in inside.items() if n not in unused}, beside, tuple(notes))


def modern(entries: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Entries of DenseNet by torchvision's present names: norm1 for norm.1."""
    return {OLD_DENSENET.sub(r"\1\2.", name): tensor for name, tensor in entries.items()}


def _without_wrappers(entries: dict, own: dict) -> dict:
    """Without parts that wrappers of torch put anywhere into names, unless the network has them itself."""
    parts = {part for name in own for part in name.split(".")}
    wrappers = set(WRAPPERS) - parts
    names = {name: ".".join(part for part in name.split(".") if part not in wrappers) for name in entries}
    if len(set(names.values())) < len(names):  # two would become one
        return entries
    dropped = set(BOOKKEEPING) - parts
    return {new: entries[name] for name, new in names.items() if new.rpartition(".")[2] not in dropped}


def _prefix(entries: dict, own: dict) -> str:
    """What stands before the network's names in the file: 'model.', 'ema_model.', ''."""
    needed = {name for name in own if not tracked(name)}
    counts: Counter[str] = Counter()
    for name in entries:
        parts = name.split(".")
        for depth in range(min(DEPTH, len(parts) - 1) + 1):
            if ".".join(parts[depth:]) in needed:
                counts["".join(f"{part}." for part in parts[:depth])] += 1
    most = max(counts.values(), default=0)
    tied = [prefix for prefix, count in counts.items() if count == most]
    averaged = [prefix for prefix in tied if AVERAGED.search(prefix)]
    if most == len(needed) and len(averaged or tied) > 1 and (averaged or "" not in tied):
        raise WeightsError(f"several networks of the file fit: {listed(averaged or tied)}; save the one that is meant")
    if not tied:
        return _outer(entries)
    return averaged[0] if averaged else "" if "" in tied else tied[0]


def _outer(entries: dict) -> str:
    """What scripts put before every name, where no name of the network is found after any."""
    prefix = ""
    while len(first := {name.removeprefix(prefix).partition(".")[0] for name in entries}) == 1 and first <= set(OUTER):
        prefix += f"{first.pop()}."
    return prefix


def _folded(entries: dict, own: dict) -> tuple[dict, list[str]]:
    """Entries with weights in place of the parts that pruning masks and weight_norm keep them in, and notes."""
    masked, normed = _masked(entries, own), _weight_normed(entries, own)
    used = {name for parts in (*masked.values(), *normed.values()) for name in parts}
    kept = {name: tensor for name, tensor in entries.items() if name not in used}
    notes = []
    for found, how, note in (
        (masked, torch.mul, "masks of torch.nn.utils.prune are folded in: the dense network has zeros where they have"),
        (normed, _norm_times, "weight_norm is folded in"),
    ):
        for name, parts in found.items():
            first, second = (entries[part] for part in parts)
            kept[name] = Folded(first.shape, partial(how, first, second))
        if found:
            notes.append(f"{note} ({len(found)} entries)")
    return kept, notes


def _masked(entries: dict, own: dict) -> dict[str, tuple[str, str]]:
    """Name -> names of its weights and of its mask, of one shape."""
    found = {}
    for name in entries:
        mask = f"{name.removesuffix('_orig')}_mask"
        if (
            name.endswith("_orig")
            and name not in own
            and mask in entries
            and entries[mask].shape == entries[name].shape
        ):
            found[name.removesuffix("_orig")] = (name, mask)
    return found


def _weight_normed(entries: dict, own: dict) -> dict[str, tuple[str, str]]:
    """Name -> names of its direction and its length, in the old or the new form of weight_norm."""
    found = {}
    for name in entries:
        if name in own:
            continue
        if name.endswith("_g"):
            parts = (f"{name.removesuffix('_g')}_v", name)
            target = name.removesuffix("_g")
        elif "parametrizations." in name and name.endswith(".original0"):
            base = name.removesuffix(".original0")
            parts, target = (f"{base}.original1", name), base.replace("parametrizations.", "")
            if any(other.startswith(f"{base}.") and other not in parts for other in entries):
                continue  # another parametrization besides
        else:
            continue
        if parts[0] in entries and _are_normed(*(entries[part] for part in parts)):
            found[target] = parts
    return found


def _are_normed(direction: torch.Tensor, length: torch.Tensor) -> bool:
    """Whether `length` is one number, or one for each index of one dimension of `direction`."""
    if length.ndim == 0:
        return True
    wide = [i for i in range(length.ndim) if length.shape[i] != 1]
    return length.ndim == direction.ndim and len(wide) <= 1 and all(length.shape[i] == direction.shape[i] for i in wide)


def _norm_times(direction: torch.Tensor, length: torch.Tensor) -> torch.Tensor:
    """weight_norm: w = g v / ||v||, the norm over all dimensions in which g is one."""
    wide = next((i for i in range(length.ndim) if length.shape[i] != 1), -1)
    return direction * (length / torch.norm_except_dim(direction, 2, wide))
