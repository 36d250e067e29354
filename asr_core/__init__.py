"""ASR Lens: what one-shot pruning breaks in a CNN, and what each training-free repair mends.

From a notebook: `load_weights`, `prune`, `repairability`, `channel_stats`, `repair_factors`, `repair`, `recalibrate`,
`evaluate`, `signal`, `activation_maps`, and `study` for all of it at once. They are imported on first use, so that
reading stored tables never imports torch.
"""

import importlib

_HOMES = {
    "load_weights": "asr_core.networks.weights",
    "prune": "asr_core.pruning.masks",
    "repairability": "asr_core.pruning.repairability",
    "channel_stats": "asr_core.measure.stats",
    "repair_factors": "asr_core.repairs.repairing",
    "repair": "asr_core.repairs.repairing",
    "recalibrate": "asr_core.repairs.batchnorm",
    "evaluate": "asr_core.measure.evaluation",
    "signal": "asr_core.measure.signal",
    "activation_maps": "asr_core.measure.activations",
    "study": "asr_core.pipeline.study",
}
__all__ = list(_HOMES)


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError(f"module 'asr_core' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__():
    return sorted([*globals(), *__all__])
