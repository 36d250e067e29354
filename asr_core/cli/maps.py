"""python -m asr_core maps: the output maps of one layer."""

from typing import Any

import click

from asr_core.checks import plain
from asr_core.cli.options import GRID, SETTING, runtime, state
from asr_core.pipeline import asked
from asr_core.pipeline.maps import MapSpec
from asr_core.report import textreport
from asr_core.spec.recalibration import BatchNormState
from asr_core.store import Store


@click.command()
@SETTING
@GRID
@click.option("--layer", required=True, metavar="NAME", help="Layer whose output maps are stored, for example conv1.")
@click.option("--images", default=8, metavar="N", help="The first N images of the evaluation subset.")
@state(calib_batches=0)
@click.pass_obj
def maps(store: Store, layer: str, images: int, **values: Any) -> None:
    """Store the output maps of one layer: dense, pruned and each repaired network, all channels."""
    from asr_core.cli.terminal import shown  # it loads torch, which --help does without
    from asr_core.pipeline import run as pipeline

    way = {name: values.pop(name) for name in ("start", "averaging", "pseudo_count")} | {"momentum": values["momentum"]}
    chosen = BatchNormState.of(**plain(way), calib_batches=values.pop("calib_batches") or 0)
    wanted = MapSpec(layer=layer, state=chosen, images=images)
    where = runtime(values)
    experiment = asked.experiment(store, **plain(values))
    with shown() as report:
        found = pipeline.maps(experiment, store, wanted, report=report, where=where)
    click.echo(textreport.maps(found))
