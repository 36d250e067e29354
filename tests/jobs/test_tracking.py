"""Progress of a job: one fraction that never falls, one time that corrects itself, and a stop where no signal comes."""

import json

import pytest
from small import SMALL, SPEED

from asr_core.jobs import load, tracking
from asr_core.jobs.jobs import Wanted
from asr_core.jobs.schema import Line
from asr_core.jobs.tracking import Tracker
from asr_core.store import Store


class Clock:
    """In place of both clocks: wall and own seconds go on by what is worked."""

    def __init__(self):
        self.wall = self.own = 0.0

    def work(self, own: float, beside: float = 1.0) -> None:
        self.wall, self.own = self.wall + own * beside, self.own + own


@pytest.fixture
def clock(monkeypatch):
    found = Clock()
    monkeypatch.setattr(tracking.time, "perf_counter", lambda: found.wall)
    monkeypatch.setattr(tracking, "clock", lambda: found.own)
    monkeypatch.setattr(load, "slowdown", lambda: 1.0)
    return found


def tracker(tmp_path, stopped=lambda: False) -> Tracker:
    return Tracker(Wanted(SMALL), Store(tmp_path / "cache"), SPEED, tmp_path / "progress.jsonl", None, stopped)


def lines(tmp_path) -> list[Line]:
    return [json.loads(line) for line in (tmp_path / "progress.jsonl").read_text().splitlines()]


def run(found: Tracker, clock: Clock, factor: float, beside: float = 1.0, most: int | None = None) -> None:
    """All tasks in four parts each, `factor` times as slow as expected, `beside` others."""
    for task, cost in list(found.left.values())[:most]:
        found.started(task)
        for _ in range(4):
            clock.work(factor * cost / 4, beside)
            found.advance(task.images // 4)
        found.finished(task)


@pytest.mark.parametrize("factor", [0.2, 1.0, 5.0])
def test_the_fraction_never_falls_however_wrong_the_estimate_was(tmp_path, clock, factor):
    run(tracker(tmp_path), clock, factor)
    shares = [line["share"] for line in lines(tmp_path)]
    assert shares == sorted(shares)
    assert 0 <= shares[0] < 0.1
    assert 0.9 < shares[-1] <= 1


def test_a_job_that_was_sent_back_goes_on_at_its_fraction(tmp_path, clock):
    run(tracker(tmp_path), clock, 1.0, most=6)
    before = lines(tmp_path)[-1]["share"]
    run(tracker(tmp_path), clock, 1.0)
    shares = [line["share"] for line in lines(tmp_path)]
    assert shares == sorted(shares)
    assert 0 < before < shares[-1] <= 1


def test_the_time_left_corrects_itself_by_what_the_work_took(tmp_path, clock):
    found = tracker(tmp_path)
    expected = found.seconds_left()
    run(found, clock, 3.0, most=40)
    left = sum(cost for _, cost in found.left.values())
    assert left < expected
    assert found.seconds_left() == pytest.approx(3 * left + 3 * SPEED["assemble"], rel=0.1)  # of three repairs


def test_what_other_programs_take_is_told_apart_from_a_slow_network(tmp_path, clock):
    slow, beside = tracker(tmp_path / "a"), tracker(tmp_path / "b")
    for found, factor, others in ((slow, 3.0, 1.0), (beside, 1.0, 3.0)):
        found.path.parent.mkdir()
        run(found, clock, factor, others)
    assert slow.slowdown() == 1
    assert beside.slowdown() == pytest.approx(3)


def test_before_anything_is_measured_the_load_of_the_machine_counts(tmp_path, clock, monkeypatch):
    idle = tracker(tmp_path).seconds_left()
    monkeypatch.setattr(load, "slowdown", lambda: 2.5)
    assert tracker(tmp_path).seconds_left() == pytest.approx(2.5 * idle)


def test_the_stop_is_asked_for_where_a_stage_begins_and_where_images_are_done(tmp_path, clock):
    asked = []
    found = tracker(tmp_path, lambda: bool(asked))
    task = next(iter(found.left.values()))[0]
    found.started(task)
    found.advance(1)
    asked.append(1)
    for act in (lambda: found.advance(1), lambda: found.started(task)):
        with pytest.raises(KeyboardInterrupt):
            act()
