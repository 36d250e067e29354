"""The passes that a repair measures in: from stored statistics alone, in one pass, or layer by layer.

Methods that ask for covariances or inputs look at both networks on the same images: then the dense network's outputs
are made first and kept, as long as they fit into memory.
"""

import copy
import warnings
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from asr_core import registry
from asr_core.errors import ModelError
from asr_core.measure import guards, inputs, signal, stats
from asr_core.networks import models
from asr_core.repairs.equations import Equations
from asr_core.repairs.repair_model import LayerRepair, apply_repairs, corrected, layer_repair
from asr_core.spec.repairs import RepairSpec

# A pass of one batch holds all statistics images; above this it goes layer by layer.
MAX_PIXELS = 256 * 224 * 224
MAX_BYTES = 2 << 30  # of the dense network's outputs that are kept
BATCH = 64  # images of a batch where it goes layer by layer


@dataclass
class Known:
    """What a method needs of the dense network, beside its statistics: the network, its convs' weights, E[x]."""

    network: Any
    weights: dict[str, torch.Tensor] = field(default_factory=dict)
    input_means: dict[str, torch.Tensor] = field(default_factory=dict)

    @classmethod
    def of(cls, dense: nn.Module, needs: Iterable[str]) -> "Known":
        """Whatever of it the `needs` of a method name."""
        found = cls(dense)
        if "weights" in needs:
            convs = models.conv_layers(dense)
            found.weights = {name: conv.weight.detach().cpu().double() for name, conv in convs.items()}
        if "batchnorm" in needs:
            found.input_means = inputs.input_means(dense)
        return found

    def facts(self, name: str) -> dict[str, Any]:
        """What is known of a layer without a pass, as fields of `Layer`."""
        return {"dense_weight": self.weights.get(name), "input_mean": self.input_means.get(name)}


class Measured:
    """What passes measure of one conv of the pruned network, and beside it of the dense one."""

    def __init__(self, conv: nn.Conv2d, needs: Iterable[str]):
        self.pruned: Any = None
        self.joint: Any = None
        self.equations = Equations(conv) if "inputs" in needs else None

    def add(self, output: torch.Tensor, given: torch.Tensor, dense: signal.Part | Any = None) -> None:
        """One run: output and input of the pruned conv, and the dense one's output."""
        if dense is None:
            new = stats.moments(output)
            self.pruned = new if self.pruned is None else self.pruned.merge(new)
        else:
            self.joint = self.joint or signal.Joint()
            self.joint.add(dense, output)
            self.pruned = self.joint.other
        if self.equations is not None:
            self.equations.add(given, dense.rows)

    def repaired(self, conv: nn.Conv2d, dense: stats.Moments, spec: RepairSpec, facts: dict) -> LayerRepair:
        """The repair of the conv."""
        measured = stats.Moments(self.pruned.count, self.pruned.mean.cpu(), self.pruned.m2.cpu())
        cov = None if self.joint is None else self.joint.cov.cpu()
        return layer_repair(conv, dense, measured, spec, cov=cov, equations=self.equations, **facts)


def compute_repairs(
    pruned: nn.Module,
    batch,
    spec: RepairSpec,
    dense_stats: dict,
    pruned_stats: dict | Any,
    dense: Any = None,
    left_out: Collection[str] = (),
) -> dict[str, LayerRepair]:
    """LayerRepair by layer for a network, in either order; `pruned` is not changed.

    `dense_stats`, `pruned_stats`: from stats.collect on the same images (`pruned_stats` is needed for
    order `simultaneous` only); `batch`: the statistics images as one tensor, for what needs a pass; `dense`: the dense
    network, for methods with `needs`; `left_out`: layers that no repair touches.
    """
    repaired_layers = list(dense_stats)[1 if spec.parameters["skip_first"] else 0 :]
    repaired_layers = [name for name in repaired_layers if name not in left_out]
    needs = registry.get("repair method", spec.method).needs
    known = Known.of(dense, needs) if needs else Known(None)
    if spec.order == "simultaneous" and not registry.get("repair method", spec.method).runs_both():
        convs = models.conv_layers(pruned)
        _check_ran(repaired_layers, pruned_stats)
        return {
            name: layer_repair(convs[name], dense_stats[name], pruned_stats[name], spec, **known.facts(name))
            for name in repaired_layers
        }
    way = _Way(pruned, batch, spec, dense_stats, repaired_layers, needs, known)
    if not way.fits():
        warnings.warn(
            f"{len(batch)} statistics images exceed one batch; {spec.order} repair goes layer by layer", stacklevel=2
        )
        return way.layer_by_layer()
    return way.in_one_pass()


