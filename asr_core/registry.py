"""Names to classes. A rule, method or source is one file in its package; importing it is enough.

A registered class carries `name`, `label`, a docstring shown as help, and `parameters`: a dict of `fields.Field`, from
which the command line's options and the sidebar's controls are made. None of that needs torch, which the files import
inside their functions.
"""

from __future__ import annotations

import importlib
import pkgutil
import warnings
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from asr_core.errors import SpecError, UnknownName

if TYPE_CHECKING:
    from asr_core.fields import Field


PACKAGES = {
    "image source": "asr_core.images.sources",
    "network source": "asr_core.networks.sources",
    "pruning rule": "asr_core.pruning.rules",
    "repair method": "asr_core.repairs.methods",
}
_classes: dict[str, dict[str, type[Configurable]]] = {kind: {} for kind in PACKAGES}


class Configurable:
    """Base of everything registered: named, labelled, with checked parameters."""

    name: str
    label: str
    parameters: dict[str, Field] = {}

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        """Default value of each parameter."""
        return {name: parameter.default for name, parameter in cls.parameters.items()}

    @classmethod
    def checked(cls, **params: Any) -> dict[str, Any]:
        """All parameters, given ones validated; raises SpecError for an unknown or bad one."""
        for name in params:
            if name not in cls.parameters:
                raise UnknownName(f"parameter of {cls.name}", name, cls.parameters)
        full = {**cls.defaults(), **params}
        for name, value in full.items():
            if value is None and not cls.parameters[name].optional:
                raise SpecError(f"{cls.name} needs {name}: {cls.parameters[name].help}")
            full[name] = cls.parameters[name].checked(name, value)
        _check_conditions(cls, full)
        cls.check_together(full)
        return full

    @classmethod
    def named(cls, **params: Any) -> dict[str, Any]:
        """`checked`, without the silent ones that are at their default: what a spec consists of."""
        full = cls.checked(**params)
        return {n: v for n, v in full.items() if not (cls.parameters[n].silent and v == cls.parameters[n].default)}

    @classmethod
    def check_together(cls, params: dict[str, Any]) -> None:
        """Rules that involve more than one parameter; raise SpecError."""

    @classmethod
    def bounds(cls, name: str, params: dict[str, Any]) -> tuple[float | None, float | None]:
        """(lowest, highest) value that a number's control offers beside the others, so that it offers nothing
        refused."""
        return cls.parameters[name].low, cls.parameters[name].high


def _check_conditions(cls: type[Configurable], params: dict[str, Any]) -> None:
    """Raise SpecError for a parameter that is given where it says nothing."""
    for name, field in cls.parameters.items():
        if field.when and params[field.when[0]] != field.when[1] and params[name] != field.default:
            other, value = field.when
            raise SpecError(
                f"{name} is {field.said(params[name])} but {other} is {params[other]!r}, which leaves it unused; "
                f"give {other} {value!r}, or leave {name} out."
            )


Registered = TypeVar("Registered", bound=Configurable)


def register(kind: str) -> Callable[[type[Registered]], type[Registered]]:
    """Class decorator: make the class known under its `name`; warns where the name is taken."""

    def add(cls: type[Registered]) -> type[Registered]:
        taken = _classes[kind].get(cls.name)
        if taken is not None and taken.__module__ != cls.__module__:
            warnings.warn(
                f"{kind} {cls.name!r} of {taken.__module__} is replaced by that of {cls.__module__}.", stacklevel=2
            )
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


def get(kind: str, name: str) -> type[Any]:
    """The class registered as `name`, one derived from the kind's base; raises UnknownName listing the choices.

    >>> get("pruning rule", "lamp").label
    'LAMP'
    """
    _load(kind)
    if not isinstance(name, str) or name not in _classes[kind]:
        raise UnknownName(kind, str(name), _classes[kind])
    return _classes[kind][name]


def parameters(kind: str) -> dict[str, Field]:
    """Every parameter that some class of `kind` declares, by name: what options and controls are made of.

    One name means one thing: where two classes declare it, they must share the declaration. Raises TypeError else.
    """
    found: dict[str, Field] = {}
    for name in names(kind):
        for parameter, field in get(kind, name).parameters.items():
            if found.setdefault(parameter, field) is not field:
                raise TypeError(f"{kind} {name!r} declares {parameter!r} anew; share the declaration, or rename it.")
    return found


def applies(field: Field, params: dict[str, Any]) -> bool:
    """Whether a parameter says something beside the others."""
    return field.when is None or params.get(field.when[0]) == field.when[1]
