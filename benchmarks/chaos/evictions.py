"""A store with a bound: what goes while a job runs, and what comes of it."""

import os
import subprocess
import sys
import time
import warnings
from random import Random

from asr_core.jobs import needs
from asr_core.jobs.jobs import Wanted
from asr_core.store import Store, housekeeping
from asr_core.store.entries import PROJECT
from asr_core.store.manifests import MANIFEST
from benchmarks.chaos.ground import Ground, crew, entries, finished, setting, swept
from benchmarks.chaos.tally import Tally

DAY = 24 * 3600
TAKEN = 4  # stages that go from under one run, at most


def bounded(ground: Ground, count: int, chance: Random) -> Tally:
    """While a job runs, all that it made looks a day old and the store is trimmed to nothing, again and again."""
    tally, spec = Tally("a store with a bound is trimmed while a job runs"), setting(0)
    for _ in range(count):
        store = ground.fresh()
        with crew(store) as runner:
            job, trims = runner.submit(Wanted(spec)), 0
            while (job := runner.get(job.id)).live:
                before = entries(store)
                trims += _trim_all(store)
                now = runner.get(job.id)
                if now.live and (gone := before - entries(store)):
                    tally.broken.append(f"went while it was needed: {', '.join(sorted(gone))}")
                time.sleep(chance.uniform(0, 0.2))
            tally.tries += trims
            if job.state != "finished":
                tally.lost += 1
                tally.broken.append(f"{job.state}: {job.reason}")
            _trim_all(store)
            left = {name for name in entries(store) if name.split("/")[0] in housekeeping.RECOMPUTED}
            tally.broken += [f"was not trimmed: {name}" for name in sorted(left)]
            store.clear(["result"])  # what went is computed again
            finished(runner, spec)
        _judge(tally, ground, store, spec)
    return tally


def _judge(tally: Tally, ground: Ground, store: Store, spec) -> None:
    lost, wrong = ground.judged(store, [spec])
    left = swept(store)
    tally.lost, tally.wrong, tally.debris = tally.lost + lost, tally.wrong + wrong, tally.debris + len(left)
    tally.broken += [f"left behind: {name}" for name in left]


def _trim_all(store: Store) -> int:
    """Let everything look as if it was last used a day ago, and bring the store to 0 bytes; 1."""
    for stage in housekeeping.RECOMPUTED:
        for path in (store.root / stage).glob(f"*/{MANIFEST}"):
            try:
                os.utime(path, (time.time() - DAY,) * 2)
            except FileNotFoundError:
                continue
    needs.trim(store, 0)
    return 1


RUN = """
import json, sys
from asr_core.pipeline import run
from asr_core.spec.experiment import from_dict
from asr_core.store import Store
run.run(from_dict(json.loads(sys.argv[2])), Store(sys.argv[1]))
"""


def unprotected(ground: Ground, count: int, chance: Random) -> Tally:
    """The same under a run that is no job, so that nothing is known of what it needs: it computes again what went."""
    import json

    tally, spec = Tally("stages go from under a run at the command line"), setting(0)
    for _ in range(count):
        store = ground.fresh()
        asked = [sys.executable, "-c", RUN, str(store.root), json.dumps(spec.as_dict())]
        process = subprocess.Popen(asked, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        gone = 0
        while process.poll() is None:
            found = [name for name in entries(store) if name.split("/")[0] in housekeeping.RECOMPUTED]
            if len(found) > 3 and gone < TAKEN and chance.random() < 0.5:
                gone += _take(store, chance.choice(sorted(found)))
            time.sleep(0.02)
        said = process.communicate()[1].strip().splitlines()
        tally.tries += gone
        if process.returncode:
            tally.broken.append(f"the run ended: {said[-1] if said else process.returncode}")
            with crew(store) as runner:
                finished(runner, spec)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _judge(tally, ground, store, spec)
    return tally


def _take(store: Store, name: str) -> int:
    """Take one stored stage away, as housekeeping does."""
    os.utime(store.root / name / MANIFEST, (0, 0))
    return housekeeping.trim(store, housekeeping.disk.size(store.root) - 1, recent=0).entries
