"""Text that others wrote, shown as it is: values of an address, names of layers, classes, files and folders, errors,
logs.

Streamlit reads almost every text as Markdown, labels of widgets too: an image's address in it is fetched by the
browser. For Plotly's texts, which know a few HTML tags, see `asr_core.figures.style.inert`.
"""

import re

import streamlit as st

# What begins something in Markdown or in Streamlit's additions to it: $formulas$, :red[colours], ~strokes~.
SPECIAL = re.compile(r"[\\`*\[\]<>~$|&]|(?<![^\W_])_|_(?![^\W_])|:(?=[A-Za-z])|^(?:[#+=-]|\d+(?=[.)](?:\s|$)))")
# Addresses, e-mails and :icons: are also looked for in what was escaped, so they are broken by a character without
# width.
JOINER = "\u2060"
FOUND = re.compile(r"(?i)(?<=http)(?=s?:)|(?<=www)(?=\.)|(?<=\w)(?=@\w)|(?<=:)(?=[\w+/-]+:)")


def plain(text) -> str:
    """One line of Markdown that shows `text` as it is.

    >>> plain("a_b *c* ![x](y)")
    'a_b \\\\*c\\\\* !\\\\[x\\\\](y)'
    """
    broken = FOUND.sub(JOINER, " ".join(str(text).split()))
    return SPECIAL.sub(lambda found: _escaped(found[0]), broken)


def _escaped(text: str) -> str:
    """A backslash before a mark, after a number: '1.' begins a list, '1\\.' does not."""
    return f"{text}\\" if text.isdigit() else f"\\{text}"


def code(text) -> str:
    """The same in the font of code, for a value within a sentence."""
    line = " ".join(str(text).split())
    ticks = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    return f"{ticks} {line} {ticks}" if line.startswith("`") or line.endswith("`") else f"{ticks}{line or ' '}{ticks}"


def problem(error) -> None:
    """An error of the library as one line on the page."""
    st.error(plain(error))
