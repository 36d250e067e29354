"""A sweep: a matrix of settings in a file, in the spec's own names, read and checked whole. Imports no torch."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

import yaml

from asr_core.errors import AsrError, SpecError, UnknownName
from asr_core.fields import Field, declarations
from asr_core.pipeline import asked
from asr_core.registry import parameters
from asr_core.spec.experiment import ExperimentSpec, setting_fields
from asr_core.spec.recalibration import PRESETS, Recalibration
from asr_core.spec.repairs import KIND, RepairChoice
from asr_core.store import Store

MOST = 10_000  # settings of one file
PATHS = ("dataset", "architecture", "weights", "class_map")  # taken as they are: they may name files
LISTS = (*declarations(RepairChoice), "budgets", "presets")  # what each setting has several of: no axes
FORM = "give a mapping of names to a value or a list of values, or a list of such mappings"


class _Loader(yaml.SafeLoader):
    """YAML in which on and off are words, as in the names of biases, and a name given twice is an error."""

    yaml_implicit_resolvers = {
        first: [(tag, words) for tag, words in found if tag != "tag:yaml.org,2002:bool" or first in "tTfF"]
        for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: Any, deep: bool = False) -> dict:
        names = [key.value for key, _ in node.value]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise SpecError(f"{twice} is given twice in one matrix; give its values as one list.")
        return super().construct_mapping(node, deep)


@dataclass(frozen=True)
class Run:
    """One experiment of a sweep, and the file that its dense network comes from."""

    experiment: ExperimentSpec
    weights: str | None = None


def read(path: Path, store: Store) -> list[Run]:
    """The experiments of a file, each once, in the order of its matrices: the first name varies slowest.

    Raises SpecError for what is no sweep, and AsrError for the first combination of values that is no setting: before
    anything is computed.
    """
    try:
        found = yaml.load(path.read_text(), _Loader)
    except OSError as error:
        raise SpecError(f"cannot read {path}: {error.strerror}; give a YAML file.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SpecError(f"{path} is no YAML: {' '.join(str(error).split())}") from None
    matrices = found if isinstance(found, list) else [found]
    if not matrices or not all(isinstance(matrix, dict) and matrix for matrix in matrices):
        raise SpecError(f"{path} holds no matrix of settings; {FORM}.")
    runs: dict[ExperimentSpec, Run] = {}
    for matrix in matrices:
        for values in _combinations(matrix):
            run = _run(values, store)
            runs.setdefault(run.experiment, run)
    return list(runs.values())


def _combinations(matrix: dict[Any, Any]) -> Iterator[dict[str, Any]]:
    """Every combination of the values of a matrix."""
    known = fields()
    axes = {}
    for name, value in matrix.items():
        if name not in known:
            raise UnknownName("name of a sweep", str(name), known)
        values = [value] if name in LISTS or not isinstance(value, list) else value
        if not values:
            raise SpecError(f"{name} has no values; give some, or leave it out for the default.")
        axes[name] = [_value(name, one, known[name]) for one in values]
    if prod(map(len, axes.values())) > MOST:
        raise SpecError(f"a matrix has more than {MOST:,} settings; split it.")
    for combination in product(*axes.values()):
        yield dict(zip(axes, combination, strict=True))


def fields() -> dict[str, Field | None]:
    """What a sweep may name; None for what no field reads."""
    known: dict[str, Field | None] = {name: field for name, field in setting_fields().items() if not field.derived}
    known |= declarations(RepairChoice) | parameters(KIND) | {"momentum": declarations(Recalibration)["momentum"]}
    return known | {"budgets": None, "presets": None} | dict.fromkeys(PATHS)


def _value(name: str, value: Any, field: Field | None) -> Any:
    """One value of a name, checked; a text is read as on the command line."""
    if name in LISTS:
        given = value if isinstance(value, list) else [value]
        if name == "presets" and (unknown := next((one for one in given if one not in PRESETS), None)) is not None:
            raise UnknownName("preset", str(unknown), PRESETS)
        if name == "budgets" and not all(isinstance(one, int) and not isinstance(one, bool) for one in given):
            raise SpecError(f"budgets are {given}; give whole numbers of batches, for example [10, 20].")
        return tuple(given)
    if isinstance(value, list | dict) or (name in PATHS and not isinstance(value, str)):
        raise SpecError(f"{name} is {value!r}; give one value, or a list of values.")
    if field is None or value is None:
        return value
    return field.read(name, value) if isinstance(value, str) else field.checked(name, value)


def _run(values: dict[str, Any], store: Store) -> Run:
    try:
        return Run(asked.experiment(store, **values), values.get("weights"))
    except AsrError as error:
        said = ", ".join(f"{name} {value}" for name, value in values.items())
        raise type(error)(f"{error} (in the setting {said})") if not isinstance(error, UnknownName) else error from None
