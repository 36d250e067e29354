"""The glossary: one sentence per term, and what is written for beginners uses no term before it is introduced."""

import pytest

from asr_core.fields import declarations
from asr_core.report import glossary, ideatext
from asr_core.report.glossary import terms
from asr_core.spec.recalibration import Recalibration
from asr_core.spec.repairs import RepairChoice
from asr_core.store.entries import PROJECT

NAMES = [term.name for term in terms()]


@pytest.mark.parametrize("term", terms(), ids=NAMES)
def test_a_term_is_one_sentence(term):
    assert term.sentence.endswith(".")
    assert term.sentence.replace("vs.", "").count(". ") == 0


@pytest.mark.parametrize("place", range(len(NAMES)), ids=NAMES)
def test_a_sentence_uses_only_terms_that_come_before_it(place):
    used = {term.name for term in glossary.used(terms()[place].text)}
    assert used <= set(NAMES[: place + 1])


def test_no_two_terms_go_by_one_word():
    words = [word.lower() for term in terms() for word in (term.name, *term.words)]
    assert sorted(words) == sorted(set(words))


@pytest.mark.parametrize("name", [*declarations(RepairChoice), *declarations(Recalibration)])
def test_controls_of_repairs_and_recalibration_have_a_term(name):
    field = (declarations(RepairChoice) | declarations(Recalibration))[name]
    assert glossary.named(field.label)


def test_help_ends_with_the_sentence_of_the_label_s_term():
    assert glossary.with_term("Momentum", "Weight.") == "Weight.\n\n**momentum**. " + glossary.named("momentum").text
    assert glossary.with_term("Colours", "As they are.") == "As they are."
    assert glossary.with_term("Momentum", None).startswith("**momentum**")


def test_a_term_before_its_introduction_is_found():
    assert glossary.unknown(["Each channel of it."]) == ["channel"]
    assert glossary.unknown(["A **channel** is a map.", "Each channel of it."]) == []
    assert glossary.unknown(["A **channel** has noise."]) == ["noise"]


def test_the_idea_uses_no_term_before_it_introduces_it():
    assert glossary.unknown(ideatext.paragraphs()) == []


def test_what_the_bars_say_uses_only_terms_that_were_introduced_before_them():
    script = (PROJECT / "pages/_frame/idea.js").read_text()
    said = script[script.index("function equations") : script.index("function build")]
    assert len(glossary.used(said)) >= 5
    assert glossary.unknown([*ideatext.INTRO, said]) == []
