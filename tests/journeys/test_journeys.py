"""Three walks whose steps are fixed; more of them by hand: python -m tests.journeys --seeds 5.

ASR_JOURNEYS="4,5" walks those seeds instead.
"""

import os

import pytest
from journeys.walk import walked

from benchmarks import dashboard

SEEDS = [int(seed) for seed in os.environ.get("ASR_JOURNEYS", "1,2,3").split(",")]
STEPS = 60


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_goes_wrong_on_a_walk_through_the_dashboard(chromium, tmp_path, seed):
    with dashboard.served(dashboard.prepared_cache(tmp_path / "cache")) as server:
        walk = walked(chromium, server.url, seed, STEPS)
    assert not walk.faults, walk.story()
    assert len(walk.log) == STEPS
