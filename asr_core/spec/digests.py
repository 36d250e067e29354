"""How a key is made: sha256 of the canonical JSON of a stage's name, its version and only what it depends on.

Device, threads and paths are runtime and never enter a key.
"""

import hashlib
import json
from dataclasses import fields, is_dataclass
from typing import Any

# Raise a stage's number when its meaning changes: old entries are then never found again.
STAGE_VERSIONS = {
    "images": 2,
    "order": 1,
    "dense": 1,
    "prune": 1,
    "stats": 1,
    "repair": 1,
    "recalibration": 1,
    "evaluation": 2,
    "maps": 2,
    "repairability": 1,
    "kernels": 1,
    "signal": 1,
    "factors": 1,
    "result": 1,
    "job": 1,
}


def canonical(value: Any) -> str:
    """Canonical JSON of a spec, dict or scalar: sorted keys, no spaces, no NaN."""

    def plain(item: Any) -> Any:
        if hasattr(item, "canonical"):  # it says itself what a key takes of it
            return item.canonical()
        if is_dataclass(item):  # not `asdict`: what lies within is asked in its turn what a key takes of it
            return {field.name: getattr(item, field.name) for field in fields(item)}
        return str(item)

    return json.dumps(value, default=plain, sort_keys=True, separators=(",", ":"), allow_nan=False)


def key(stage: str, *parts: Any) -> str:
    """Store key of `stage`: 24 hex digits of sha256 over name, version and `parts`."""
    text = canonical([stage, STAGE_VERSIONS[stage], *parts])
    return hashlib.sha256(text.encode()).hexdigest()[:24]
