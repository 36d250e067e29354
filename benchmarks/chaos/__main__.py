"""python -m benchmarks.chaos: try each fault, print a row of each, say whether all were survived."""

import json
import tempfile
import time
import traceback
from pathlib import Path
from random import Random

import click

from benchmarks.chaos import reliability
from benchmarks.chaos.faults import FAULTS
from benchmarks.chaos.ground import Ground, environment
from benchmarks.chaos.tally import Tally


def tried(name: str, ground: Ground, count: int, seed: int = 0) -> Tally:
    """One fault, `count` times; what it could not stand is in the tally."""
    begun = time.perf_counter()
    try:
        with environment():
            tally = FAULTS[name].function(ground, count, Random(seed))
    except Exception as error:
        traceback.print_exc()
        tally = Tally(name, broken=[f"{type(error).__name__}: {error}"])
    tally.seconds = round(time.perf_counter() - begun, 1)
    return tally


@click.command(context_settings={"show_default": True})
@click.option("--only", multiple=True, type=click.Choice(list(FAULTS)), help="These faults; may be repeated.")
@click.option("--count", type=int, help="How often each is tried [default: the full count of each].")
@click.option("--quick", is_flag=True, help="A few tries of each: to see that it works.")
@click.option("--seed", default=0, help="Of the random moments and places.")
@click.option(
    "--json", "json_file", metavar="FILE", help="Keep the rows of these faults in FILE, beside those of others."
)
@click.option(
    "--write", is_flag=True, help=f"The same in {reliability.JSON.name}, and write {reliability.PAGE.name} of it."
)
def main(only, count, quick, seed, json_file, write) -> None:
    """Faults, each done for real on a small store in a temporary folder."""
    rows = []
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        ground = Ground(Path(folder))
        for name in only or FAULTS:
            fault = FAULTS[name]
            tally = tried(name, ground, count or (fault.quick if quick else fault.count), seed)
            click.echo(reliability.line(tally), err=True)
            rows.append(reliability.row(name, fault, tally))
    click.echo(reliability.table(rows))
    if json_file:
        reliability.keep(Path(json_file), rows)
    if write:
        reliability.keep(reliability.JSON, rows)
        reliability.PAGE.write_text(reliability.page(json.loads(reliability.JSON.read_text())))
    raise SystemExit(any(not row["survived"] for row in rows))


if __name__ == "__main__":
    main(prog_name="python -m benchmarks.chaos")
