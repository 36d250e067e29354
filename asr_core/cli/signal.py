"""python -m asr_core signal: how much of each channel is the dense network's signal."""

from typing import Any

import click

from asr_core.checks import plain
from asr_core.cli.options import GRID, SETTING, runtime, state
from asr_core.pipeline import asked, signals
from asr_core.report import signaltext
from asr_core.spec.recalibration import BatchNormState
from asr_core.store import Store


@click.command()
@SETTING
@GRID
@state()
@click.pass_obj
def signal(store: Store, **values: Any) -> None:
    """Store correlation with the dense output and the error in three parts, of every channel of no repair and of each
    repaired network, before recalibration and after it; on the statistics images and as many test images."""
    from asr_core.cli.terminal import shown  # it loads torch, which --help does without
    from asr_core.pipeline import run as pipeline

    way = {name: values.pop(name) for name in ("start", "averaging", "calib_batches", "pseudo_count")}
    wanted = BatchNormState.of(**plain(way | {"momentum": values["momentum"]}))
    where = runtime(values)
    experiment = asked.experiment(store, **plain(values))
    with shown() as report:
        dense_id = pipeline.signal(experiment, store, wanted, report=report, where=where)
    table, _ = signals.read(experiment, store, dense_id, wanted)
    click.echo(signaltext.text(table))
