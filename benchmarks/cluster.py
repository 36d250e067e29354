"""A sweep on two local Dask workers of one thread against one of them, by the command line: `make bench-cluster`."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
import psutil
import yaml

from asr_core.store import Store
from asr_core.store.entries import PROJECT, versions, write_json
from benchmarks.chaos.cluster import scheduler, workers
from benchmarks.chaos.ground import Ground, environment

MOST = 0.6  # of the time of one worker, at most
SETTINGS = 8
DOCUMENT = PROJECT / "docs" / "benchmark-cluster.json"


def sweep(count: int, first: float) -> dict:
    """What a sweep file says: the embedded default at so many sparsities."""
    sparsities = [round(first + 0.05 * number, 3) for number in range(count)]
    asked = {"methods": ["lw_bn", "asr_bn"], "orders": ["simultaneous"], "biases": ["off"], "budgets": [20]}
    return {"dataset": "digits", "sparsity": sparsities} | asked


def seconds(store: Store, folder: Path, settings: int, count: int) -> float:
    """From the command to its end, on `count` workers; after a first sweep of as many settings, which measures the
    machine's speed for the printed cost, and has the workers load torch."""
    with environment(), scheduler() as (address, _), workers(address, count):
        time.sleep(5)  # they register
        swept(store, folder, address, sweep(count, first=0.3))
        begun = time.perf_counter()
        swept(store, folder, address, sweep(settings, first=0.5))
        return time.perf_counter() - begun


def swept(store: Store, folder: Path, address: str, asked: dict) -> None:
    """The command."""
    file = folder / "sweep.yaml"
    file.write_text(yaml.safe_dump(asked))
    command = [sys.executable, "-m", "asr_core", "--cache-dir", str(store.root), "sweep", str(file)]
    cluster = ["--executor", "dask", "--scheduler", address, "--threads", "1"]
    subprocess.run([*command, *cluster], cwd=PROJECT, check=True, stdout=subprocess.DEVNULL)


@click.command(context_settings={"show_default": True})
@click.option("--settings", default=SETTINGS, metavar="N", help="Settings of the sweep.")
@click.option("--write", is_flag=True, help=f"Keep the numbers in {DOCUMENT.name}.")
def main(settings: int, write: bool) -> None:
    """A sweep on one and on two workers."""
    with tempfile.TemporaryDirectory(prefix="benchmark-cluster-") as folder:
        ground = Ground(Path(folder))
        took = {count: round(seconds(ground.fresh(), Path(folder), settings, count), 1) for count in (1, 2)}
    found = {"settings": settings, "seconds": took, "ratio": round(took[2] / took[1], 3), "most": MOST}
    click.echo(f"{settings} settings: one worker {took[1]} s, two {took[2]} s, {found['ratio']} (at most {MOST})")
    if write:
        machine = {"cores": psutil.cpu_count(), "load": round(psutil.getloadavg()[0], 1)}
        write_json(DOCUMENT, found | {"machine": machine, "versions": versions()})


if __name__ == "__main__":
    main(prog_name="python -m benchmarks.cluster")
