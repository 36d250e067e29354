"""python -m asr_core report: a stored setting as one HTML file, or as pictures."""

from pathlib import Path
from typing import Any

import click

from asr_core.checks import plain
from asr_core.cli.options import GRID, SETTING, runtime
from asr_core.errors import StoreError
from asr_core.pipeline import asked
from asr_core.report import textreport
from asr_core.spec import labels
from asr_core.spec.experiment import ExperimentSpec
from asr_core.spec.recalibration import NO_STATE, REPORTED_STATE
from asr_core.spec.repairs import RepairSpec
from asr_core.store import Store, catalogue, results
from asr_core.store.results import Result
from asr_core.store.tables import networks

FORMATS = ("html", "pdf", "png", "svg")
WIDTH, POINTS = 17.0, 8.0  # of pictures: centimetres across a page, points of its text


@click.command()
@SETTING
@GRID
@click.option(
    "--output", required=True, metavar="PATH", type=click.Path(path_type=Path), help="A file; of pictures, a folder."
)
@click.option("--format", "form", default="html", type=click.Choice(FORMATS), help="One HTML file, or pictures.")
@click.pass_obj
def report(store: Store, output: Path, form: str, **values: Any) -> None:
    """Write a stored setting as one HTML file that needs no network, or as pictures 17 cm wide; nothing is computed.

    Drawn are simultaneous repairs without mean correction; --orders and --biases choose others.
    """
    runtime(values)
    given = {"orders": ("simultaneous",), "biases": ("off",)}
    values |= {name: values[name] or usual for name, usual in given.items()}
    experiment = asked.experiment(store, **plain(values))
    result, repairs, missing = stored(store, experiment)
    told = written(result, repairs, output, form)
    absent = f"; not stored and so not in it: {', '.join(missing)}" if missing else ""
    click.echo(f"{output}: {told}{absent}")


def written(result: Result, repairs: tuple[RepairSpec, ...], output: Path, form: str) -> str:
    """Write the file or the pictures; how large it is, or how many they are."""
    from asr_core.figures import onefile, pictures, sized  # they load what draws figures

    if (form == "html") == output.is_dir() and output.exists():
        raise StoreError(f"{output} is {'a folder' if form == 'html' else 'a file'}; --format {form} writes the other.")
    state = REPORTED_STATE if result.batchnorm else NO_STATE
    if form != "html":
        caption, found = textreport.describe(result.setting), onefile.figures(result, repairs, state)
        figures = {title: sized.for_paper(figure, WIDTH, POINTS, caption) for title, figure in found.items()}
        return f"{len(pictures.write(figures, output, form))} pictures"
    output.write_text(onefile.html(result, repairs, state), encoding="utf-8")
    return f"{output.stat().st_size / 1e6:.1f} MB"


def stored(store: Store, experiment: ExperimentSpec) -> tuple[Result, tuple[RepairSpec, ...], list[str]]:
    """(What is stored of a setting, the asked repairs of it, what is missing); raises StoreError if nothing is."""
    everything = catalogue.stored(store)
    found = catalogue.covering(everything, experiment.setting)
    if not found:
        near = catalogue.nearest(everything, experiment.setting)
        differ = catalogue.differences(experiment.setting, near.setting) if near else []
        hint = f" The nearest stored one differs: {', '.join(differ)}." if near else ""
        raise StoreError(
            f"nothing is stored of {experiment.model.words}, {experiment.prune.words}, seed {experiment.dense.seed}; "
            f"compute it first: python -m asr_core run with the same options.{hint}"
        )
    result = results.open_results(store, catalogue.keys_of(found))
    have = set(networks(result.accuracy).unique())
    repairs = tuple(repair for repair in experiment.repairs if repair in have)
    return result, repairs, [labels.label(repair) for repair in experiment.repairs if repair not in have]
