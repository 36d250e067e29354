"""Weights that come from elsewhere: torchvision's ImageNet weights, a user's file, and their identity."""

import hashlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import nn
from torch.nn.parameter import UninitializedTensorMixin

from asr_core.errors import WeightsError
from asr_core.networks import checkpoints, layouts, models


def load_imagenet(network: nn.Module, architecture: str) -> None:
    """Put torchvision's ImageNet weights (IMAGENET1K_V1 where it exists) into all but the last linear layer."""
    choices = torchvision.models.get_model_weights(architecture)
    weights = getattr(choices, "IMAGENET1K_V1", choices.DEFAULT)
    entries = _adapted(_downloaded(weights), architecture)
    head = [name for name, module in network.named_modules() if isinstance(module, nn.Linear)][-1]
    own = {name: tensor for name, tensor in network.state_dict().items() if name.rpartition(".")[0] != head}
    entries = {name: tensor for name, tensor in entries.items() if name in own}
    if problems := _misfits(own, entries):
        raise WeightsError(f"ImageNet weights {weights} do not fit {architecture}: {problems}.")
    network.load_state_dict(entries, strict=False)


def _downloaded(weights: Any) -> dict[str, torch.Tensor]:
    try:
        return weights.get_state_dict(progress=False, check_hash=True, map_location="cpu", weights_only=True)
    except Exception as error:  # no network, a broken download, a foreign file
        place = Path(torch.hub.get_dir()) / "checkpoints" / weights.url.rpartition("/")[2]
        raise WeightsError(
            f"ImageNet weights {weights} cannot be had ({checkpoints.short(error)}); download {weights.url} and "
            f"put it at {place}."
        ) from None


def _adapted(entries: dict[str, torch.Tensor], architecture: str) -> dict[str, torch.Tensor]:
    """Entries by torchvision's present names, for inputs in ImageNet's normalisation."""
    entries = layouts.modern(entries)
    if architecture in ("googlenet", "inception_v3"):  # trained on inputs scaled to [-1, 1]: x * scale + shift
        scale = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1) / 0.5
        shift = (torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1) - 0.5) / 0.5
        conv = next(name for name in entries if name.endswith("conv.weight"))
        mean = conv.replace("conv.weight", "bn.running_mean")
        entries[mean] = entries[mean] - (entries[conv] * shift).sum((1, 2, 3))
        entries[conv] = entries[conv] * scale
    return entries


@dataclass(frozen=True, eq=False)
class Fitted:
    """Weights of a file as a network takes them. entries: by its names, in its types, without counters of batches;
    notes: what was chosen or folded, in words; identity: `weights_identity` of the entries."""

    entries: dict[str, torch.Tensor]
    notes: tuple[str, ...]
    identity: str


def load_weights(model: nn.Module, path: Path | str) -> str:
    """Load a user's weights into `model`, in place; returns their identity (see `weights_identity`).

    The file is one of `suffixes.SUFFIXES`, read without running code: a state_dict, plain or under the keys and
    prefixes that training scripts use. Averaged weights (EMA) go before plain ones; what was chosen is warned of.
    Raises WeightsError, in one line, if the file cannot be read, its entries do not fit, or are not finite; the
    network is then as before.

    >>> from tempfile import TemporaryDirectory
    >>> network = nn.Linear(2, 2)
    >>> saved = {f"module.{name}": tensor for name, tensor in network.state_dict().items()}
    >>> with TemporaryDirectory() as folder:
    ...     torch.save({"state_dict": saved}, f"{folder}/best.pth.tar")
    ...     len(load_weights(network, f"{folder}/best.pth.tar"))
    16
    """
    if not isinstance(model, nn.Module) or not isinstance(path, (str, Path)):
        given = f"a {type(model).__name__} and a {type(path).__name__}"
        raise WeightsError(f"{given} were given; give a torch.nn.Module and the path of a file.")
    model = models.unwrapped(model)
    if any(isinstance(t, UninitializedTensorMixin) or t.is_meta for t in (*model.parameters(), *model.buffers())):
        raise WeightsError(
            f"{type(model).__name__} has tensors without data; run it once on images, off the meta device."
        )
    found = fitted(model, path)
    for note in found.notes:
        warnings.warn(f"{path}: {note}.", stacklevel=2)
    model.load_state_dict(found.entries, strict=False)  # only num_batches_tracked may be missing
    return found.identity


