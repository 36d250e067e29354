"""The command line: python -m asr_core run | maps | allocate | gallery | readme | paper | cache."""

import json
import sys
import warnings

import click

from asr_core import checks
from asr_core.cli.options import BUDGET, GRID, MACHINE, NETWORK, SETTING, as_sparsities
from asr_core.errors import AsrError, SpecError
from asr_core.pipeline import allocations
from asr_core.report import textreport
from asr_core.runtime import Runtime
from asr_core.spec import grid
from asr_core.store import Store

CONTEXT = {"help_option_names": ["-h", "--help"], "show_default": True, "max_content_width": 110}


class OneLineErrors(click.Group):
    """Prints this library's errors as one line and exits with 2; Ctrl-C exits with 130."""

    def invoke(self, context):
        try:
            return super().invoke(context)
        except AsrError as error:
            click.echo(f"error: {error}", err=True)
            context.exit(2)
        except KeyboardInterrupt:
            click.echo("stopped; what was finished is stored, run again to go on.", err=True)
            context.exit(130)


def _show_warning(message, category, filename, lineno, file=None, line=None):
    click.echo(f"warning: {message}", err=True)


@click.group(cls=OneLineErrors, context_settings=CONTEXT)
@click.option("--cache-dir", metavar="DIR", help="Where results are stored [default: ASR_CACHE_DIR, or cache/ here].")
@click.pass_context
def main(context, cache_dir):
    """ASR Lens: prune a CNN, repair it without training, and measure what each repair does."""
    warnings.showwarning = _show_warning
    context.obj = Store(cache_dir)


@main.command()
@SETTING
@GRID
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object on stdout.")
@click.pass_obj
def run(store, as_json, device, threads, data_dir, **asked):
    """Train or load a dense network, prune it, repair it, recalibrate BatchNorm, and print the table."""
    from asr_core.cli import settings
    from asr_core.store import results

    where = Runtime(device=device, threads=threads, data_dir=data_dir, weights=asked["weights"])
    experiment = settings.experiment(store, **asked)
    result = results.find(experiment, store)
    if result is None:
        from asr_core.cli import terminal

        result = terminal.run(experiment, store, where)
    if as_json:
        json.dump(results.as_json(result), sys.stdout, indent=1)
        sys.stdout.write("\n")
    else:
        click.echo(textreport.result(result))


@main.command()
@SETTING
@GRID
@click.option("--layer", required=True, metavar="NAME", help="Conv whose output maps are stored, for example conv1.")
@click.option("--images", default=8, metavar="N", help="The first N images of the evaluation subset.")
@click.option("--batches", default=0, metavar="B", help="Recalibrate the repaired networks with B batches first.")
@click.option("--start", default="reset", metavar="NAME", help="Of the recalibration: reset | keep.")
@click.option("--averaging", default="ema", metavar="NAME", help="Of the recalibration: ema | cumulative.")
@click.pass_obj
def maps(store, layer, images, batches, start, averaging, device, threads, data_dir, **asked):
    """Store the output maps of one conv: dense, pruned and each repaired network, all channels."""
    from asr_core.cli import settings, terminal
    from asr_core.pipeline import maps

    state = grid.BatchNormState.of(start, averaging, asked["momentum"], batches)
    wanted = maps.MapSpec(layer=layer, state=state, images=images)
    experiment = settings.experiment(store, **asked)
    where = Runtime(device=device, threads=threads, data_dir=data_dir, weights=asked["weights"])
    click.echo(textreport.maps(terminal.maps(experiment, store, wanted, where)))


