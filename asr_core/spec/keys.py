"""Store keys of the stages of one experiment."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from asr_core import registry
from asr_core.spec.digests import key
from asr_core.spec.recalibration import BatchNormState
from asr_core.spec.repairs import DENSE, RepairSpec

if TYPE_CHECKING:
    from asr_core.spec.experiment import ExperimentSpec


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

    def recalibration(self, network: RepairSpec, batches: int | None = None) -> str:
        """Key of the recorded batch statistics of a network: of as many batches as the experiment needs, or so many."""
        return key("recalibration", self.network(network), self.batches, batches or self.spec.max_batches)

    def evaluation(self, network: RepairSpec, state: BatchNormState) -> str:
        """Key of the predictions of a network in a BatchNorm state."""
        return key("evaluation", self.network(network), self.spec.evaluation, *self.of_state(state))


def measures(spec: ExperimentSpec) -> bool:
    """Whether the pruning rule looks at the calibration images."""
    return registry.get("pruning rule", spec.prune.pruning).measures
