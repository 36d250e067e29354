"""The server's part of a click, without a browser: `python -m benchmarks.script ADDRESS-JSON PAGE CHANGES-JSON`.

Runs the dashboard's script headless in this process and prints, as JSON, the milliseconds of each run. CHANGES: pairs
of a control and its new value. The cache is that of ASR_CACHE_DIR.
"""

import json
import logging
import os
import subprocess
import sys
import time
from pathlib import Path

from asr_core.store.entries import PROJECT


def times(cache: Path, address: dict, page: str, changes: list, rounds: int) -> list[float]:
    """Milliseconds of each of `changes`, in turn, in a fresh process; a first round, which fills the caches, is left
    out."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.script",
        json.dumps(address),
        page,
        json.dumps(changes * (rounds + 1)),
    ]
    done = subprocess.run(
        command, cwd=PROJECT, env=os.environ | {"ASR_CACHE_DIR": str(cache)}, stdout=subprocess.PIPE, check=True
    )
    return json.loads(done.stdout)[len(changes) :]


def run(address: dict, page: str, changes: list) -> list[float]:
    """Milliseconds of each run; raises RuntimeError if one fails."""
    from streamlit.testing.v1 import AppTest

    app = AppTest.from_file(str(PROJECT / "pages" / "_frame" / "main.py"), default_timeout=120)
    for name, value in address.items():
        app.query_params[name] = value
    app.run()
    app.switch_page(f"../{page}.py").run()
    found = []
    for control, value in changes:
        app.session_state[control] = value
        start = time.perf_counter()
        app.run()
        found.append(1000 * (time.perf_counter() - start))
        if app.exception:
            raise RuntimeError(f"{page}, {control} = {value}: {app.exception[0].message}")
    return found


if __name__ == "__main__":
    logging.disable(logging.WARNING)  # Streamlit warns that there is no browser
    given, where, wanted = sys.argv[1:]
    json.dump(run(json.loads(given), where, json.loads(wanted)), sys.stdout)
