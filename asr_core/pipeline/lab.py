"""What the stages of one experiment share: its data, its dense network, and one network at a time built from the
store."""

import time
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
import torch

from asr_core import runtime
from asr_core.errors import StoreError, WeightsError
from asr_core.images import data
from asr_core.measure import stats
from asr_core.networks import known_weights, models, resume, train, weights
from asr_core.pipeline.kept import Kept
from asr_core.pipeline.plan import EVAL_BATCH, EVAL_BATCH_ELSEWHERE, Task, stored
from asr_core.pruning import masks
from asr_core.repairs import batchnorm, repair_model
from asr_core.runtime import Runtime
from asr_core.spec.experiment import ExperimentSpec
from asr_core.spec.keys import Keys, recipe_key
from asr_core.spec.model import ModelSpec
from asr_core.spec.recalibration import NO_STATE
from asr_core.spec.repairs import DENSE, RepairSpec
from asr_core.store import Store, results
from asr_core.store.entries import WEIGHTS

KEPT_IMAGES = 8 << 20  # bytes of normalised test images that are kept from one evaluation to the next


class Report:
    """Hears of progress; this base class ignores it all."""

    def planned(self, missing: list[Task]) -> None:
        """The stages that will be computed."""

    def started(self, task: Task) -> None:
        """A stage begins."""

    def advance(self, images: int) -> None:
        """`images` more passes of the present stage are done."""

    def resumed(self, images: int) -> None:
        """`images` passes of the present stage were done before, by a run that was stopped."""
        self.advance(images)

    def finished(self, task: Task) -> None:
        """A stage is stored."""

    def count(self, stage: str, images: int) -> None:
        """Adapter for functions that report (stage, images)."""
        self.resumed(images) if stage == "resumed" else self.advance(images)


