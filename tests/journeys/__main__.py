"""Walks of many seeds, by hand: python -m tests.journeys --seeds 5 [--first 0] [--steps 60] [--go-on]."""

import argparse
import functools
import sys
import tempfile
import time
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "browser")]

from journeys.walk import walked  # noqa: E402

from benchmarks import dashboard  # noqa: E402


def main() -> int:
    """The number of walks that showed a fault."""
    given = argparse.ArgumentParser(prog="python -m tests.journeys", description=__doc__)
    given.add_argument("--seeds", type=int, default=5, help="how many walks")
    given.add_argument("--first", type=int, default=0, help="seed of the first")
    given.add_argument("--steps", type=int, default=60, help="steps of each")
    given.add_argument("--go-on", action="store_true", help="walk on after a fault")
    chosen, bad = given.parse_args(), 0
    with dashboard.browser() as browser:
        for seed in range(chosen.first, chosen.first + chosen.seeds):
            with (
                tempfile.TemporaryDirectory() as folder,
                dashboard.served(dashboard.prepared_cache(Path(folder, "c"))) as server,
            ):
                begun = time.perf_counter()
                walk = walked(
                    browser, server.url, seed, chosen.steps, not chosen.go_on, functools.partial(print, flush=True)
                )
                bad += bool(walk.faults)
                took = time.perf_counter() - begun
                print(walk.story() if walk.faults else f"seed {seed}: sound", f"({took:.0f} s)")
    return bad


if __name__ == "__main__":
    sys.exit(main())
