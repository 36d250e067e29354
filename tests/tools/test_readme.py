"""README says what is true: its snippet runs, its numbers are those of the stored results."""

import re

import pytest
import shipped

from asr_core.report import readme
from asr_core.store.entries import PROJECT

README = (PROJECT / "README.md").read_text()


def test_the_notebook_snippet_runs_as_written_and_is_short(capsys):
    snippet = re.search(r"```python\n(.*?)```", README, re.DOTALL).group(1)
    assert len([line for line in snippet.splitlines() if line.strip()]) < 15
    exec(compile(snippet, "README.md", "exec"), {})
    assert "Evaluation(top1=" in capsys.readouterr().out


TEXTS = readme.texts(shipped.store())
SECTIONS = [(file, name) for file, sections in TEXTS.items() for name in sections]


@pytest.mark.parametrize(("file", "name"), SECTIONS)
def test_every_number_of_a_measured_section_comes_from_a_shipped_result_or_kept_benchmark(file, name):
    assert readme.section((PROJECT / file).read_text(), name) == TEXTS[file][name]


def test_readme_is_short():
    assert len(README) < 10_000


@pytest.mark.parametrize("target", ["run", "example", "test", "docs"])
def test_each_make_target_that_it_names_exists(target):
    assert f"make {target}" in README
    assert re.search(rf"^{target}:", (PROJECT / "Makefile").read_text(), re.MULTILINE)
