"""Networks and ways of recalibration in words, for legends and tables. Made at the edge, never read back."""

from collections.abc import Iterable
from typing import Any

from asr_core import registry
from asr_core.spec.model import ModelSpec
from asr_core.spec.recalibration import BatchNormState
from asr_core.spec.repairs import KIND, METHODS, RepairSpec

REFERENCES = {"dense": "dense", "no_repair": "no repair"}

STAGES = {
    "images": "decoding images",
    "dense": "training the dense network",
    "prune": "pruning",
    "stats": "channel statistics",
    "repair": "repair factors",
    "recalibration": "BatchNorm recalibration",
    "evaluation": "accuracy",
    "maps": "spatial maps",
    "repairability": "relative repairability",
    "signal": "signal",
}


def methods() -> list[str]:
    """Registered methods: the paper's in its order (LW, raw, ASR last), then others by name."""
    known = registry.names(KIND)
    return [name for name in METHODS if name in known] + [name for name in known if name not in METHODS]


def method_label(method: str) -> str:
    """Label of a method, or of the two reference networks."""
    return REFERENCES.get(method) or registry.get(KIND, method).label


def parts(model: ModelSpec) -> str:
    """All that can be changed of a network, in words: 'imagenet stem, torchvision head'."""
    return ", ".join(f"{value} {name}" for name, value in model.parameters.items())


def _words(network: RepairSpec) -> dict[str, str]:
    """What tells a repair from others of its method, in words, by column or parameter."""
    if not network.order:
        return {}
    known = registry.get(KIND, network.method).parameters
    bias = {"order": network.order, "bias": f"bias {'on' if network.bias else 'off'}"}
    return bias | {name: known[name].worded(value) for name, value in network.changed.items()}


def label(network: RepairSpec, but: Iterable[str] = ()) -> str:
    """A network in words, without what is in `but`.

    >>> label(RepairSpec.of("asr_bn", "sequential", True, prior="mean"))
    'ASR · sequential · bias on · prior variance mean'
    """
    return " · ".join([method_label(network.method), *(w for w in _words(network).values() if w not in set(but))])


def labels(networks: Iterable[RepairSpec]) -> tuple[dict[RepairSpec, str], str]:
    """(legend text of each network, what all repairs among them share: for the figure's subtitle).

    >>> labels([RepairSpec.of("lw_bn", bias=False), RepairSpec.of("asr_bn", bias=False)])[1]
    'simultaneous, bias off'
    """
    networks = list(networks)
    words = [set(_words(network).values()) for network in networks if network.order]
    common = set.intersection(*words) if words else set()
    shared = [word for network in networks for word in _words(network).values() if word in common]
    return {network: label(network, common) for network in networks}, ", ".join(dict.fromkeys(shared))


def recalibration(state: BatchNormState | Any) -> str:
    """How BatchNorm was recalibrated, in words; a row of a table has the same fields."""
    if state.calib_batches == 0:
        return "none"
    if state.averaging == "pseudo":
        return f"pseudo-count {state.pseudo_count}"
    named = ("cumulative", "forgetting")
    return state.averaging if state.averaging in named else f"ema {state.momentum:g} from {state.start}"
