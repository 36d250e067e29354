"""Every sentence on a usual table and on extreme ones: what it must say there, and what it must never say."""

import inspect
import re
from importlib import import_module
from pkgutil import iter_modules

import pytest

from asr_core import figures
from asr_core.cli.sentences import DOCUMENT, TEMPLATES, document
from asr_core.measure.statistics import AHEAD, BEHIND, EQUAL, UNMEASURED
from asr_core.report import words
from asr_core.report.sentences import (
    absorbed,
    accuracies,
    damage,
    ideas,
    images,
    maps,
    noise,
    paper,
    reasons,
    rules,
    settings,
    signals,
    sure,
)

MODULES = (accuracies, damage, maps, absorbed, rules, settings, noise, paper, sure, images, reasons, signals, ideas)
# Parts of sentences and cells of tables, which stand in the sentences of others.
PARTS = {
    *("maps.errors", "rules.alone_in_words", "rules.band", "rules.verdict_row", "settings.correlated"),
    *("settings.why_none", "noise.one", "noise.settle", "paper.size", "paper.point"),
}
CASES = {f"{name}, {case}": say for name, cases in TEMPLATES.items() for case, say in cases()}
NEVER = re.compile(
    r"\bnan\b|\binf\b|None(?! of the chosen)|undefined ×|  |\bbest (?!scalar|factor)|\bcannot matter\b"
    r"|repaired exactly|\bnowhere\b"
)


def name_of(module) -> str:
    return module.__name__.rpartition(".")[2]


def test_every_sentence_has_a_table_of_extreme_cases():
    public = {
        f"{name_of(module)}.{name}"
        for module in MODULES
        for name, one in inspect.getmembers(module, inspect.isfunction)
        if one.__module__ == module.__name__ and not name.startswith("_")
    }
    assert public - PARTS == TEMPLATES.keys() - {"fidelitytext.conclusion"}


def test_every_chart_says_one_of_these_sentences():
    """But variance.SCATTER, which hands damage.variances a second table, made of the drawn one."""
    found = [import_module(f"asr_core.figures.{module.name}") for module in iter_modules(figures.__path__)]
    charts = {one for module in found for one in vars(module).values() if isinstance(one, figures.Chart)}
    elsewhere = {chart.name for chart in charts if import_module(chart.sentence.__module__) not in MODULES}
    assert len(charts) > 30
    assert elsewhere == {"variance.SCATTER"}


@pytest.mark.parametrize("case", CASES)
def test_no_sentence_shows_a_number_that_is_none_or_claims_a_cause(case):
    text = CASES[case]()
    assert text and NEVER.search(text) is None


