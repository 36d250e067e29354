"""Texts that are written in the source and made of no table: none of them says which method does better."""

import ast
import re
from pathlib import Path

import pytest

from asr_core.store.entries import PROJECT

METHOD = r"(?:LW|layer-wise|raw|ASR|BN only|ERK|LAMP|uniform|no repair|repair|recalibration)"
CLAIM = (
    r"(?:ahead|behind|better|worse|wins?|beats?|highest|lowest|best|worst|outperforms?|more accurate|helps?|"
    r"recovers?|rescues?|fails?|collapses?)"
)
CLAIMS = re.compile(rf"\b{METHOD}\b[^.:]*\b{CLAIM}\b|\b{CLAIM}\b[^.:]*\b{METHOD}\b", re.IGNORECASE)
WORDS = 4  # of which a text has at least so many
# How texts begin that have such words all the same, and why they hold whatever is stored.
TRUE = {
    "BN only fails, the repair is ahead of it": "names the squares of a figure, which are drawn where that was tested",
    "Where each pruning rule leaves the weights": "what a page shows, not which rule it is",
    "RR is a ratio, not a percentage": "what a ratio of damage after a repair and before it says",
    "So from reset (m₀ = 0, v₀ = 1)": "algebra, and where it does not hold",
}


def fixed(path: Path) -> list[str]:
    """The texts of a file: string literals but docstrings, those that numbers are put into left out."""
    tree = ast.parse(path.read_text())
    documented = [node for node in ast.walk(tree) if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef)]
    left_out = {id(node.body[0].value) for node in documented if isinstance(node.body[0], ast.Expr)}
    left_out |= {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    literals = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return [node.value for node in literals if id(node) not in left_out and len(node.value.split()) >= WORDS]


def every_text() -> list[str]:
    folders = (PROJECT / "pages", PROJECT / "asr_core" / "figures", PROJECT / "asr_core" / "report")
    files = [PROJECT / "app.py", *(path for folder in folders for path in sorted(folder.rglob("*.py")))]
    plain = [path for path in files if path.parent.name != "sentences"]  # which are functions of tables, tested as such
    return [text for path in plain for text in fixed(path)]


def test_no_fixed_text_says_which_method_does_better():
    found = [text for text in every_text() if CLAIMS.search(text) and "{" not in text and not text.endswith("?")]
    assert [text for text in found if not text.startswith(tuple(TRUE))] == []
    assert [begin for begin in TRUE if not any(text.startswith(begin) for text in found)] == []


@pytest.mark.parametrize("claim", ["ASR is the best of all.", "At high sparsity, LW fails.", "It beats BN only."])
def test_a_claim_would_be_found(claim, tmp_path):
    (tmp_path / "page.py").write_text(f'"""ASR beats all in a docstring."""\nst.caption("{claim} So look twice.")\n')
    (text,) = fixed(tmp_path / "page.py")
    assert CLAIMS.search(text)
