"""Equal budgets: repairs without recalibration and BN only, over the training images that each has seen."""

import pandas as pd

from asr_core.figures import TESTED, Chart, NothingToDraw, curves
from asr_core.report.sentences import accuracies
from asr_core.spec.recalibration import NOTHING
from asr_core.spec.repairs import BN_ONLY
from asr_core.store.results import Result
from asr_core.studies import budgets


def equal_table(result: Result, repairs=(), more=()) -> pd.DataFrame:
    """budgets.table of `result` and of `more` results of its dense network, with label, line, x, seeds."""
    if not result.batchnorm:
        raise NothingToDraw(f"{NOTHING} So no repair is set against recalibration alone.")
    same = [found for found in more if found.setting["dense_id"] == result.setting["dense_id"]]
    found = budgets.table([result, *same], repairs)
    if budgets.compared(found).empty:
        raise NothingToDraw("No repair without recalibration and BN only are stored at an equal number of images.")
    made = curves.lined(found.assign(x=found["images"].astype(float), seeds=1, over="seeds"))
    alone = made["method"].eq(BN_ONLY.method)
    return made.assign(line=made["label"].where(~alone, made["label"] + " · cumulative"))


EQUAL = Chart(
    "budgets.EQUAL", equal_table, curves.curves_figure, accuracies.equal, curves.curves_limits, wide=True, counts=TESTED
)
