"""Equal budgets: repairs without recalibration against recalibration alone, on the same number of training images.

A repair's factors cost its statistics images; cumulative BatchNorm recalibration costs its batches. Imports no torch.
"""

from dataclasses import replace

import pandas as pd

from asr_core.spec.experiment import ExperimentSpec
from asr_core.spec.grid import BatchNormState, RepairSpec
from asr_core.store.catalogue import Setting
from asr_core.store.results import Result

IMAGES = (8, 16, 32, 64, 128, 256)  # budgets that are compared
BATCH = 128  # images per recalibration batch at most
REFERENCES = ("dense", "no_repair")
COLUMNS = ("slug", "way", "batches", "images", "distinct_images", "top1", "top1_low", "top1_high", "n_eval")


def table(results: list[Result], slugs=()) -> pd.DataFrame:
    """One row per network and number of images (COLUMNS) over results of one dense network; the first of equals wins.

    way: `none` for repairs at b = 0 (images: their statistics images), `cumulative` for BN only, re-estimated on all
    of `images`; dense and no_repair have way `none` and images 0.
    """
    rows = pd.concat([part for result in results for part in _parts(result, slugs)], ignore_index=True)
    return rows.drop_duplicates(["slug", "images"], ignore_index=True)[list(COLUMNS)]


def _parts(result: Result, slugs) -> list[pd.DataFrame]:
    """References, repairs without recalibration, and BN only of one result."""
    rows = result.accuracy.rename(columns={"calib_batches": "batches"})
    still = rows["batches"].eq(0)
    repairs = rows[still & rows["slug"].isin(list(slugs)) & rows["stat_images"].notna()]
    alone = rows[~still & rows["slug"].eq("bn_only") & rows["averaging"].eq("cumulative").fillna(False).astype(bool)]
    size = result.setting["calibration"]["calib_batch_size"]
    return [
        rows[still & rows["slug"].isin(REFERENCES)].assign(way="none", images=0),
        repairs.assign(way="none", images=repairs["stat_images"].astype(int), distinct_images=repairs["stat_images"]),
        alone.assign(way="cumulative", images=alone["batches"] * size),
    ]


def compared(found: pd.DataFrame) -> pd.DataFrame:
    """Rows of `table` at numbers of images at which both a repair and BN only are known, a column per network: top-1."""
    wide = found[~found["slug"].isin(REFERENCES)].pivot(index="images", columns="slug", values="top1")
    if "bn_only" not in wide or wide.shape[1] < 2:
        return wide.iloc[:0]
    return wide[wide["bn_only"].notna() & wide.drop(columns="bn_only").notna().any(axis=1)]


def absent(found: pd.DataFrame, slugs, train_images: int) -> list[int]:
    """Budgets of IMAGES, as far as there are as many training images, at which BN only or one of the repairs `slugs` is not known."""
    wanted = {"bn_only", *(slug for slug in slugs if "." in slug)}
    known = found.groupby("images")["slug"].agg(set)
    return [count for count in IMAGES if count <= train_images and not wanted <= known.get(count, set())]


def experiment(setting: Setting, repairs: tuple[RepairSpec, ...], count: int) -> ExperimentSpec:
    """What makes one budget known: `repairs` from `count` images, and BN only on the same images; raises AsrError."""
    every = tuple(dict.fromkeys((RepairSpec.of("bn_only"), *repairs)))
    return on(setting.experiment(every, (BatchNormState(),)), count)


def on(spec: ExperimentSpec, count: int) -> ExperimentSpec:
    """`spec` with its factors from `count` images, without recalibration, and with cumulative recalibration on the same images."""
    size = min(count, BATCH)
    calibration = replace(spec.calibration, stat_images=count, calib_batch_size=size)
    return spec.with_(
        calibration=calibration,
        states=(BatchNormState(), BatchNormState.of(averaging="cumulative", batches=count // size)),
    )
