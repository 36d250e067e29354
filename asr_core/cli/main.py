"""The command line of python -m asr_core: each command is imported when it is called."""

import importlib
import warnings
from typing import Any

import click

from asr_core.errors import AsrError
from asr_core.store import Store

CONTEXT = {"help_option_names": ["-h", "--help"], "show_default": True, "max_content_width": 110}
# name -> (module:attribute, loaded when the command is asked for; its line in the list)
COMMANDS = {
    "allocate": ("asr_core.cli.allocate:allocate", "Compare where pruning rules leave the weights, and measure RR."),
    "cache": ("asr_core.cli.cache:cache", "List, verify, clear, trim or migrate what is stored."),
    "gallery": ("asr_core.cli.gallery_command:gallery", "Compute and ship the results that come with the project."),
    "maps": ("asr_core.cli.maps:maps", "Store the output maps of one layer."),
    "paper": ("asr_core.cli.paper:paper", "The paper's tables with the stored results beside them."),
    "readme": ("asr_core.cli.readme:readme", "Write the results section of README.md from the shipped results."),
    "report": ("asr_core.cli.report:report", "Write a stored setting as one HTML file that needs no network."),
    "sentences": ("asr_core.cli.sentences:sentences", "Write docs/sentences.md: what pages and figures say."),
    "run": ("asr_core.cli.run:run", "Train or load a network, prune it, repair it, and print the table."),
    "sweep": ("asr_core.cli.sweep:sweep", "Compute every setting of a matrix in a file."),
    "signal": (
        "asr_core.cli.signal:signal",
        "Store how much of each channel is signal, and what its error consists of.",
    ),
}


class Commands(click.Group):
    """Loads a command when it is asked for: listing them imports none, and one does not wait for what another needs.

    Prints this library's errors as one line and exits with 2; Ctrl-C exits with 130.
    """

    def list_commands(self, context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[name][0].partition(":")
        return getattr(importlib.import_module(module), attribute)

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def invoke(self, context: click.Context) -> Any:
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


@click.group(cls=Commands, context_settings=CONTEXT)
@click.option("--cache-dir", metavar="DIR", help="Where results are stored [default: ASR_CACHE_DIR, or cache/ here].")
@click.pass_context
def main(context: click.Context, cache_dir: str | None) -> None:
    """ASR Lens: prune a CNN, repair it without training, and measure what each repair does."""
    warnings.showwarning = _show_warning
    context.obj = Store(cache_dir)


if __name__ == "__main__":
    main(prog_name="python -m asr_core")
