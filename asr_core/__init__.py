"""ASR Lens: what one-shot pruning breaks in a CNN, and what each training-free repair mends.

From a notebook: `load_weights`, `prune`, `repairability`, `channel_stats`, `repair_factors`, `repair`, `recalibrate`, `evaluate`,
`activation_maps`. They are imported on first use, so that reading stored tables never imports torch.
"""

import importlib

_HOMES = {
    "load_weights": "asr_core.weights",
    "prune": "asr_core.masks",
    "repairability": "asr_core.distortion",
    "channel_stats": "asr_core.stats",
    "repair_factors": "asr_core.repairing",
    "repair": "asr_core.repairing",
    "recalibrate": "asr_core.batchnorm",
    "evaluate": "asr_core.evaluation",
    "activation_maps": "asr_core.activations",
}
__all__ = list(_HOMES)


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError(f"module 'asr_core' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__():
    return sorted([*globals(), *__all__])
