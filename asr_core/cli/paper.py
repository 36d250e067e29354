"""python -m asr_core paper: the paper's tables beside the stored results."""

import json
from typing import Any

import click

from asr_core import checks
from asr_core.checks import plain
from asr_core.cli.options import JSON, option, state
from asr_core.fields import declarations
from asr_core.report import fidelitytext, papertext
from asr_core.spec.recalibration import Recalibration
from asr_core.spec.repairs import ORDERS
from asr_core.store import Store, catalogue
from asr_core.studies import fidelity
from asr_core.studies.cells import BIASES, Variant


@click.command()
@click.option("--order", default="simultaneous", metavar="NAME", help="Order of collection: simultaneous | sequential.")
@click.option(
    "--bias",
    default="own",
    metavar="NAME",
    help="Mean correction: own (as in table 2: LW without, ASR with) | off | on.",
)
@state()
@option("momentum", declarations(Recalibration)["momentum"])
@click.option("--include-linear", is_flag=True, help="Results whose linear layers are pruned too.")
@JSON
@click.option(
    "--fidelity", "document", is_flag=True, help="Instead, write docs/fidelity.md: which protocol is the paper's?"
)
@click.pass_obj
def paper(store: Store, as_json: bool, document: bool, order: str, bias: str, **values: Any) -> None:
    """The paper's tables with the stored results beside them; computes nothing."""
    if document:
        shipped = fidelitytext.shipped(store)
        study, ratios = fidelity.study(store, shipped), fidelity.ratios(store, shipped)
        fidelitytext.DOCUMENT.write_text(fidelitytext.text(study, ratios, shipped))
        return
    chosen = BIASES[checks.choose("bias", bias, BIASES)]
    variant = Variant(order=checks.choose("order", order, ORDERS), bias=chosen, **plain(values))
    stored = catalogue.stored(store)
    tables = papertext.as_json if as_json else papertext.report
    found = tables(store, stored, variant)
    click.echo(json.dumps(found, indent=1) if as_json else found)
