"""Equal budgets: repairs without recalibration and BN only, over the training images that each has seen."""

import pandas as pd

from asr_core.figures import Chart, NothingToDraw, curves
from asr_core.spec import labels
from asr_core.spec.repairs import BN_ONLY
from asr_core.store.results import Result
from asr_core.studies import budgets


def equal_table(result: Result, repairs=(), more=()) -> pd.DataFrame:
    """budgets.table of `result` and of `more` results of its dense network, with label, line, x, seeds."""
    same = [found for found in more if found.setting["dense_id"] == result.setting["dense_id"]]
    found = budgets.table([result, *same], repairs)
    if budgets.compared(found).empty:
        raise NothingToDraw(
            "No repair without recalibration and BN only are stored at an equal number of images; compute them below."
        )
    made = curves.lined(found.assign(x=found["images"].astype(float), seeds=1))
    alone = made["method"].eq(BN_ONLY.method)
    return made.assign(line=made["label"].where(~alone, made["label"] + " · cumulative"))


def equal_sentence(table: pd.DataFrame) -> str:
    """From which number of images on BN only is ahead of the best repair."""
    wide = budgets.compared(table)
    repairs = wide.drop(columns=[BN_ONLY])
    best, alone = repairs.max(axis=1), wide[BN_ONLY]
    parts = []
    for count in dict.fromkeys((wide.index[0], wide.index[-1])):
        name = labels.label(repairs.loc[count].idxmax())
        parts.append(f"{count} images: {name} {100 * best[count]:.1f} %, BN only {100 * alone[count]:.1f} %")
    ahead = [count for count in wide.index if best[count] > alone[count]]
    verdict = {
        0: "BN only is ahead of every repair at each of them",
        len(wide): "the best repair is ahead of BN only at each of them",
    }
    some = f"the best repair is ahead at {', '.join(map(str, ahead))} images, BN only at the others"
    return f"At equal budgets ({len(wide)} compared), {verdict.get(len(ahead), some)}. {'; '.join(parts)}."


EQUAL = Chart("budgets.EQUAL", equal_table, curves.curves_figure, equal_sentence, curves.curves_limits, wide=True)