def _check_ran(layers, ran) -> None:
    """Raise ModelError if one of the `layers`, which ran in the dense network, is not among those that `ran`."""
    if silent := [name for name in layers if name not in ran]:
        raise ModelError(
            f"conv {silent[0]} runs in the dense network but not in the pruned one; give a network and its pruned copy."
        )


@dataclass
class _Way:
    """One repair that needs passes over the statistics images."""

    pruned: nn.Module
    batch: torch.Tensor
    spec: RepairSpec
    dense_stats: dict[str, stats.Moments]
    layers: list[str]
    needs: tuple[str, ...]
    known: Known

    @property
    def both(self) -> bool:
        """Whether the dense network runs too."""
        return bool(registry.get("repair method", self.spec.method).runs_both())

    def fits(self) -> bool:
        """Whether all images fit into one batch, and the dense network's outputs of them into memory."""
        size = self.batch.element_size()
        outputs = sum(m.count * len(m.mean) * size for m in self.dense_stats.values()) if self.both else 0
        return self.batch.shape[0] * self.batch.shape[2] * self.batch.shape[3] <= MAX_PIXELS and outputs <= MAX_BYTES

    def in_one_pass(self) -> dict[str, LayerRepair]:
        """Each hook measures and fixes the repair; in sequential order it also gives the corrected output."""
        wanted, repairs, again = set(self.layers), {}, set()
        outputs = signal.outputs_of(self.known.network, self.batch, wanted) if self.both else {}

        def mend(name, conv, output, given=None):
            if name not in wanted:
                return None
            if name in repairs:
                again.add(name)
            else:
                measured = Measured(conv, self.needs)
                measured.add(output, given, self._dense(outputs, name, 0))
                outputs.pop(name, None)
                repairs[name] = measured.repaired(conv, self.dense_stats[name], self.spec, self.known.facts(name))
            return corrected(output, conv, repairs[name], given) if self.spec.order == "sequential" else None

        with stats.frozen(self.pruned), stats.hooked(self.pruned, mend):
            guards.forward(self.pruned, self.batch)
        if again:  # the dense statistics are of all runs of a conv, which one pass meets one after the other
            return self.layer_by_layer()
        _check_ran(self.layers, repairs)
        return repairs

    def _dense(self, outputs: signal.Outputs, name: str, run: int) -> Any:
        if not self.both:
            return None
        if run >= len(outputs.get(name, ())):
            raise ModelError(signal.OTHERWISE.format(name))
        return outputs[name][run]

    def layer_by_layer(self) -> dict[str, LayerRepair]:
        """With bounded memory: streamed passes of both networks for each layer."""
        model, repairs = copy.deepcopy(self.pruned), {}
        convs = models.conv_layers(model)
        for name in self.layers:
            measured = self._measured(model, name)
            _check_ran([name], [name] if measured.pruned is not None else [])
            repairs[name] = measured.repaired(convs[name], self.dense_stats[name], self.spec, self.known.facts(name))
            if self.spec.order == "sequential":
                apply_repairs(model, {name: repairs[name]})
        return repairs

    def _measured(self, model: nn.Module, layer: str) -> Measured:
        """One layer of `model`, over all batches and all runs of its conv."""
        found, shifts = Measured(models.conv_layers(model)[layer], self.needs), dict[str, torch.Tensor]()
        for batch in guards.batches(self.batch, BATCH):
            outputs, run = signal.outputs_of(self.known.network, batch, [layer], shifts) if self.both else {}, 0

            def add(name, conv, output, given=None, outputs=outputs):
                nonlocal run
                if name == layer:
                    found.add(output, given, self._dense(outputs, name, run))
                    run += 1

            with stats.frozen(model), stats.hooked(model, add):
                guards.forward(model, batch)
        return found
