"""Every term of the interface: one sentence, one equation where it has one, the words it goes by.

The one source: controls show a term's sentence in their help, the glossary lists all of them, and what is written for
beginners is tested against `unknown`. A term comes after those that its sentence uses.
"""

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

SHORT = (
    "raw",
    "keep",
    "prior",
    "bias",
    "start",
    "draw",
    "seed",
    "a",
    "b",
    "budget",
)  # everyday words: terms in labels only


@dataclass(frozen=True)
class Term:
    """A term. name: as headings have it; sentence: one; equation: in Unicode, or empty; words: other forms of it."""

    name: str
    sentence: str
    equation: str = ""
    words: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The sentence with the equation behind it.

        >>> named("dead channel").text
        'A dead channel answers every image alike, so that no factor brings it back: v_pruned ≤ 1e-12.'
        """
        return f"{self.sentence[:-1]}: {self.equation}." if self.equation else self.sentence


@cache
def terms() -> tuple[Term, ...]:
    """All terms, each after those that its sentence uses."""
    found = tomllib.loads(Path(__file__).with_name("terms.toml").read_text())["term"]
    return tuple(Term(**fields | {"words": tuple(fields.get("words", ()))}) for fields in found)


@cache
def _by_word() -> dict[str, Term]:
    found: dict[str, Term] = {}
    for term in terms():
        for word in (term.name, *term.words):
            found.setdefault(word.lower(), term)
    return found


def named(word: str) -> Term | None:
    """The term that goes by `word`, or None."""
    return _by_word().get(word.lower())


def with_term(label: str, help: str | None) -> str | None:
    """`help` of a control with the sentence of the term that its label names, where there is one."""
    term = named(label)
    if term is None or (help and term.sentence in help):
        return help
    return "\n\n".join(text for text in (help, f"**{term.name}**. {term.text}") if text)


@cache
def _pattern(word: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w-]){re.escape(word)}(?![\w-])", 0 if word.isupper() else re.IGNORECASE)


def used(text: str) -> list[Term]:
    """The terms that stand in a text; everyday words (SHORT) do not count.

    >>> [term.name for term in used("One scalar for all channels")]
    ['channel', 'layer-wise factor']
    """
    plain = text.lower()
    found = []
    for term in terms():
        words = [word for word in (term.name, *term.words) if word not in SHORT]
        words += [f"{word}s" for word in words if word.isalpha()]
        if any(word.lower() in plain and _pattern(word).search(text) for word in words):
            found.append(term)
    return found


def unknown(paragraphs: Iterable[str]) -> list[str]:
    """Terms used before they are introduced: '**channel**' in bold introduces the term, there or before.

    >>> unknown(["A **layer** is a step.", "Each channel of a layer ..."])
    ['channel']
    """
    introduced: set[str] = set()
    missing: dict[str, None] = {}
    for paragraph in paragraphs:
        for bold in re.findall(r"\*\*(.+?)\*\*", paragraph):
            introduced |= {term.name for term in used(bold)}
        missing |= dict.fromkeys(term.name for term in used(paragraph) if term.name not in introduced)
    return list(missing)


def listed() -> list[tuple[str, str]]:
    """(name, sentence with equation) of every term, by name: for documents."""
    return sorted(((term.name, term.text) for term in terms()), key=lambda row: row[0].lower())
