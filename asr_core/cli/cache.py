"""python -m asr_core cache: list, verify, clear or migrate what is stored."""

import sys

import click

from asr_core import checks
from asr_core.errors import SpecError
from asr_core.jobs import unreadable
from asr_core.report import textreport
from asr_core.store import Store, catalogue


@click.group()
def cache() -> None:
    """List, verify, clear or migrate what is stored."""


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
@click.pass_obj
def migrate(store: Store) -> None:
    """Take over sound entries of the format before this one, shipped ones too; what was measured stays."""
    from asr_core.store import migration

    click.echo(f"took over {migration.migrate(store)} entries.")
