"""A page with one figure."""

from asr_core.figures import toy_figure
from pages._frame import charts

charts.show(toy_figure.TOY, "toy")
