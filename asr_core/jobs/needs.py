"""What jobs that wait or compute need of the store, so that keeping it within its bound takes nothing from them."""

from contextlib import suppress
from typing import Any

from asr_core.errors import AsrError
from asr_core.images import data
from asr_core.jobs import jobs
from asr_core.jobs.jobs import Wanted
from asr_core.pipeline import plan
from asr_core.store import Store, housekeeping, results
from asr_core.store.housekeeping import RECOMPUTED, Trimmed


class Emptied(Store):
    """A store as it would be without all that can be computed again."""

    def find(self, stage: str, key: str, holding: str | None = None) -> Any:
        return None if stage in RECOMPUTED else super().find(stage, key, holding)

    def has(self, stage: str, key: str, holding: str | None = None) -> bool:
        return stage not in RECOMPUTED and super().has(stage, key, holding)


def of(wanted: Wanted, store: Store) -> set[tuple[str, str]]:
    """(stage, key) of every entry of RECOMPUTED stages that the computation of `wanted` makes or reads."""
    spec = wanted.experiment
    dense_id = wanted.dense_id or results.dense_here(store, spec)
    every = plan.tasks(spec, dense_id, *data.counts(spec.data, store))
    every += wanted.tasks(Emptied(store.root))
    return {(task.stage, task.key) for task in every if task.stage in RECOMPUTED}


def of_jobs(store: Store) -> set[tuple[str, str]]:
    """The same of all jobs that wait or compute."""
    found: set[tuple[str, str]] = set()
    for job in jobs.listed(store):
        if job.live:
            with suppress(AsrError):  # it cannot be read, or its images are gone: it will fail
                found |= of(job.asked()[0], store)
    return found


def trim(store: Store, at_most: int | None = None) -> Trimmed | None:
    """Bring the local store to `at_most` bytes, or to the bound that the environment names; None where none is given.

    See `housekeeping.trim` for what goes. Raises SpecError for a bound that is no size.
    """
    limit = housekeeping.bound() if at_most is None else at_most
    return None if limit is None else housekeeping.trim(store, limit, of_jobs(store))
