"""python -m asr_core cache: list, verify, clear, trim or migrate what is stored."""

import sys

import click

from asr_core import checks
from asr_core.errors import SpecError
from asr_core.jobs import needs, unreadable
from asr_core.report import textreport
from asr_core.store import Store, catalogue, housekeeping


@click.group()
def cache() -> None:
    """List, verify, clear, trim or migrate what is stored."""


@cache.command()
@click.pass_obj
def ls(store: Store) -> None:
    """One line per stage and per stored result."""
    click.echo(textreport.stored(store))


@cache.command()
@click.pass_obj
def verify(store: Store) -> None:
    """Check every manifest and file; entries that are damaged or of another version are named and set aside."""
    damaged = [*catalogue.verify(store), *unreadable.lines(store)]
    click.echo("\n".join(damaged) if damaged else "all entries are sound.")
    if damaged:
        sys.exit(1)


@cache.command()
@click.argument("stages", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Every stage, dense networks, results and uploads too.")
@click.pass_obj
def clear(store: Store, stages: tuple[str, ...], everything: bool) -> None:
    """Remove local entries of STAGES (shipped results stay), or `uploads`: images and weights sent to the dashboard."""
    local = store.clearable()
    for stage in stages:
        checks.choose("stage", stage, local)
    if not stages and not everything:
        raise SpecError(f"name the stages to clear, or --all. Stored: {', '.join(local) or 'nothing'}.")
    click.echo(f"removed {store.clear(local if everything else stages)} entries.")


@cache.command()
@click.option("--at-most", metavar="SIZE", help=f"What may stay, e.g. 5GB [default: {housekeeping.BOUND}].")
@click.pass_obj
def trim(store: Store, at_most: str | None) -> None:
    """Remove least recently used local stages that can be computed again, until the local store has SIZE.

    Dense networks, results, images and uploads stay, what jobs need, and what was used in the last ten minutes.
    """
    done = needs.trim(store, None if at_most is None else housekeeping.size_of(at_most))
    if done is None:
        raise SpecError(f"no bound is given; name one with --at-most 5GB, or in {housekeeping.BOUND}.")
    click.echo(f"removed {done.entries} entries: {done.before / 1e6:,.1f} MB before, {done.after / 1e6:,.1f} MB now.")


@cache.command()
@click.pass_obj
def migrate(store: Store) -> None:
    """Take over sound entries of the format before this one, shipped ones too; what was measured stays."""
    from asr_core.store import migration

    click.echo(f"took over {migration.migrate(store)} entries.")
