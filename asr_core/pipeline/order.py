"""In which order the stages of an experiment run: what somebody looks at first. Imports no torch."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from asr_core.pipeline.plan import Task
from asr_core.spec.experiment import ExperimentSpec
from asr_core.spec.keys import Keys
from asr_core.spec.recalibration import NO_STATE, BatchNormState
from asr_core.spec.repairs import DENSE, RepairSpec

BEGINNING = ("images", "dense", "prune")
OF_NETWORK = ("repair", "stats", "evaluation", "recalibration")  # before recalibration, then in the state

LAST = 3  # place of what nobody looks at


@dataclass(frozen=True)
class Sooner:
    """What a view shows: some repairs, in one BatchNorm state."""

    repairs: tuple[RepairSpec, ...]
    state: BatchNormState

    def as_dict(self) -> dict[str, Any]:
        """For JSON; `from_dict` reads it."""
        return {"repairs": [repair.columns for repair in self.repairs], "state": asdict(self.state)}

    @classmethod
    def from_dict(cls, found: dict[str, Any]) -> Self:
        """The inverse of `as_dict`, also after a trip through JSON."""
        state = {name: value for name, value in found["state"].items() if value is not None}
        return cls(tuple(RepairSpec.from_columns(**r) for r in found["repairs"]), BatchNormState.of(**state))

    def shows(self, task: Task) -> bool:
        """Whether it is needed for what is shown."""
        return self.place(task)[0] < LAST

    def place(self, task: Task) -> tuple[int, ...]:
        """Where a task stands among others: the beginning; the first statistics; the dense and the pruned network's
        accuracies; network by network what is shown of the repairs; all else."""
        if task.stage in BEGINNING:
            return (0,)
        plain = task.network.order is None and task.state == NO_STATE  # before recalibration BN only is no repair
        if plain and task.stage in ("stats", "evaluation"):
            return (1, OF_NETWORK.index(task.stage), int(task.network == DENSE))
        seen = task.state in (NO_STATE, self.state) and (task.stage != "recalibration" or task.state == self.state)
        if task.network not in self.repairs or task.stage not in OF_NETWORK or not seen:
            return (LAST,)
        late = task.stage == "recalibration" or task.state != NO_STATE
        step = {"recalibration": 0, "evaluation": 1, "stats": 2}.get(task.stage, 0)
        return (2, self.repairs.index(task.network), int(late), step if late else OF_NETWORK.index(task.stage))


def sooner(planned: Sequence[Task], first: Sooner, spec: ExperimentSpec, dense_id: str | None) -> list[Task]:
    """The tasks of `spec`, what `first` shows before all else; each still after what it is built from, and what is as
    urgent in the order that it had. A recorded pass that is shown becomes one just long enough, and its rest later."""
    return sorted(_split(planned, first, spec, Keys(spec, dense_id or "unknown")), key=first.place)


def _split(planned: Sequence[Task], first: Sooner, spec: ExperimentSpec, keys: Keys) -> Iterator[Task]:
    batches = first.state.calib_batches
    passes = batches * spec.calibration.calib_batch_size
    for task in planned:
        shown = task.stage == "recalibration" and task.network in first.repairs and first.state in spec.states
        if shown and batches:
            key = keys.recalibration(task.network, batches)
            yield replace(task, key=key, images=passes, state=first.state)
        if not shown or batches < spec.max_batches:
            yield replace(task, images=task.images - passes) if shown else task
