"""python -m asr_core readme: README's measured sections."""

import click

from asr_core.report import readme as sections
from asr_core.store import Store


@click.command()
@click.pass_obj
def readme(store: Store) -> None:
    """Write the results section of README.md from the shipped results."""
    sections.write(store)
