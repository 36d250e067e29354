"""Each fault of `make chaos`, a few times: nothing is lost, wrong, left behind or broken by it."""

import pytest

from benchmarks.chaos.__main__ import tried
from benchmarks.chaos.faults import FAULTS
from benchmarks.chaos.ground import Ground
from benchmarks.chaos.tally import Tally


@pytest.fixture(scope="module")
def ground(tmp_path_factory):
    """One store that all copy."""
    return Ground(tmp_path_factory.mktemp("chaos"))


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_survived(ground, name):
    tally = tried(name, ground, FAULTS[name].quick)
    if tally.skipped:
        pytest.skip(tally.skipped)
    assert tally.broken == []
    assert (tally.lost, tally.wrong, tally.debris) == (0, 0, 0)
    assert tally.tries > 0


@pytest.mark.parametrize("change", [{"lost": 1}, {"wrong": 1}, {"debris": 1}, {"broken": ["an orphan"]}])
def test_what_is_lost_wrong_left_or_broken_is_not_survived(change):
    assert Tally("fault").survived
    assert not Tally("fault", **change).survived
