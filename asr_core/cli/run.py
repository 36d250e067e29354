"""python -m asr_core run: one experiment, from images to its table."""

import json
import sys
from typing import Any

import click

from asr_core.checks import plain
from asr_core.cli.options import GRID, JSON, SETTING, runtime
from asr_core.errors import SpecError
from asr_core.pipeline import asked
from asr_core.report import textreport
from asr_core.spec.draws import MOST, each
from asr_core.store import Store, results


@click.command()
@SETTING
@GRID
@click.option(
    "--draws",
    type=click.IntRange(1, MOST),
    default=None,
    metavar="N",
    help="Measure calibration draws 0 to N - 1, a row each in JSON; --draw K chooses one.",
)
@JSON
@click.pass_obj
def run(store: Store, as_json: bool, draws: int | None, **values: Any) -> None:
    """Train or load a dense network, prune it, repair it, recalibrate BatchNorm, and print the table."""
    where = runtime(values)
    if draws is not None and values.get("draw") is not None:
        raise SpecError(f"--draws {draws} measures draws 0 to {draws - 1}, so --draw {values['draw']} cannot hold.")
    experiment = asked.experiment(store, **plain(values))
    wanted = [experiment] if draws is None else each(experiment, draws)
    found = [known for one in wanted if (known := results.find(one, store))]
    if len(found) < len(wanted):
        from asr_core.cli.terminal import shown  # only where something is computed: it loads torch
        from asr_core.pipeline import run as pipeline

        with shown() as report:
            found = [pipeline.run(one, store, report, where) for one in wanted]
    if as_json:
        json.dump(results.as_json(*found), sys.stdout, indent=1)
        sys.stdout.write("\n")
    else:
        click.echo(textreport.result(found[0]))
        if draws is not None and draws > 1:
            click.echo(f"\n{textreport.draws(found)}")
