"""python -m asr_core sentences: every sentence of pages and figures, with an example, as docs/sentences.md."""

import click

from asr_core.report.sentences import templates


@click.command()
def sentences() -> None:
    """Write docs/sentences.md: all sentences that pages and figures say, one example each."""
    templates.DOCUMENT.write_text(templates.document())
    click.echo(f"wrote {len(templates.TEMPLATES)} sentences.")
