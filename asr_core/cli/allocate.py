"""python -m asr_core allocate: where pruning rules leave the weights of one network."""

import json
from typing import Any

import click

from asr_core.checks import plain
from asr_core.cli.options import BUDGET, JSON, MACHINE, NETWORK, fields_of, numbers, runtime, together
from asr_core.pipeline import allocations, asked
from asr_core.pruning.budget import TRIALS
from asr_core.report import allocation
from asr_core.spec.samples import CalibrationSpec
from asr_core.store import Store


@click.command()
@NETWORK
@BUDGET
@click.option(
    "--rules",
    default=",".join(allocations.rules()),
    metavar="NAMES",
    help="Pruning rules to compare, separated by commas.",
)
@click.option(
    "--sparsities",
    default=",".join(map(str, TRIALS)),
    callback=numbers(float, "fractions of weights removed, for example 0.5,0.9"),
    metavar="X,X,...",
    help="Trial sparsities of each layer for RR.",
)
@together(*fields_of(CalibrationSpec, "calib_batch_size"))
@MACHINE
@JSON
@click.pass_obj
def allocate(store: Store, rules: str, sparsities: tuple[float, ...], as_json: bool, **values: Any) -> None:
    """Compare where pruning rules leave the weights, and measure how repairable each layer is (RR)."""
    from asr_core.cli.terminal import shown  # it loads torch, which --help does without
    from asr_core.pipeline import run as pipeline

    where, given = runtime(values), plain(values)
    prunings = [asked.pruning(**given | {"pruning": rule}) for rule in allocations.named(rules)]
    experiment = asked.experiment(store, **given | {"pruning": prunings[0].pruning})
    with shown() as report:
        found = pipeline.allocate(experiment, store, prunings, sparsities, report, where)
    click.echo(json.dumps(allocation.as_json(found), indent=1) if as_json else allocation.text(found))