@main.command()
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
    default=",".join(map(str, allocations.SPARSITIES)),
    callback=as_sparsities,
    metavar="X,X,...",
    help="Trial sparsities of each layer for RR.",
)
@click.option(
    "--stat-images", default=64, metavar="N", help="Training images that RR is measured on; labels are not used."
)
@MACHINE
@click.option("--json", "as_json", is_flag=True, help="Print the tables as one JSON object on stdout.")
@click.pass_obj
def allocate(store, rules, sparsities, as_json, device, threads, data_dir, **asked):
    """Compare where pruning rules leave the weights, and measure how repairable each conv is (RR)."""
    from asr_core.cli import settings, terminal

    where = Runtime(device=device, threads=threads, data_dir=data_dir, weights=asked["weights"])
    options = settings.DEFAULTS | asked
    prunings = [
        settings.prune_spec(**{name: options[name] for name in settings.PRUNING} | {"pruning": rule})
        for rule in allocations.named(rules)
    ]
    experiment = settings.experiment(store, **options).with_(prune=prunings[0])
    found = terminal.allocate(experiment, store, prunings, sparsities, where)
    click.echo(json.dumps(found.as_json(), indent=1) if as_json else textreport.allocation(found))


@main.command()
@click.option(
    "--images", metavar="PATH", help="ImageFolder tree of CIFAR-10 for the results on it [default: digits only]."
)
@click.option("--threads", default=None, type=int, metavar="N", help="CPU threads [default: torch's].")
@click.pass_obj
def gallery(store, images, threads):
    """Compute and ship the results that come with the project; skips what is shipped, prints the cost first."""
    from asr_core.cli import terminal

    terminal.gallery(store, images, Runtime(threads=threads))


@main.command()
@click.pass_obj
def readme(store):
    """Write the results section of README.md from the shipped results."""
    from asr_core.report import readme as section

    section.write(store)


@main.command()
@click.option("--order", default="simultaneous", metavar="NAME", help="Order of collection: simultaneous | sequential.")
@click.option(
    "--bias",
    default="own",
    metavar="NAME",
    help="Mean correction: own (as in table 2: LW without, ASR with) | off | on.",
)
@click.option("--start", default="reset", metavar="NAME", help="Of the recalibration: reset | keep.")
@click.option("--averaging", default="ema", metavar="NAME", help="Of the recalibration: ema | cumulative.")
@click.option("--momentum", default=0.1, metavar="X", help="Momentum of the ema averaging, in (0, 1].")
@click.option("--batches", default=20, metavar="B", help="Recalibration budget in batches.")
@click.option("--include-linear", is_flag=True, help="Results whose linear layers are pruned too.")
@click.option("--json", "as_json", is_flag=True, help="Print the tables as one JSON object on stdout.")
@click.option("--fidelity", is_flag=True, help="Instead, write docs/fidelity.md: which protocol is the paper's?")
@click.pass_obj
def paper(store, as_json, fidelity, bias, include_linear, **asked):
    """The paper's tables with the stored results beside them; computes nothing."""
    from asr_core.report import papertext
    from asr_core.store import catalogue
    from asr_core.studies import protocol

    if fidelity:
        papertext.write_fidelity(store)
        return
    chosen = protocol.BIASES[checks.choose("bias", bias, protocol.BIASES)]
    checks.choose("order", asked["order"], grid.ORDERS)
    variant = protocol.Variant(bias=chosen, linear=include_linear, **asked)
    stored = catalogue.stored(store)
    click.echo(
        json.dumps(papertext.as_json(store, stored, variant), indent=1)
        if as_json
        else papertext.report(store, stored, variant)
    )


@main.group()
def cache():
    """List, verify or clear what is stored."""


@cache.command()
@click.pass_obj
def ls(store):
    """One line per stage and per stored result."""
    click.echo(textreport.stored(store))


@cache.command()
@click.pass_obj
def verify(store):
    """Check every file against the hash in its manifest; damaged entries are set aside."""
    damaged = store.verify()
    click.echo("\n".join(damaged) if damaged else "all entries are sound.")
    if damaged:
        sys.exit(1)


@cache.command()
@click.argument("stages", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Every stage, dense networks, results and uploads too.")
@click.pass_obj
def clear(store, stages, everything):
    """Remove local entries of STAGES (shipped results stay), or `uploads`: images and weights sent to the dashboard."""
    local = store.clearable()
    for stage in stages:
        checks.choose("stage", stage, local)
    if not stages and not everything:
        raise SpecError(f"name the stages to clear, or --all. Stored: {', '.join(local) or 'nothing'}.")
    click.echo(f"removed {store.clear(local if everything else stages)} entries.")


if __name__ == "__main__":
    main(prog_name="python -m asr_core")
