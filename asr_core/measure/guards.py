"""What the public functions take: networks, images and labels are checked here, in one line each, before any pass.

Images are a tensor or array (N, C, H, W) of finite floats, normalised as the network expects, or an iterable of such
batches; of a batch (images, labels), as a DataLoader gives, the images are taken. Networks are nn.Modules whose convs
hold their own weights.
"""

import copy
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from asr_core.errors import AsrError, DataError, ModelError
from asr_core.networks import models, weightuse

Images = torch.Tensor | np.ndarray | Iterable[Any]  # what the public functions take
LAYOUT = "give a tensor (N, C, H, W) of floats, normalised as the network expects, or an iterable of such batches"
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
NO_IMAGES = "no images were given, so there is nothing to measure; give at least 2 (64 in the paper)."
NORMALISE = "give floats, normalised as the network expects: for bytes (images / 255 - mean) / std"


# --- networks ---


def network(model, convs: bool = True, batchnorm: bool = False) -> nn.Module:
    """The module itself: of one that is compiled or wrapped for several devices, what lies within.

    Raises ModelError for what is no network with data, for parts that were compiled on their own, for a network
    without convs (if `convs`), or without BatchNorm (if `batchnorm`).
    """
    if not isinstance(model, nn.Module):
        raise ModelError(f"the network is a {type(model).__name__}; give a torch.nn.Module.")
    model = models.unwrapped(model)
    if isinstance(model, torch.jit.ScriptModule):
        raise ModelError(f"{type(model).__name__} is TorchScript, whose layers are closed; give the Python network.")
    for name, part in model.named_modules():
        if models.compiled(part):
            raise ModelError(f"{name} was compiled on its own, so its layers cannot be watched; compile afterwards.")
    _check_data(model)
    if convs:
        models.check_network(model, batchnorm=batchnorm)
    return model


def _check_data(model: nn.Module) -> None:
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        if isinstance(tensor, nn.parameter.UninitializedTensorMixin):
            raise ModelError(f"{name} has no shape yet; run the network once on a batch of images.")
        if tensor.is_meta:
            raise ModelError(f"{name} is on the meta device and holds no numbers; load weights into the network.")


def copied(model: nn.Module) -> nn.Module:
    """A deep copy; raises ModelError for a network that cannot be copied, or whose copy would run the original."""
    weightuse.check_own_forwards(model)
    try:
        return copy.deepcopy(model)
    except Exception as error:
        raise ModelError(
            f"{type(model).__name__} cannot be copied ({_short(error)}); make computed weights permanent first, and "
            "keep no tensors with a gradient's history in it."
        ) from error


def own_weights(model: nn.Module, include_linear: bool = False, biases: bool = False, finite: bool = True) -> None:
    """Raise ModelError unless zeros and factors put into the weights of the convs are what the network computes with.

    include_linear: linear layers too; biases: also of the biases; finite: also refuse NaN and infinite weights (False
    for an outline without data).
    """
    layers = models.weight_layers(model, include_linear)
    for name, layer in layers.items():
        weightuse.check_held(name, layer, "weight")
        if biases:
            weightuse.check_held(name, layer, "bias")
        weightuse.check_numbers(name, layer, finite)
        weightuse.check_forward(name, layer)
    weightuse.check_single(model, layers)


def place(model: nn.Module) -> tuple[torch.device, torch.dtype | None]:
    """(device, dtype) of the network's first tensor of floats: where images have to be. On the CPU without any."""
    for tensors in (model.parameters(), model.buffers()):
        for tensor in tensors:
            if tensor.is_floating_point():
                return tensor.device, tensor.dtype
    return torch.device("cpu"), None


def forward(model: nn.Module, batch: torch.Tensor):
    """What the network makes of a batch, on its device and in its precision; what it raises becomes one ModelError
    line. The batch is copied: a network may work in place on its input."""
    try:
        return model(batch.to(*place(model), copy=True))
    except (AsrError, MemoryError):
        raise
    except Exception as error:
        raise ModelError(
            f"{type(model).__name__} cannot run on a batch of shape {tuple(batch.shape)} ({_short(error)}); give a "
            "network of one argument, and images of the channels and size that it was made for."
        ) from error


