"""A cache for a test's server: the shipped results, and this machine's speed as if it had been measured."""

from pathlib import Path

from asr_core.jobs import estimate
from asr_core.spec.experiment import ExperimentSpec
from asr_core.store import Store
from benchmarks import dashboard

# Seconds per image on a middling core: measuring them would take the processor from the tests.
SPEED = {
    "start": 3.0,
    "build": 0.5,
    "assemble": 0.25,
    "evaluation": 0.002,
    "recalibration": 0.004,
    "stats": 0.006,
    "repair": 0.008,
    "train": 0.02,
    "decode": 0.0001,
    "maps": 0.002,
}


def prepared_cache(folder: Path) -> Path:
    """An own cache that shows the shipped results and knows this machine's speed."""
    cache = dashboard.cache_with_shipped(folder)
    estimate.remember(ExperimentSpec(), Store(cache), SPEED)
    return cache
