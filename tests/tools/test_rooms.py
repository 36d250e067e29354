"""What makes a newcomer find the room: few floors, no circle, short functions and modules."""

import pytest
from source import ROOT, floors, functions, imports, modules

PACKAGES = ("asr_core", "pages")
# of tests: what is asked of the files themselves, and what needs a real browser
FURTHER = {"pages", "tools", "toys", "browser", "journeys"}
FLOORS, FUNCTION, MODULE = 10, 40, 250  # the most of each: modules in a chain of imports, lines, lines


def test_no_chain_of_imports_within_the_library_is_longer_than_ten_modules():
    high = {name: floor for name, floor in floors("asr_core").items() if floor > FLOORS}
    assert high == {}


@pytest.mark.parametrize("package", PACKAGES)
def test_no_function_is_longer_than_forty_lines(package):
    assert {name: lines for name, lines in functions(package).items() if lines > FUNCTION} == {}


@pytest.mark.parametrize("package", PACKAGES)
def test_no_module_is_longer_than_250_lines(package):
    long = {
        name: lines for name, path in modules(package).items() if (lines := len(path.read_text().splitlines())) > MODULE
    }
    assert long == {}


def test_every_module_is_known_to_the_graph():
    assert imports("asr_core").keys() == modules("asr_core").keys()


def test_tests_stand_in_the_rooms_of_what_they_test():
    rooms = {path.name for path in (ROOT / "asr_core").iterdir() if path.is_dir()}
    assert {path.parent.name for path in (ROOT / "tests").rglob("test_*.py")} - rooms - FURTHER == set()
