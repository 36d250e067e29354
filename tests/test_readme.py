"""README says what is true: its snippet runs, its numbers are those of the stored results."""

import re

import pytest

from asr_core.report import readme
from asr_core.store import Store
from asr_core.store.entries import PROJECT

README = (PROJECT / "README.md").read_text()


def test_the_notebook_snippet_runs_as_written_and_is_short(capsys):
    snippet = re.search(r"```python\n(.*?)```", README, re.DOTALL).group(1)
    assert len([line for line in snippet.splitlines() if line.strip()]) < 15
    exec(compile(snippet, "README.md", "exec"), {})
    assert "Evaluation(top1=" in capsys.readouterr().out


def test_every_number_of_the_results_section_comes_from_a_shipped_result():
    assert readme.section(README, "results") == readme.results_text(Store(PROJECT / "cache"))


def test_the_list_of_what_is_shipped_is_true():
    assert readme.section(README, "shipped") == readme.shipped_text(Store(PROJECT / "cache"))


@pytest.mark.parametrize("name", readme.BENCHMARKS)
def test_every_number_of_the_benchmark_sections_comes_from_the_kept_benchmarks(name):
    assert readme.section(README, name) == readme.benchmark_text(name)


@pytest.mark.parametrize("target", ["run", "example", "test", "bench"])
def test_each_make_target_that_it_names_exists(target):
    assert f"make {target}" in README
    assert re.search(rf"^{target}:", (PROJECT / "Makefile").read_text(), re.MULTILINE)
