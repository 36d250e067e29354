"""Many at once: sessions that explore stored results, and some that start overlapping jobs through the dashboard."""

import os
import statistics
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from random import Random

import psutil

from asr_core.jobs import jobs
from benchmarks import dashboard, load
from benchmarks.chaos import sessions
from benchmarks.chaos.ground import Ground, debris, environment, troubled, until
from benchmarks.chaos.tally import Tally

SECONDS = float(os.environ.get("CHAOS_SECONDS", 300))  # that sessions explore
THINK = 4.0  # seconds between two pages, on average
SESSIONS_FULL = 30


def exploring(ground: Ground, count: int, chance: Random) -> Tally:
    """`count` sessions that explore the shipped results for five minutes (fewer sessions: ten seconds)."""
    tally, folder = Tally("sessions explore stored results"), ground.folder / "shown"
    seconds = SECONDS if count >= SESSIONS_FULL else 10.0
    dashboard.cache_with_shipped(folder)
    with dashboard.served(folder) as server:
        process = psutil.Process(server.process.pid)
        before = process.memory_info().rss
        found, errors = load.together(server.url, count, time.monotonic() + seconds, THINK)
        after = process.memory_info().rss
    times = sorted(one for page in found.values() for one in page)
    tally.tries, tally.broken = count, [f"{type(error).__name__}: {error}" for error in errors]
    tally.counted = {"seconds": seconds, "pages drawn": len(times)}
    if len(times) > 1:
        tally.counted |= {"median s": round(statistics.median(times), 2)}
        tally.counted |= {"95 % under s": round(statistics.quantiles(times, n=20)[-1], 2)}
    tally.counted |= {"MiB before": round(before / 2**20), "MiB after": round(after / 2**20)}
    return tally


SPARSITIES = (0.9, 0.91, 0.92)
ASKED = "dataset=digits&sparsity={}&stat_images=16&calib_batch_size=16&eval_images=48"


def starting(ground: Ground, count: int, chance: Random) -> Tally:
    """`count` sessions click Compute at once, several of each setting: each distinct stage is computed once."""
    tally, store = Tally("sessions start overlapping jobs"), ground.fresh()
    heard = ground.folder / "started"
    with troubled(PUTS=heard), environment(ASR_WORKERS=2, ASR_WORKER_IDLE=2), dashboard.served(store.root) as server:
        with ThreadPoolExecutor(count) as threads:
            told = list(threads.map(lambda n: _start(server.url, SPARSITIES[n % len(SPARSITIES)]), range(count)))
        until(lambda: not any(job.live for job in jobs.listed(store)), "the end of all jobs")
        found = jobs.listed(store)
    tally.tries, tally.broken = count, [one for one in told if one]
    tally.lost = len(set(SPARSITIES[:count])) - sum(job.state == "finished" for job in found)
    computed = Counter(heard.read_text().split())
    tally.broken += [f"computed {times} times: {name}" for name, times in computed.items() if times > 1]
    tally.counted = {
        "jobs": len(found),
        "stages": len(computed),
        "most owners of a job": max(len(j.owners) for j in found),
    }
    left = [name for name in debris(store) if name != "server.log"]
    tally.debris, tally.broken = len(left), tally.broken + [f"left behind: {name}" for name in left]
    return tally


def _start(url: str, sparsity: float) -> str:
    """Open Overview at a setting that is not stored and click Compute; what went wrong, or ''."""
    query = ASKED.format(sparsity)
    with sessions.session(url) as socket:
        found = sessions.visit(socket, "overview", query)
        button = found.buttons.get("Compute")
        if button:
            found = sessions.visit(socket, "overview", query, (button, "trigger_value", True))
        elif "Cancel" not in found.buttons:
            return f"no Compute among {sorted(found.buttons)}"
        return "; ".join(found.errors)
