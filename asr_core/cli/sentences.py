"""python -m asr_core sentences: every sentence of pages and figures by its name, with small tables that it is tried on,
as docs/sentences.md."""

from collections.abc import Callable
from pathlib import Path

import click

from asr_core.measure.statistics import LEVEL
from asr_core.report.sentences import (
    examples,
    examples_of_answers,
    examples_of_ideas,
    examples_of_protocols,
    examples_of_studies,
    more_examples,
)
from asr_core.report.sentences.examples import Case
from asr_core.store.entries import PROJECT

DOCUMENT: Path = PROJECT / "docs" / "sentences.md"
COMMAND = "python -m asr_core sentences"
TEMPLATES: dict[str, Callable[[], list[Case]]] = {
    "accuracies.overview": examples.overview,
    "accuracies.curves": more_examples.curves,
    "accuracies.equal": more_examples.equal,
    "accuracies.decay": more_examples.decay,
    "damage.strip": examples.strip,
    "damage.spread": examples.spread,
    "damage.variances": examples.variances,
    "damage.cells": more_examples.cells,
    "damage.spectrum": more_examples.spectrum,
    "damage.panels": more_examples.panels,
    "damage.energy": more_examples.energy,
    "maps.sentence": examples.pictures,
    "maps.pixel_sentence": more_examples.pixel,
    "maps.kernel": more_examples.kernel,
    "absorbed.gaps": examples_of_studies.gaps,
    "absorbed.unabsorbed": examples_of_studies.unabsorbed,
    "absorbed.agreement": examples_of_studies.agreement,
    "absorbed.leftover": examples_of_studies.leftover,
    "rules.bars": more_examples.bars,
    "rules.repairability": more_examples.repairability,
    "rules.bands": examples_of_studies.bands,
    "rules.verdict": more_examples.verdict,
    "rules.protection": more_examples.protection,
    "settings.gains": examples_of_studies.gains,
    "noise.differences": examples_of_studies.differences,
    "noise.methods": examples_of_studies.noises,
    "noise.factors": examples_of_studies.factors,
    "signals.profile": examples_of_ideas.profile,
    "signals.parts": examples_of_ideas.parts,
    "signals.shrinkage": examples_of_ideas.shrinkage,
    "ideas.layer": examples_of_ideas.layer,
    "ideas.depth": examples_of_ideas.depth,
    "ideas.batchnorm": examples_of_ideas.batchnorm,
    "ideas.runaway": examples_of_ideas.runaway,
    "sure.errors": examples_of_answers.errors,
    "sure.bins": examples_of_answers.bins,
    "images.paying": examples_of_answers.paying,
    "images.recalls": examples_of_answers.recalls,
    "images.confusions": examples_of_answers.confusions,
    "reasons.why": examples_of_answers.why,
    "paper.table2": examples_of_studies.table2,
    "paper.surface": more_examples.surface,
    "paper.steps": more_examples.steps,
    "fidelitytext.conclusion": examples_of_protocols.protocols,
}
ABOUT = f"""# What the tool says

Written by `{COMMAND}`; a test compares. Each sentence is a function of the table that is drawn beside it
(`asr_core/report/sentences`), shown here with a usual table and tried on the extreme ones that are named.

Sentences compare in four words. **ahead**, **behind**: more, or fewer, of the same test images are right, by McNemar's
test, corrected by Holm for all pairs that are looked at, at p < {LEVEL:g}. **may be equal**: tested and not told apart,
which is no statement that they are equal. **not measured**: one of the two is not stored, or not on the same images. No
overlap of intervals decides anything. A correlation is given from 8 distinct values and 5 dense networks on, with an
interval over networks. Gaps of the paper of up to 1.6 points, by which its own tables differ, are ties."""


def document() -> str:
    """docs/sentences.md."""
    blocks = [ABOUT]
    for name, cases in TEMPLATES.items():
        (_, usual), *rest = cases()
        tried = f"\n\nTried on: {', '.join(case for case, _ in rest)}." if rest else ""
        blocks.append(f"## {name}\n\n> {usual()}{tried}")
    return "\n\n".join(blocks) + "\n"


@click.command()
def sentences() -> None:
    """Write docs/sentences.md: all sentences that pages and figures say, one example each."""
    DOCUMENT.write_text(document())
    click.echo(f"wrote {len(TEMPLATES)} sentences.")
