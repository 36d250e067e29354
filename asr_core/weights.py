"""Weights that come from elsewhere: torchvision's ImageNet weights, a user's file, and their identity."""

import hashlib
import re
import warnings
from pathlib import Path

import torch
import torchvision
from torch import nn

from asr_core.errors import WeightsError

_CHECKPOINT_KEYS = ("state_dict", "model")  # where training scripts put a state_dict


def load_imagenet(network: nn.Module, architecture: str):
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


def _downloaded(weights) -> dict[str, torch.Tensor]:
    try:
        return weights.get_state_dict(progress=False, check_hash=True, map_location="cpu", weights_only=True)
    except Exception as error:  # no network, a broken download, a foreign file
        place = Path(torch.hub.get_dir()) / "checkpoints" / weights.url.rpartition("/")[2]
        raise WeightsError(
            f"ImageNet weights {weights} cannot be had ({_short(error)}); download {weights.url} and put it at {place}."
        ) from None


def _adapted(entries: dict[str, torch.Tensor], architecture: str) -> dict[str, torch.Tensor]:
    """Entries by torchvision's present names, for inputs in ImageNet's normalisation."""
    entries = {re.sub(r"(denselayer\d+\.(?:norm|conv))\.([12])\.", r"\1\2.", name): t for name, t in entries.items()}
    if architecture in ("googlenet", "inception_v3"):  # trained on inputs scaled to [-1, 1]: x * scale + shift
        scale = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1) / 0.5
        shift = (torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1) - 0.5) / 0.5
        conv = next(name for name in entries if name.endswith("conv.weight"))
        mean = conv.replace("conv.weight", "bn.running_mean")
        entries[mean] = entries[mean] - (entries[conv] * shift).sum((1, 2, 3))
        entries[conv] = entries[conv] * scale
    return entries


def load_weights(model: nn.Module, path: Path | str):
    """Load a user's state_dict into `model`, in place: .safetensors, or .pt/.pth without unpickling code.

    The state_dict may lie under `state_dict` or `model`, its names may begin with `module.`. Raises
    WeightsError, in one line, if the file cannot be read, its entries do not fit, or are not finite;
    the network is then as before.
    """
    path = Path(path)
    entries, own = _read(path), model.state_dict()
    if problems := _misfits(own, entries):
        raise WeightsError(f"{path} does not fit {type(model).__name__}: {problems}. {_remedy(model, entries)}")
    bad = [name for name, tensor in own.items() if name in entries and not _usable(entries[name], tensor)]
    if bad:
        found = _some("of its entries", bad)
        raise WeightsError(f"{path} holds NaN, infinite or non-float values in {found}; give weights of finite floats.")
    model.load_state_dict(entries, strict=False)  # only num_batches_tracked may be missing


def _read(path: Path) -> dict[str, torch.Tensor]:
    if path.suffix not in (".safetensors", ".pt", ".pth"):
        raise WeightsError(
            f"weights file {path} must end in .safetensors, .pt or .pth; save a state_dict as one of them."
        )
    try:
        content = _content(path)
        content = next((content[key] for key in _CHECKPOINT_KEYS if isinstance(content.get(key), dict)), content)
        if strange := [str(name) for name, value in content.items() if not _plain(name, value)]:
            raise TypeError(f"not plain tensors with names: {_some('entries', strange)}")
    except Exception as error:  # whatever a foreign file provokes
        raise WeightsError(
            f"weights file {path} cannot be read ({_short(error)}); "
            "give a state_dict saved as .safetensors or by torch.save."
        ) from None
    prefix = "module." if all(name.startswith("module.") for name in content) else ""
    return {name.removeprefix(prefix): tensor for name, tensor in content.items()}


def _plain(name, value) -> bool:
    dense = isinstance(value, torch.Tensor) and value.layout is torch.strided and not value.is_quantized
    return isinstance(name, str) and dense and not value.is_meta and not value.is_complex()


def _content(path: Path) -> dict:
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.load(path, map_location="cpu", weights_only=True)


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:160].rstrip(". ") or type(error).__name__


def _misfits(own: dict, entries: dict) -> str:
    """What keeps `entries` from being the state_dict `own`, in words; '' if nothing does."""
    missing = [name for name in own if name not in entries and not name.endswith("num_batches_tracked")]
    unexpected = [name for name in entries if name not in own]
    shapes = [(name, tuple(entries[name].shape), tuple(own[name].shape)) for name in own if name in entries]
    misshaped = [f"{name} {there} where {here} is needed" for name, there, here in shapes if there != here]
    found = (("missing", missing), ("unexpected", unexpected), ("mis-shaped", misshaped))
    return "; ".join(_some(kind, names) for kind, names in found if names)


def _some(kind: str, names: list[str], shown: int = 5) -> str:
    return f"{len(names)} {kind}: {', '.join(names[:shown])}{', ...' if len(names) > shown else ''}"


def _remedy(model: nn.Module, entries: dict) -> str:
    linears = [(name, module) for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    name, head = linears[-1] if linears else ("", None)
    there = entries.get(f"{name}.weight")
    if there is not None and there.shape[1:] == head.weight.shape[1:] and len(there) != head.out_features:
        return f"Its head has {len(there)} classes, the images {head.out_features}: use images of the same classes."
    return "Choose the architecture, stem and head that the file was made with."


def _usable(there: torch.Tensor, here: torch.Tensor) -> bool:
    same_kind = there.is_floating_point() == here.is_floating_point()
    return same_kind and bool(there.float().isfinite().all())


def weights_identity(state_dict: dict[str, torch.Tensor]) -> str:
    """16 hex digits of sha256 over the entries, sorted by name: name, dtype, shape, little-endian bytes.

    Device and memory format do not matter. BatchNorm's num_batches_tracked is left out: it changes no
    output, and files differ in whether they have it.
    """
    digest = hashlib.sha256()
    for name in sorted(state_dict):
        if not name.endswith("num_batches_tracked"):
            tensor = state_dict[name].detach().cpu().contiguous()
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
            digest.update(tensor.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()[:16]
