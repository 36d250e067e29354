"""The stage `factors`: how far each channel's factor moves with the calibration draw."""

import pandas as pd

from asr_core.pipeline import factors
from asr_core.pipeline.kept import Kept
from asr_core.pipeline.lab import Lab, Report
from asr_core.pipeline.plan import stored
from asr_core.pipeline.stages import perform
from asr_core.runtime import Runtime
from asr_core.spec.draws import each
from asr_core.spec.experiment import ExperimentSpec
from asr_core.store import Store
from asr_core.store.tables import halved, with_network


def measure(
    spec: ExperimentSpec, store: Store, dense_id: str, draws: int, report: Report, where: Runtime
) -> pd.DataFrame:
    """Store and return the spread of the factors of `spec`'s repairs over calibration draws 0 to draws - 1, unless it
    is stored; so are the stages that each draw's factors come from.

    dense_id: of a network whose weights are here. Raises AsrError subclasses.
    """
    kept, facts = Kept(), {"setting": factors.setting_key(spec, dense_id), "dense_id": dense_id, "draws": draws}

    def compute():
        found = factors.spread(_of_one(Lab(one, store, report, where, kept), dense_id) for one in each(spec, draws))
        return {"spread.parquet": halved(found)}, facts

    name = factors.key_of(spec, dense_id, draws)
    return store.get_or_compute("factors", name, compute, spec.as_dict()).table("spread")


def _of_one(lab: Lab, dense_id: str) -> pd.DataFrame:
    """The factors of every repair of one draw, as a table of repairs."""
    lab.dense_id = dense_id
    needed = factors.tasks(lab.spec, dense_id, (len(lab.data.train_labels), len(lab.data.test_labels)))
    perform(lab, needed)
    made = {task.network: stored(lab.store, "repair", task.key) for task in needed if task.stage == "repair"}
    return pd.concat([with_network(entry.table("factors"), repair) for repair, entry in made.items()])