def _short(error: Exception) -> str:
    """The kind of an error and the first line of what it says."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__


# --- images and labels ---


def batches(images, size: int = 64) -> Iterator[torch.Tensor]:
    """The images in batches, checked; a whole tensor is checked before the first batch is given. Empty ones are left
    out."""
    return (batch for batch, _ in pairs(images, size))


def pairs(images, size: int = 64) -> Iterator[tuple]:
    """(images, labels or None) batch by batch, as `batches`."""
    if isinstance(images, (torch.Tensor, np.ndarray)):
        images = _checked(images, "images")
        _check_finite(images, "images", size)
        return ((part, None) for part in images.split(size) if len(part))
    iterable = isinstance(images, Iterable) or hasattr(images, "__getitem__")  # as a torch Dataset is
    if not iterable or isinstance(images, (str, bytes, Mapping)):
        raise DataError(f"images is a {type(images).__name__}; {LAYOUT}.")
    return _of_batches(images)


def _of_batches(images) -> Iterator[tuple]:
    for number, given in enumerate(images):
        batch, labels = _parted(given)
        batch = _checked(batch, f"batch {number}")
        _check_finite(batch, f"batch {number}")
        if len(batch):
            yield batch, labels


def _parted(given) -> tuple:
    """(images, labels or None) of what a loader gives: images, or a pair of them and something that is no images."""
    if isinstance(given, (tuple, list)) and given:
        others = [part for part in given[1:] if getattr(part, "ndim", 0) == 4]
        if isinstance(given[0], (torch.Tensor, np.ndarray)) and given[0].ndim == 4 and not others:
            return given[0], given[1] if len(given) == 2 else None
    return given, None


def _checked(images, name: str) -> torch.Tensor:
    """The images as a tensor; raises DataError for another type, shape or kind of numbers."""
    if isinstance(images, np.ma.MaskedArray):
        raise DataError(f"{name} is a masked array; fill its mask, or leave those images out.")
    if isinstance(images, np.ndarray) and images.dtype.kind in "biufc" and images.dtype.itemsize <= 16:
        images = images.astype(np.float64) if images.dtype == np.longdouble else images
        images = torch.from_numpy(np.require(images, images.dtype.newbyteorder("="), ["W", "C"]))
    if isinstance(images, Mapping):
        raise DataError(f"{name} is a mapping of {', '.join(map(str, images))}; {LAYOUT}.")
    if not isinstance(images, torch.Tensor):
        parts = f" of {len(images)}" if isinstance(images, (tuple, list)) else ""
        raise DataError(f"{name} is a {type(images).__name__}{parts}; {LAYOUT}.")
    if images.ndim != 4:
        one = "; for a single image add a first axis: images[None]" if images.ndim == 3 else ""
        raise DataError(f"{name} has shape {tuple(images.shape)}; {LAYOUT}{one}.")
    if images.layout != torch.strided or images.is_nested:
        raise DataError(f"{name} is a sparse or nested tensor; {LAYOUT}.")
    if images.dtype not in FLOATS:
        raise DataError(f"{name} holds {str(images.dtype).removeprefix('torch.')} numbers; {NORMALISE}.")
    return images.detach()


def _check_finite(images: torch.Tensor, name: str, size: int = 64) -> None:
    if images.is_meta:
        raise DataError(f"{name} is on the meta device and holds no numbers; {LAYOUT}.")
    if images.sum().isfinite():  # one NaN or infinite pixel makes it so too; sums of large pixels are looked at below
        return
    finite = torch.cat([part.isfinite().flatten(1).all(1) for part in images.split(size)])
    if not finite.all():
        bad = finite.logical_not().nonzero().flatten()
        raise DataError(
            f"{name}: {len(bad)} of {len(images)} images hold NaN or infinite pixels, the first is number "
            f"{int(bad[0])}; leave them out or mend them."
        )


def class_labels(labels) -> np.ndarray:
    """Labels as int64, shape (image,); raises DataError for what cannot be class indices."""
    try:
        found = labels.detach().cpu().to_dense() if isinstance(labels, torch.Tensor) else labels
        found = found.double() if isinstance(found, torch.Tensor) and found.dtype == torch.bfloat16 else found
        found = np.asarray(found)
    except ValueError:
        raise DataError("labels are lists of different lengths; give one class index per image.") from None
    if found.ndim > 2 or (found.ndim == 2 and found.shape[1] != 1):
        raise DataError(
            f"labels have shape {found.shape}; give one class index per image (of one-hot rows, argmax(1))."
        )
    if found.dtype.kind not in "biuf":
        raise DataError(f"labels hold {found.dtype} values; give class indices: whole numbers from 0.")
    found = found.reshape(-1)
    if len(wrong := found[~np.isfinite(found) | (found != np.floor(found)) | (found < 0)]):
        raise DataError(
            f"{len(wrong)} of {len(found)} labels are no class index, the first is {wrong[0]}; give whole numbers "
            "from 0."
        )
    return found.astype(np.int64)
