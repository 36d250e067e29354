"""python -m asr_core run: one experiment, from images to its table."""

import json
import sys
from typing import Any

import click

from asr_core.checks import plain
from asr_core.cli.options import GRID, JSON, SETTING, runtime
from asr_core.pipeline import asked
from asr_core.report import textreport
from asr_core.store import Store, results


@click.command()
@SETTING
@GRID
@JSON
@click.pass_obj
def run(store: Store, as_json: bool, **values: Any) -> None:
    """Train or load a dense network, prune it, repair it, recalibrate BatchNorm, and print the table."""
    where = runtime(values)
    experiment = asked.experiment(store, **plain(values))
    result = results.find(experiment, store)
    if result is None:
        from asr_core.cli.terminal import shown  # only where something is computed: it loads torch
        from asr_core.pipeline import run as pipeline

        with shown() as report:
            result = pipeline.run(experiment, store, report, where)
    if as_json:
        json.dump(results.as_json(result), sys.stdout, indent=1)
        sys.stdout.write("\n")
    else:
        click.echo(textreport.result(result))
