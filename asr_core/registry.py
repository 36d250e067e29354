"""Names to classes. A pruning rule or repair method is one file in its package; importing is enough.

A registered class carries `name`, `label`, a docstring shown as help, and `parameters`: a dict of
`Parameter`. None of that needs torch, which the files import inside their functions.
"""

import importlib
import pkgutil
from dataclasses import dataclass
from functools import cache

from asr_core.errors import SpecError, UnknownName

PACKAGES = {"pruning rule": "asr_core.pruning.rules", "repair method": "asr_core.repairs.methods"}
_classes: dict[str, dict[str, type]] = {kind: {} for kind in PACKAGES}


@dataclass(frozen=True)
class Parameter:
    """One parameter of a rule or method: default, help text with unit, and its check.

    silent: a spec leaves it out at its default, so that a rule gains an option without renaming its stored results.
    """

    default: object
    help: str
    check: object  # (name, value) -> normalised value, raising SpecError
    choices: tuple = ()
    silent: bool = False


class Configurable:
    """Base of everything registered: named, labelled, with checked parameters."""

    name: str
    label: str
    parameters: dict[str, Parameter] = {}

    @classmethod
    def defaults(cls) -> dict:
        """Default value of each parameter."""
        return {name: parameter.default for name, parameter in cls.parameters.items()}

    @classmethod
    def checked(cls, **params) -> dict:
        """All parameters, given ones validated; raises SpecError for an unknown or bad one."""
        for name in params:
            if name not in cls.parameters:
                raise UnknownName(f"parameter of {cls.name}", name, cls.parameters)
        full = {**cls.defaults(), **params}
        for name, value in full.items():
            if value is None:
                raise SpecError(f"{cls.name} needs {name}: {cls.parameters[name].help}")
            full[name] = cls.parameters[name].check(name, value)
        cls.check_together(full)
        return full

    @classmethod
    def named(cls, **params) -> dict:
        """`checked`, without the silent ones that are at their default: what a spec consists of."""
        full = cls.checked(**params)
        return {n: v for n, v in full.items() if not (cls.parameters[n].silent and v == cls.parameters[n].default)}

    @classmethod
    def check_together(cls, params: dict) -> None:
        """Rules that involve more than one parameter; raise SpecError."""


def register(kind: str):
    """Class decorator: make the class known under its `name`."""

    def add(cls):
        _classes[kind][cls.name] = cls
        return cls

    return add


@cache
def _load(kind: str) -> None:
    package = importlib.import_module(PACKAGES[kind])
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")


def names(kind: str) -> list[str]:
    """Registered names of `kind`, sorted."""
    _load(kind)
    return sorted(_classes[kind])


def get(kind: str, name: str) -> type:
    """The class registered as `name`; raises UnknownName listing the choices."""
    _load(kind)
    if name not in _classes[kind]:
        raise UnknownName(kind, name, _classes[kind])
    return _classes[kind][name]
