"""Calibration draws of one experiment. Imports no torch."""

from asr_core.spec.experiment import ExperimentSpec

MOST = 1000  # draws of one command


def each(spec: ExperimentSpec, draws: int) -> list[ExperimentSpec]:
    """The experiment with draws 0, 1, ... of the training images that calibrate.

    >>> [one.calibration.draw for one in each(ExperimentSpec(), 2)]
    [0, 1]
    """
    return [spec.but(draw=draw) for draw in range(draws)]