@pytest.mark.parametrize(
    ("case", "said"),
    [
        (
            "accuracies.overview, usual",
            "ASR is highest of the repairs with 70.0 % [68.0, 72.0]: ahead of BN only; may be equal to LW",
        ),
        ("signals.profile, no error", "Pruning leaves no error that could be divided up."),
        ("signals.parts, not finite in one layer", "LW (eq. 1): decorrelation 57 % (not finite in 1 of 2 layers)"),
        ("signals.parts, not finite in any layer", "ASR: not finite in any layer"),
        ("signals.shrinkage, all equal", "Its 3 live channels do not vary enough"),
        ("ideas.layer, not finite", "Pruning left 50 % to no finite share of their variances"),
        ("ideas.depth, all dead", "pruned 0 %, one scalar 0 %, shrinkage no finite share"),
        ("ideas.batchnorm, no repair stored", "No repair is stored here"),
        ("ideas.runaway, one is not known", "Largest layer-wise factor: 3 at 90 %"),
        (
            "accuracies.overview, no BatchNorm",
            "Without BatchNorm (simultaneous, bias off), ASR is highest of the repairs",
        ),
        (
            "absorbed.unabsorbed, usual",
            "Without BatchNorm nothing absorbs a repair. Without one 15.0 % of 10,000 test images are right (dense "
            "83.0 %). Of 3 repairs (simultaneous, bias off), against that: ahead in 2, may be equal in 1 (McNemar on "
            "the same images, Holm over 3 pairs); from ASR, -2.0 points, to LW (eq. 1), +31.0 points, 46% of what "
            "pruning took.",
        ),
        ("absorbed.unabsorbed, no recalibration", "At b = 0 nothing absorbs a repair."),
        (
            "absorbed.unabsorbed, all equal",
            "Holm over 2 pairs); each: +0.0 points.",
        ),
        ("absorbed.unabsorbed, one repair", "; ASR: +31.0 points, 46% of what pruning took."),
        ("absorbed.unabsorbed, worse than no repair", "from LW (eq. 1), -5.0 points, to ASR, -2.0 points."),
        ("absorbed.unabsorbed, not kept per image", "against that: not measured in 3; from"),
        ("absorbed.unabsorbed, pruning took nothing", "to LW (eq. 1), +31.0 points."),
        ("accuracies.overview, all equal", "BN only, LW (eq. 1) and ASR are highest of the repairs"),
        ("accuracies.overview, all equal", "may be equal to no repair"),
        ("accuracies.overview, one is not stored", "Not stored: LW (eq. 1)."),
        ("accuracies.overview, none is stored", "None of the chosen repairs is stored"),
        ("accuracies.overview, worse than no repair", "behind no repair"),
        ("accuracies.overview, not kept per image", "not measured against LW"),
        ("accuracies.curves, one is not stored at a budget", "(1 of 2 stored)"),
        ("damage.strip, all equal", "is the same in every layer"),
        ("sure.errors, usual", "that is more than before for BN only and ASR"),
        ("sure.errors, one is not stored", "Not stored: LW (eq. 1)."),
        ("sure.errors, all equal", "the 2 repairs alike 5.0"),
        ("sure.errors, nothing is stored", "Of none of the chosen networks the confidence is stored"),
        (
            "images.paying, usual",
            "90 of them are regained by all 3 repairs, 80 by exactly one (alone: BN only 50, ASR 30)",
        ),
        ("images.paying, nothing is lost", "so there is none to regain"),
        ("images.paying, not tested", "not measured: LW (eq. 1) and ASR"),
        ("images.paying, one is not stored", "Not stored: raw."),
        (
            "images.recalls, one gains",
            "takes most from class c0 (90 to 10 % right) and gives most to class c1 (40 to 80 % right).",
        ),
        ("images.recalls, none loses", "Pruning takes from no class and gives most to class c1 (40 to 80 % right)."),
        ("images.recalls, all equal", "Pruning takes from no class. "),
        ("images.recalls, usual", "ahead of no repair in 1, behind in 1 and may be equal in 1"),
        ("reasons.why, usual", "54 % is granularity (other factors on the same inputs) and 46 % compounding"),
        ("reasons.why, one works against the other", "130 % is granularity"),
        ("reasons.why, one works against the other", "the one below 0 works against the other"),
        ("reasons.why, new weights", "granularity is not defined"),
        ("reasons.why, accuracy not stored", "is not stored at ema 0.1 from reset, b = 20"),
        ("images.confusions, all right", "no image is wrong"),
        ("damage.strip, all dead", "No layer has a severity"),
        ("damage.spread, nothing pruned", "nothing to mend"),
        ("damage.variances, diverged", "their gains multiply with depth"),
        ("damage.cells, zero ratios", "(1 of 2 are 0)"),
        ("damage.energy, all equal", "fewer than 8 distinct values"),
        ("damage.energy, not known of all", "Over the 1 channel of"),
        ("accuracies.equal, some are not stored", "of 2; the other 2 are not stored"),
        ("absorbed.leftover, one is not finite", "Not finite, so not told: asr_bn in 1 layer"),
        ("maps.sentence, no repair is nearest", "No repair is nearer to dense than none"),
        ("maps.sentence, a tie", "LW (eq. 1) or ASR (simultaneous, bias off)"),
        ("maps.sentence, BN only is nearest", "is BN only: the difference is"),
        ("maps.sentence, BN only is nearest", ", with ASR (simultaneous, bias off) "),
        ("maps.sentence, as far on the other side", "No repair is nearer to dense than none"),
        ("maps.sentence, pruned not finite", "Values that are not finite (red): no repair."),
        ("maps.pixel_sentence, one is not finite", "Values that are not finite (red): ASR."),
        ("absorbed.gaps, not absorbed", "are not one network"),
        ("absorbed.agreement, usual", "One network is too few for a correlation"),
        ("rules.bands, a hole", "LAMP at 90 and 94 %; not stored at 92 %"),
        ("rules.bands, not stored", "LAMP not told; not stored at 90 and 92 %"),
        ("rules.bands, no recalibration", "the pruned network (b = 0: no recalibration)"),
        ("rules.verdict, may be equal", "0 of 1"),
        ("settings.gains, few networks", "no correlation is given for fewer than 5 networks"),
        ("settings.gains, few values", "no correlation is given for fewer than 8 distinct values"),
        ("settings.gains, absorbed", "there is nothing to correlate"),
        ("noise.differences, one draw", "How many draws or seeds it would take cannot be told"),
        ("noise.differences, certain", "told apart against all three noises"),
        ("paper.table2, the paper's own network", "its own weights of this architecture"),
        ("paper.surface, not kept per image", "1 are not measured against it"),
        ("fidelitytext.conclusion, nothing stored", "nothing can be told"),
    ],
)
def test_what_is_said_of_an_extreme_table(case, said):
    assert said in CASES[case]()


def test_a_relation_uses_the_four_words_alone():
    names = ["a", "b", "c", "d"]
    said = words.relation(names, [AHEAD, BEHIND, EQUAL, UNMEASURED])
    assert said == "ahead of a; behind b; may be equal to c; not measured against d"
    assert words.relation(["a", "b", "c"], [AHEAD] * 3) == "ahead of all 3 others"


def test_the_list_of_sentences_is_what_they_say():
    assert DOCUMENT.read_text() == document()