class Lab:
    """What the stages of one experiment share. Data and networks are loaded on first use, and only then; kept: by the
    process, from experiments before."""

    def __init__(self, spec: ExperimentSpec, store: Store, report: Report, where: Runtime, kept: Kept | None = None):
        self.kept = kept or Kept()
        self.spec, self.store, self.report, self.runtime = spec, store, report, where
        self.device = where.start()
        self._built: tuple[str, Any] = ("", None)
        self._recorded: tuple[str, batchnorm.Record] = ("", {})
        self._kept: batchnorm.Running = {}
        self.references: Any = None  # of the dense network's outputs, once a stage has made them
        self._weights: dict[str, torch.Tensor] = {}  # of the dense network, mapped from their file
        self._masks: dict[str, torch.Tensor] = {}
        self._tests: list[torch.Tensor] = []  # batches of normalised test images, where they are few

    @cached_property
    def data(self) -> data.Dataset:
        images, where = self.spec.data, self.runtime.data_dir
        known_by = (self.store.root, self.store.stamp("images"), images, where)
        return self.kept.get("images", known_by, lambda: data.load(images, self.store, self.report.count, where))

    @property
    def layout(self) -> tuple[ModelSpec, int, int]:
        """What networks of one layout have in common."""
        return self.spec.model, self.spec.data.classes, self.spec.data.image_size

    @cached_property
    def outline(self) -> torch.nn.Module:
        """The network without data in its tensors, to check; nobody changes it."""
        return self.kept.get("outline", self.layout, lambda: models.outline(*self.layout))

    @cached_property
    def dense_id(self) -> str:
        return ensure_dense(self)

    @cached_property
    def keys(self) -> Keys:
        return Keys(self.spec, self.dense_id)

    @cached_property
    def stat_batch(self) -> torch.Tensor:
        return self.data.stat_batch(self.spec.calibration.stat_images, self.spec.calibration.draw)

    @cached_property
    def eval_indices(self) -> np.ndarray:
        """Which test images an evaluation sees."""
        return self.data.eval_indices(self.spec.evaluation.eval_images, self.spec.evaluation.subset)

    def test_batches(self) -> Iterator[torch.Tensor]:
        """The test images of an evaluation, normalised, batch by batch: once for all evaluations where they take at
        most KEPT_IMAGES bytes."""
        if self._tests:
            yield from self._tests
            return
        found, count = [], len(self.eval_indices)
        size = EVAL_BATCH if self.device.type == "cpu" else EVAL_BATCH_ELSEWHERE
        for start in range(0, count, size):
            batch = self.data.test_batch(self.eval_indices[start : start + size])
            if batch[0].nbytes * count <= KEPT_IMAGES:
                found.append(batch)
            yield batch
        self._tests = found

    def own_weights(self, model: torch.nn.Module) -> weights.Fitted:
        """The user's weights for `model`, an outline is enough; raises WeightsError if they are not here or are
        others."""
        asked = self.spec.dense.weights_digest
        path = self.runtime.weights or known_weights.weights_file(self.store, str(asked))
        found = weights.fitted(model, path)
        if found.identity != asked:
            raise WeightsError(
                f"{path} holds the weights {found.identity}, not {asked} that were asked; give that file."
            )
        return found

    def check_own_weights(self, outline: torch.nn.Module) -> None:
        """Refuse weights of the user's own that cannot be used, unless the dense network is stored; raises
        WeightsError."""
        if self.spec.dense.source == "file" and results.dense_here(self.store, self.spec) is None:
            self.own_weights(outline)

    def network(self, network: RepairSpec) -> torch.nn.Module:
        """The dense, pruned or repaired network as it is before recalibration, on the device, eval mode.

        Only one is held: the next one asked for is built in its memory, from the dense weights and the stored masks.
        """
        name = self.keys.network(network)
        if self._built[0] != name:
            model = self._unrepaired(network)
            if network.order:
                entry = stored(self.store, "repair", name)
                kept = entry.weights(repair_model.KEPT) if entry.has(repair_model.KEPT) else None
                repair_model.apply_repairs(model, repair_model.repairs_from_table(entry.table("factors"), kept))
            self._built, self._kept = (name, model), batchnorm.running_of(model)
            runtime.give_back_memory()
        return batchnorm.load_running(self._built[1], self._kept)

    def _unrepaired(self, network: RepairSpec) -> torch.nn.Module:
        """The dense or the pruned network; what is held is given up, or is it."""
        (name, model), self._built = self._built, ("", None)
        if network != DENSE and name == self.keys.prune:
            return batchnorm.load_running(model, self._kept)
        model = self._dense(model)
        if network == DENSE:
            return model
        if not self._masks:
            self._masks = masks.unpack(stored(self.store, "prune", self.keys.prune).arrays("masks"), model)
        return masks.apply_masks(model, self._masks)

    def _dense(self, into: torch.nn.Module | None) -> torch.nn.Module:
        """The dense network: `into` or what the process kept, refilled, or a new one."""
        if not self._weights:
            entry = self.store.find("dense", self.dense_id, WEIGHTS)
            if entry is None:
                raise StoreError(
                    f"the weights of dense network {self.dense_id} are gone; run again to train a new one."
                )
            self._weights = entry.weights()
        known_by = (*self.layout, self.device)
        into = into or self.kept.find("network", known_by)
        if into is not None:
            return models.refill(into, self._weights)
        return self.kept.get(
            "network", known_by, lambda: models.with_weights(*self.layout, self._weights).to(self.device)
        )

    def stored_stats(self, network: RepairSpec) -> dict[str, stats.Moments]:
        """Channel moments of the dense or pruned network, from the store."""
        entry = stored(self.store, "stats", self.keys.stats(network, NO_STATE))
        return stats.from_table(entry.table("channels"), entry["count"])

    def in_state(self, task: Task) -> torch.nn.Module:
        """The task's network with the running statistics of its BatchNorm state."""
        model = self.network(task.network)
        if task.state.calib_batches == 0:
            return model
        whole, short = (self.keys.recalibration(task.network, b) for b in (None, task.state.calib_batches))
        recorded = self.recorded(whole if self.store.has("recalibration", whole) else short)
        return batchnorm.load_running(model, batchnorm.running_statistics(recorded, task.state, self._kept))

    def begun_record(self, network: RepairSpec, count: int) -> batchnorm.Record:
        """The longest stored record of a network's first batches, fewer than `count`; empty where there is none."""
        budgets = {state.calib_batches for state in self.spec.states}
        for batches in sorted((b for b in budgets if 0 < b < count), reverse=True):
            if entry := self.store.find("recalibration", self.keys.recalibration(network, batches)):
                return entry.arrays("record")
        return {}

    def recorded(self, key: str) -> batchnorm.Record:
        """The recorded batch statistics stored under `key`; the last one read is kept."""
        if self._recorded[0] != key:
            self._recorded = (key, stored(self.store, "recalibration", key).arrays("record"))
        return self._recorded[1]


def ensure_dense(lab: Lab) -> str:
    """Identity of a dense network of the recipe that has its weights here; trained now if there is none."""
    spec, store = lab.spec, lab.store
    with store.lock("dense", recipe_key(spec)):
        for dense_id in results.dense_ids(store, spec, with_weights=True):
            if store.find("dense", dense_id, WEIGHTS):
                return dense_id
        lab.report.started(Task("dense", recipe_key(spec), 0, kind="train"))
        start = time.perf_counter()
        model, facts = train_dense(lab)
        state = {name: tensor.cpu() for name, tensor in model.state_dict().items()}
        dense_id = weights.weights_identity(state)
        facts |= {"recipe": recipe_key(spec), "dense_id": dense_id, **runtime.facts(lab.device)}
        store.put("dense", dense_id, {WEIGHTS: state}, facts, spec.dense.values(), time.perf_counter() - start)
    return dense_id


def train_dense(lab: Lab) -> tuple[torch.nn.Module, dict]:
    """The dense network of the recipe, and facts for its manifest."""
    spec, count = lab.spec, lab.report.count
    kept = resume.Kept(lab.store, recipe_key(spec))
    if spec.dense.source == "scratch":
        return train.train_scratch(spec.model, spec.dense, lab.data, lab.device, count, kept)
    if spec.dense.source == "imagenet":
        return train.finetune(spec.model, spec.dense, lab.data, lab.device, count, kept)
    model = models.build(spec.model, spec.data.classes, spec.data.image_size)
    found = lab.own_weights(model)
    model.load_state_dict(found.entries, strict=False)  # a file can come without num_batches_tracked
    return model, {"notes": found.notes}
