"""python -m benchmarks.load: many sessions that explore stored results for a while, on this machine.

Each session is a websocket that asks for page after page, as a browser does that follows links, and thinks between
them. Told per page: how often it was drawn, its median and 95th percentile, and how much memory the server has.
"""

import random
import statistics
import tempfile
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click
import psutil
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import connect

from asr_core.store import default_root
from benchmarks import dashboard
from benchmarks.crowd import CONNECTION, PATIENCE

PAGES = ("overview", "variance", "heatmaps", "curves", "absorption", "allocation", "severity", "settings")
LOOKS = ("", "averaging=cumulative", "methods=bn_only,asr_bn", "biases=on", "calib_batches=10")
MIB = 2**20


class BrokenPage(Exception):
    """A page showed an error."""


def explore(url: str, until: float, think: float, seed: int) -> list[tuple[str, float]]:
    """(page, seconds until it was drawn) of one session, which goes on until `until` (time.monotonic)."""
    choose, found = random.Random(seed), []
    with connect(url.replace("http", "ws", 1) + "/_stcore/stream", **CONNECTION, origin=url) as socket:
        while time.monotonic() < until:
            page = choose.choice(PAGES)
            message = BackMsg()
            message.rerun_script.page_name, message.rerun_script.query_string = page, choose.choice(LOOKS)
            begun = time.perf_counter()
            socket.send(message.SerializeToString())
            _drawn(socket, page)
            found.append((page, time.perf_counter() - begun))
            time.sleep(choose.uniform(0, 2 * think))
    return found


def _drawn(socket, page: str) -> None:
    """Read until the script has run."""
    message = ForwardMsg()
    while message.WhichOneof("type") != "script_finished":
        message = ForwardMsg.FromString(socket.recv(timeout=PATIENCE))
        if message.delta.new_element.HasField("exception"):
            raise BrokenPage(f"{page}: {message.delta.new_element.exception.message}")


@click.command(context_settings={"show_default": True})
@click.option("--sessions", default=30, help="Sessions at once.")
@click.option("--seconds", default=300, help="How long they explore.")
@click.option("--think", default=4.0, help="Seconds that one thinks between two pages, on average.")
def main(sessions: int, seconds: int, think: float) -> None:
    """Sessions that explore stored results."""
    with tempfile.TemporaryDirectory(prefix="benchmark-load-") as folder:
        Path(folder, "shipped").symlink_to(default_root().resolve() / "shipped")
        with dashboard.served(Path(folder)) as server:
            process = psutil.Process(server.process.pid)
            before, until = process.memory_info().rss, time.monotonic() + seconds
            found, errors = together(server.url, sessions, until, think)
            after = process.memory_info().rss
    every = [one for times in found.values() for one in times]
    for page, times in [*sorted(found.items()), ("all", every)]:
        click.echo(line(page, times))
    click.echo(f"memory {before / MIB:.0f} to {after / MIB:.0f} MiB; {sessions} sessions, {seconds} s")
    click.echo(f"load {psutil.getloadavg()[0]:.1f} on {psutil.cpu_count()} cores; {len(errors)} sessions broke")
    click.echo("".join(f"{error!r}\n" for error in errors[:5]), nl=False)
    raise SystemExit(bool(errors))


def together(url: str, sessions: int, until: float, think: float) -> tuple[dict[str, list[float]], list[Exception]]:
    """(seconds by page, what broke sessions) of so many at once."""
    found: dict[str, list[float]] = defaultdict(list)
    errors: list[Exception] = []
    with ThreadPoolExecutor(sessions) as pool:
        asked = [pool.submit(explore, url, until, think, seed) for seed in range(sessions)]
    for answer in asked:
        if answer.exception() is not None:
            errors.append(answer.exception())
        else:
            for page, took in answer.result():
                found[page].append(took)
    return found, errors


def line(page: str, times: list[float]) -> str:
    """How often and how fast a page was drawn."""
    if not times:
        return f"{page:12} never drawn"
    high = statistics.quantiles(times, n=20)[-1] if len(times) > 1 else times[0]
    return f"{page:12} {len(times):5} drawn, median {statistics.median(times):.2f} s, 95 % under {high:.2f} s"


if __name__ == "__main__":
    main()
