"""What docstrings show is so: every example runs, every public name has one, and a reference is made of them."""

import doctest
import importlib
import inspect
import warnings

import pytest
from source import modules

import asr_core

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
SHOWN = [name for name, path in modules("asr_core").items() if ">>> " in path.read_text()]


@pytest.mark.parametrize("module", SHOWN)
def test_every_example_of_a_docstring_runs(module):
    found = doctest.testmod(importlib.import_module(module), optionflags=FLAGS)
    assert found.attempted > 0
    assert found.failed == 0


@pytest.mark.parametrize("name", asr_core.__all__)
def test_every_public_name_has_an_example_and_says_what_it_raises(name):
    text = inspect.getdoc(getattr(asr_core, name))
    assert ">>> " in text
    assert "Raises " in " ".join(text.split())


@pytest.mark.parametrize("name", asr_core.__all__)
def test_every_argument_of_a_public_name_has_a_type(name):
    signature = inspect.signature(getattr(asr_core, name))
    bare = [argument.name for argument in signature.parameters.values() if argument.annotation is argument.empty]
    assert bare == []
    assert signature.return_annotation is not signature.empty


def test_a_reference_is_made_of_the_docstrings(tmp_path):
    import pdoc

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pdoc.pdoc("asr_core.repairs.repairing", output_directory=tmp_path)
    assert "repair_factors" in (tmp_path / "asr_core" / "repairs" / "repairing.html").read_text()