def fitted(model: nn.Module, path: Path | str) -> Fitted:
    """The weights of a file for `model`, which may be an outline and stays as it is; raises WeightsError as
    `load_weights`."""
    tried = [(item, *_arranged(model, item)) for item in checkpoints.read(path)]
    fits = [(item, found) for item, found, problem in tried if found and not problem]
    if not fits:
        item, _, problem = tried[0]
        raise WeightsError(f"{path} does not fit {type(model).__name__}{_under(item)}: {problem}")
    chosen, arranged = fits[0]
    made = [
        (item, _finite(found, model.state_dict(), path)) for item, found in fits if item.averaged == chosen.averaged
    ]
    names = {weights_identity(entries) for _, entries in made}
    if len(names) > 1:
        places = checkpoints.listed([item.place for item, _ in made])
        raise WeightsError(f"{path} holds several networks that fit: {places}; save the one that is meant.")
    return Fitted(made[0][1], (*_passed_over(tried, chosen), *arranged.notes), names.pop())


def _arranged(model: nn.Module, item: checkpoints.Found) -> tuple[layouts.Arranged | None, str]:
    """One state_dict of the file by the names of `model`, and what keeps it from being the network's, '' if nothing
    does."""
    own = model.state_dict()
    try:
        found = layouts.arrange(item.entries, own)
    except WeightsError as error:
        return None, str(error)
    if problems := _misfits(own, found.entries, found.beside):
        return found, f"{problems}. {_remedy(model, found)}"
    return found, ""


def _finite(found: layouts.Arranged, own: dict, path: Path | str) -> dict[str, torch.Tensor]:
    """The entries in the types of `own`; raises WeightsError for values that are no finite floats where those are
    needed."""
    entries, bad = {}, []
    for name, tensor in found.entries.items():
        if layouts.tracked(name):
            continue
        made = tensor.tensor() if isinstance(tensor, layouts.Folded) else tensor
        entries[name] = made.to(own[name].dtype)
        if made.is_floating_point() != own[name].is_floating_point() or not entries[name].isfinite().all():
            bad.append(name)
    if bad:
        what = checkpoints.some("of its entries", bad)
        raise WeightsError(f"{path} holds NaN, infinite or non-float values in {what}; give weights of finite floats.")
    return entries


def _passed_over(tried: list, chosen: checkpoints.Found) -> list[str]:
    """In words, that averaged weights are taken, or why they are not."""
    if chosen.averaged:
        return [f"the averaged weights under {checkpoints.clean(chosen.place)} are taken"]
    return [
        f"the averaged weights under {checkpoints.clean(item.place)} are not taken"
        f" ({problem.partition('. ')[0] if item.entries else 'they have no names'})"
        for item, _, problem in tried
        if item.averaged
    ]


def _under(item: checkpoints.Found) -> str:
    return f" (its {checkpoints.clean(item.place)})" if item.place else ""


def _misfits(own: dict, entries: dict, beside: Sequence[str] = ()) -> str:
    """What keeps `entries` from being the state_dict `own`, in words; '' if nothing does.

    beside: entries outside the network, which matter only where some of the network's are missing.
    """
    missing = [name for name in own if name not in entries and not layouts.tracked(name)]
    unexpected = [name for name in entries if name not in own] + (list(beside) if missing else [])
    shapes = [(name, tuple(entries[name].shape), tuple(own[name].shape)) for name in own if name in entries]
    misshaped = [f"{name} {there} where {here} is needed" for name, there, here in shapes if there != here]
    found = (("missing", missing), ("unexpected", unexpected), ("mis-shaped", misshaped))
    return "; ".join(checkpoints.some(kind, names) for kind, names in found if names)


def _remedy(model: nn.Module, found: layouts.Arranged) -> str:
    own = model.state_dict()
    head = [name for name, tensor in own.items() if name.endswith("weight") and tensor.ndim > 1][-1:]
    for name in head:
        there, here = found.entries[name].shape if name in found.entries else None, own[name].shape
        if there is not None and there[1:] == here[1:] and there[0] != here[0]:
            return f"Its head has {there[0]} classes, the images {here[0]}: use images of the same classes."
    if any(layouts.PARAMETRIZED.search(name) for name in found.entries if name not in own):
        return (
            "Take parametrizations off before saving: torch.nn.utils.parametrize.remove_parametrizations, "
            "remove_spectral_norm."
        )
    return "Choose the architecture, stem and head that the file was made with."


def weights_identity(state_dict: dict[str, torch.Tensor]) -> str:
    """16 hex digits of sha256 over the entries, sorted by name: name, dtype, shape, little-endian bytes.

    Device and memory format do not matter. BatchNorm's num_batches_tracked is left out: it changes no
    output, and files differ in whether they have it.
    """
    digest = hashlib.sha256()
    for name in sorted(state_dict):
        if not layouts.tracked(name):
            tensor = state_dict[name].detach().cpu().contiguous()
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
            digest.update(tensor.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()[:16]
