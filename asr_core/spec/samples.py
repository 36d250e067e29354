"""The parts of a setting that say which of its images are used: to measure and recalibrate, and to test.

Imports neither torch nor pandas.
"""

from dataclasses import dataclass

from asr_core.fields import Part, declared, whole

IMAGES = (8, 16, 32, 64, 128, 256, 512)  # usual numbers of statistics images


@dataclass(frozen=True, kw_only=True)
class CalibrationSpec(Part):
    """Which training images measure and recalibrate: both walk one permutation of the training split, seeded by
    `draw`."""

    stat_images: int = declared(
        whole(
            64,
            "Statistics images",
            "Training images that give the channel statistics.",
            2,
            10**7,
            unit="images",
            offered=IMAGES,
        )
    )
    calib_batch_size: int = declared(
        whole(128, "Recalibration batch", "Images of a recalibration batch.", 2, 10**7, unit="images")
    )
    draw: int = declared(
        whole(0, "Calibration draw", "Seed that chooses the training images that calibrate.", 0, 10**7)
    )


@dataclass(frozen=True, kw_only=True)
class EvalSpec(Part):
    """Which test images: all (None) or a fixed subset of `eval_images`, chosen by the seed `subset`."""

    eval_images: int | None = declared(
        whole(
            None,
            "Test images",
            "All test images, or a fixed seeded subset.",
            1,
            10**7,
            optional=True,
            none="all",
            offered=(1000, 2000),
        )
    )
    subset: int = declared(whole(0, "Test subset", "Seed that chooses the subset of test images.", 0, 10**7))
