"""The kernel of one output channel before and after pruning and repair, read from stored weights. Imports no torch."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from asr_core.checks import nearest_layer
from asr_core.errors import SpecError, StoreError
from asr_core.spec.digests import key
from asr_core.spec.experiment import ExperimentSpec
from asr_core.spec.keys import Keys
from asr_core.spec.repairs import DENSE, NO_REPAIR, RepairSpec
from asr_core.store import Store
from asr_core.store.entries import WEIGHTS
from asr_core.store.results import Result
from asr_core.store.tables import networks


@dataclass(frozen=True, eq=False)
class Kernel:
    """Weights of one output channel: `of[network]` has shape (in, kH, kW), float64; dense first. A linear layer's are
    1x1: it takes the channels of each pixel, or token, alone.

    NO_REPAIR is the pruned kernel, and each repair's its factor gamma times the pruned one.
    """

    layer: str
    channel: int
    of: dict[RepairSpec, np.ndarray]

    @property
    def kept(self) -> int:
        """Weights that pruning left."""
        return int(np.count_nonzero(self.of[NO_REPAIR]))


def key_of(dense_id: str, layer: str) -> str:
    """Store key of the dense weights of one conv alone, which can be shipped where the whole network is not."""
    return key("kernels", dense_id, layer)


def read(spec: ExperimentSpec, store: Store, result: Result, layer: str, channel: int) -> Kernel:
    """The kernel of output channel `channel` of conv `layer`, dense, pruned and with the factors in `result`.

    Reads that layer's weights only. Raises SpecError for an unknown layer or channel, StoreError
    where the weights or the mask are not on this machine.
    """
    layers = list(result.convs["layer"])
    if layer not in layers:
        raise SpecError(nearest_layer(layer, layers))
    dense_id = result.setting["dense_id"]
    entry = store.find("dense", dense_id, WEIGHTS) or store.find("kernels", key_of(dense_id, layer))
    if entry is None:
        raise StoreError(
            f"the weights of dense network {dense_id[:8]} are not on this machine (shipped results can come "
            "without them)."
        )
    masks = store.find("prune", Keys(spec, dense_id).prune)
    if masks is None:
        raise StoreError(
            "which weights were pruned is not stored on this machine; computing the maps of any layer stores it."
        )
    dense = _weights(entry.path(WEIGHTS), f"{layer}.weight", channel)
    keep = _mask(masks.path("masks.npz"), layer, channel, dense.shape)
    kernels = {DENSE: dense, NO_REPAIR: dense * keep}
    rows = result.repairs
    rows = rows[(rows["layer"] == layer) & (rows["channel"] == channel)]
    factors = dict(zip(networks(rows), rows["gamma"], strict=True)) if "gamma" in rows else {}
    kernels |= {network: gamma * kernels[NO_REPAIR] for network, gamma in factors.items() if np.isfinite(gamma)}
    return Kernel(layer, channel, kernels)


def _weights(path: Path, name: str, channel: int) -> np.ndarray:
    """Weights (in, kH, kW) of one output channel, the rest of the file unread; raises SpecError for an unknown one."""
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        weight = file.get_slice(name)
        count = weight.get_shape()[0]
        if not 0 <= channel < count:
            raise SpecError(
                f"channel is {channel}; {name.removesuffix('.weight')} has {count} output channels, 0 to {count - 1}."
            )
        one = weight[channel : channel + 1][0].astype(np.float64)
        return one.reshape(len(one), *(one.shape[1:] or (1, 1)))  # of a linear layer, as of a 1x1 conv


def _mask(path: Path, layer: str, channel: int, shape: tuple[int, ...]) -> np.ndarray:
    """Which of one channel's weights stay, from the bits of its layer."""
    size = int(np.prod(shape))
    with np.load(path, allow_pickle=False) as file:
        bits = file[layer]
    first = channel * size
    part = np.unpackbits(bits[first // 8 : -(-(first + size) // 8)])
    return part[first % 8 : first % 8 + size].reshape(shape).astype(bool)
