"""Two servers on one store, with locks and where flock does nothing."""

from collections import Counter
from pathlib import Path
from random import Random

from asr_core.jobs import jobs
from asr_core.store import Store
from benchmarks.chaos.ground import Ground, crew, environment, finished, grid, swept, tables, troubled, until
from benchmarks.chaos.kills import served
from benchmarks.chaos.tally import Tally

SETTINGS = 4


def locked(ground: Ground, count: int, chance: Random) -> Tally:
    """Both servers are asked for overlapping settings at once: each distinct stage is computed once."""
    tally = Tally("two servers on one store")
    for _ in range(count):
        _turn(tally, ground, once=True)
    return tally


def unlocked(ground: Ground, count: int, chance: Random) -> Tally:
    """The same where locks hold nobody: the results are equal."""
    tally = Tally("two servers on one store, flock does nothing")
    for _ in range(count):
        _turn(tally, ground, once=False, NO_LOCKS=1)
    return tally


def _turn(tally: Tally, ground: Ground, once: bool, **switches) -> None:
    """Two servers, each with two workers, asked for settings of which half are the other's too."""
    store, specs = ground.fresh(), grid(SETTINGS)
    heard = ground.folder / f"puts{ground.made}"
    with (
        troubled(PUTS=heard, **switches),
        environment(ASR_WORKERS=2, ASR_WORKER_IDLE=2),
        served(store, specs[:3]),
        served(store, specs[1:]),
    ):
        until(lambda: not any(job.live for job in jobs.listed(store)), "the end of all jobs")
        states = Counter(job.state for job in jobs.listed(store))
    with crew(store) as runner:
        for spec in specs:
            if once and not tables(store, spec):
                tally.lost += 1
            finished(runner, spec)
    _count(tally, ground, store, specs, heard, once)
    if once and states != {"finished": SETTINGS}:
        tally.broken.append(f"jobs ended as {dict(states)}")


def _count(tally: Tally, ground: Ground, store: Store, specs, heard: Path, once: bool) -> None:
    tally.tries += 1
    computed = Counter(heard.read_text().split())
    twice = [name for name, times in computed.items() if times > 1]
    tally.counted["stages"] = tally.counted.get("stages", 0) + len(computed)
    tally.counted["computed twice"] = tally.counted.get("computed twice", 0) + len(twice)
    tally.broken += [f"computed twice: {name}" for name in twice if once]
    lost, wrong = ground.judged(store, specs)
    left = swept(store)
    tally.lost, tally.wrong, tally.debris = tally.lost + lost, tally.wrong + wrong, tally.debris + len(left)
    tally.broken += [f"left behind: {name}" for name in left] + Store(store.root).verify()
