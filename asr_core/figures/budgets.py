"""Equal budgets: repairs without recalibration and BN only, over the training images that each has seen."""

import pandas as pd

from asr_core.figures import Chart, NothingToDraw, curves, style
from asr_core.store.results import Result
from asr_core.studies import budgets


def equal_table(result: Result, slugs=(), more=()) -> pd.DataFrame:
    """budgets.table of `result` and of `more` results of its dense network, with line, x and seeds for a figure of curves."""
    same = [found for found in more if found.setting["dense_id"] == result.setting["dense_id"]]
    found = budgets.table([result, *same], slugs)
    if budgets.compared(found).empty:
        raise NothingToDraw(
            "No repair without recalibration and BN only are stored at an equal number of images; compute them below."
        )
    place = found["slug"].map({slug: i for i, slug in enumerate([*budgets.REFERENCES, "bn_only", *slugs])})
    line = style.labels(found["slug"]).where(found["slug"] != "bn_only", f"{style.label('bn_only')} · cumulative")
    made = found.assign(line=line, x=found["images"].astype(float), seeds=1, place=place)
    return made.sort_values(["place", "x"], kind="stable").drop(columns="place").reset_index(drop=True)


def equal_sentence(table: pd.DataFrame) -> str:
    """From which number of images on BN only is ahead of the best repair."""
    wide = budgets.compared(table)
    repairs = wide.drop(columns="bn_only")
    best, alone = repairs.max(axis=1), wide["bn_only"]
    parts = [
        f"{count} images: {style.label(repairs.loc[count].idxmax())} {100 * best[count]:.1f} %, BN only {100 * alone[count]:.1f} %"
        for count in dict.fromkeys((wide.index[0], wide.index[-1]))
    ]
    ahead = [count for count in wide.index if best[count] > alone[count]]
    verdict = {
        0: "BN only is ahead of every repair at each of them",
        len(wide): "the best repair is ahead of BN only at each of them",
    }
    text = verdict.get(
        len(ahead), f"the best repair is ahead at {', '.join(map(str, ahead))} images, BN only at the others"
    )
    return f"At equal budgets ({len(wide)} compared), {text}. {'; '.join(parts)}."


EQUAL = Chart("budgets.EQUAL", equal_table, curves.curves_figure, equal_sentence, curves.curves_limits, wide=True)
