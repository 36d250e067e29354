"""Store keys: sha256 of the canonical JSON of a stage's name, its version and only what it depends on.

Device, threads and paths are runtime and never enter a key.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields, is_dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from asr_core import registry
from asr_core.fields import Part
from asr_core.spec.recalibration import BatchNormState
from asr_core.spec.repairs import DENSE, RepairSpec

if TYPE_CHECKING:
    from asr_core.spec.experiment import ExperimentSpec


# Raise a stage's number when its meaning changes: old entries are then never found again.
STAGE_VERSIONS = {
    "images": 2,
    "dense": 1,
    "prune": 1,
    "stats": 1,
    "repair": 1,
    "recalibration": 1,
    "evaluation": 1,
    "maps": 2,
    "repairability": 1,
    "kernels": 1,
    "result": 1,
    "job": 1,
}


def canonical(value: Any) -> str:
    """Canonical JSON of a spec, dict or scalar: sorted keys, no spaces, no NaN."""

    def plain(item: Any) -> Any:
        if isinstance(item, Part):
            return item.canonical()
        if is_dataclass(item):  # not `asdict`: what lies within is asked in its turn what a key takes of it
            return {field.name: getattr(item, field.name) for field in fields(item)}
        return str(item)

    return json.dumps(value, default=plain, sort_keys=True, separators=(",", ":"), allow_nan=False)


def key(stage: str, *parts: Any) -> str:
    """Store key of `stage`: 24 hex digits of sha256 over name, version and `parts`."""
    text = canonical([stage, STAGE_VERSIONS[stage], *parts])
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def recipe_key(spec: ExperimentSpec) -> str:
    """Key of the dense network's recipe; the network itself is known by its `dense_id`."""
    return key("dense", spec.data, spec.model, spec.dense)


@dataclass(frozen=True)
class Keys:
    """Store keys of the stages of one experiment on the dense network `dense_id`; made once and passed on."""

    spec: ExperimentSpec
    dense_id: str

    @cached_property
    def dense(self) -> str:
        """Of the dense network on these images."""
        return key("dense", self.dense_id, self.spec.model, self.spec.data)

    @cached_property
    def images(self) -> dict[str, int]:
        """Which statistics images: what a key takes of them."""
        return {"stat_images": self.spec.calibration.stat_images, "draw": self.spec.calibration.draw}

    @cached_property
    def batches(self) -> dict[str, int]:
        """Which recalibration batches: what a key takes of them."""
        return {"calib_batch_size": self.spec.calibration.calib_batch_size, "draw": self.spec.calibration.draw}

    @cached_property
    def prune(self) -> str:
        """Of the masks, and of the pruned network."""
        return key("prune", self.dense, self.spec.prune, *([self.images] if measures(self.spec) else []))

    @cached_property
    def result(self) -> str:
        """Of the whole experiment's tables."""
        spec = self.spec
        return key("result", self.prune, spec.calibration, spec.evaluation, list(spec.repairs), list(spec.states))

    def network(self, network: RepairSpec) -> str:
        """Key of a network before recalibration: dense, pruned (no_repair, bn_only), or repaired."""
        if network == DENSE:
            return self.dense
        return key("repair", self.prune, self.images, network) if network.order else self.prune

    def of_state(self, state: BatchNormState) -> list[Any]:
        """What a BatchNorm state adds to a key."""
        return [state, self.batches] if state.calib_batches else [state]

    def stats(self, network: RepairSpec, state: BatchNormState) -> str:
        """Key of the channel statistics of a network in a BatchNorm state."""
        return key("stats", self.network(network), self.images, *self.of_state(state))

    def recalibration(self, network: RepairSpec) -> str:
        """Key of the recorded batch statistics of a network."""
        return key("recalibration", self.network(network), self.batches, self.spec.max_batches)

    def evaluation(self, network: RepairSpec, state: BatchNormState) -> str:
        """Key of the predictions of a network in a BatchNorm state."""
        return key("evaluation", self.network(network), self.spec.evaluation, *self.of_state(state))


def measures(spec: ExperimentSpec) -> bool:
    """Whether the pruning rule looks at the calibration images."""
    return registry.get("pruning rule", spec.prune.pruning).measures
