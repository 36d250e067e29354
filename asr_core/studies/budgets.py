"""Equal budgets: repairs without recalibration against recalibration alone, on the same number of training images.

A repair's factors cost its statistics images; cumulative BatchNorm recalibration costs its batches. Imports no torch.
"""

from collections.abc import Iterable
from typing import Any

import pandas as pd

from asr_core.spec.experiment import ExperimentSpec, Setting
from asr_core.spec.recalibration import NO_STATE, BatchNormState
from asr_core.spec.repairs import BN_ONLY, COLUMNS, DENSE, NO_REPAIR, RepairSpec
from asr_core.store.results import Result, right_of
from asr_core.store.tables import is_of, networks
from asr_core.studies import paired

IMAGES = (8, 16, 32, 64, 128, 256)  # budgets that are compared
BATCH = 128  # images per recalibration batch at most
REFERENCES = (DENSE, NO_REPAIR)
FIELDS = (
    *COLUMNS,
    "way",
    "batches",
    "images",
    "distinct_images",
    "top1",
    "top1_low",
    "top1_high",
    "n_eval",
    *paired.COMPARED,
)


def table(results: list[Result], repairs: Iterable[RepairSpec] = ()) -> pd.DataFrame:
    """One row per network and number of images (FIELDS) over results of one dense network; the first of equals wins.

    way: `none` for `repairs` at b = 0 (images: their statistics images), `cumulative` for BN only, re-estimated on all
    of `images`; dense and no_repair have way `none` and images 0. COMPARED: a repair minus BN only on as many images,
    corrected for all of them; '' where there is no such pair.
    """
    wanted = [repair for repair in repairs if repair.order]
    rows = pd.concat([part for result in results for part in _parts(result, wanted)], ignore_index=True)
    rows = rows.drop_duplicates([*COLUMNS, "images"], ignore_index=True)
    return _against_alone(rows, right_of(results, rows))[list(FIELDS)]


def _against_alone(rows: pd.DataFrame, right: list[Any]) -> pd.DataFrame:
    """`rows` with the columns COMPARED."""
    made = paired.empty(rows)
    alone = {row.images: row.Index for row in rows[is_of(rows, BN_ONLY)].itertuples() if row.images}
    others = ~is_of(rows, *REFERENCES, BN_ONLY) & rows["images"].isin(alone)
    places = list(rows.index[others])
    partners = [alone[images] for images in rows.loc[places, "images"]]
    mine, theirs = rows.loc[places], rows.loc[partners]
    found = paired.against(mine, theirs, [right[i] for i in places], [right[i] for i in partners])
    made = made.drop(columns=paired.COMPARED).join(found[paired.COMPARED])
    words = made["word"].astype(object).where(made["word"].notna(), "")
    numbers = made[paired.COMPARED[:4]].astype(float)
    return made.assign(**numbers, word=words, pairs=made["pairs"].astype(float).fillna(0).astype(int))


def _parts(result: Result, wanted: list[RepairSpec]) -> list[pd.DataFrame]:
    """References, repairs without recalibration, and BN only of one result."""
    rows = result.accuracy.rename(columns={"calib_batches": "batches"})
    still = rows["batches"].eq(0)
    repairs = rows[still & is_of(rows, *wanted)]
    alone = rows[~still & is_of(rows, BN_ONLY) & rows["averaging"].eq("cumulative").fillna(False).astype(bool)]
    size = result.setting["calibration"]["calib_batch_size"]
    return [
        rows[still & is_of(rows, *REFERENCES)].assign(way="none", images=0),
        repairs.assign(way="none", images=repairs["stat_images"].astype(int), distinct_images=repairs["stat_images"]),
        alone.assign(way="cumulative", images=alone["batches"] * size),
    ]


def compared(found: pd.DataFrame) -> pd.DataFrame:
    """Rows of `table` at numbers of images at which both a repair and BN only are known, a column per network:
    top-1."""
    rows = found[~is_of(found, *REFERENCES)]
    wide = rows.assign(network=networks(rows)).set_index(["images", "network"])["top1"].unstack(sort=False).sort_index()
    if BN_ONLY not in wide or wide.shape[1] < 2:
        return wide.iloc[:0]
    return wide[wide[BN_ONLY].notna() & wide.drop(columns=BN_ONLY).notna().any(axis=1)]


def absent(found: pd.DataFrame, repairs: Iterable[RepairSpec], train_images: int) -> list[int]:
    """Budgets of IMAGES, as far as there are as many training images, at which BN only or one of `repairs` is not
    known."""
    wanted = {BN_ONLY, *(repair for repair in repairs if repair.order)}
    known = networks(found).groupby(found["images"]).agg(set)
    return [count for count in IMAGES if count <= train_images and not wanted <= known.get(count, set())]


def experiment(setting: Setting, repairs: tuple[RepairSpec, ...], count: int) -> ExperimentSpec:
    """What makes one budget known: `repairs` from `count` images, and BN only on the same images; raises AsrError."""
    every = tuple(dict.fromkeys((BN_ONLY, *repairs)))
    return on(ExperimentSpec.of_setting(setting, every, (NO_STATE,)), count)


def on(spec: ExperimentSpec, count: int) -> ExperimentSpec:
    """`spec` with its factors from `count` images, without recalibration, and with cumulative recalibration on the
    same images."""
    size = min(count, BATCH)
    measured = spec.but(stat_images=count, calib_batch_size=size)
    cumulative = BatchNormState.of(averaging="cumulative", calib_batches=count // size)
    return measured.with_(states=(NO_STATE, cumulative))
