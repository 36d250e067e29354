"""Checks of single values: each returns the normalised value or raises an error with the value, the rule and the remedy."""

import math
from numbers import Real

from asr_core.errors import SpecError, UnknownName


def choose(kind: str, name, choices):
    """Return `name` if it is among `choices`; raise UnknownName otherwise."""
    if name not in choices:
        raise UnknownName(kind, name, choices)
    return name


def whole(name: str, value, low: int, high: int | None = None) -> int:
    """Return `value` as an int of at least `low` (and at most `high`); raise SpecError otherwise."""
    top = f" and at most {high}" if high is not None else ""
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value) or value != int(value):
        raise SpecError(f"{name} is {value!r}; give a whole number of at least {low}{top}.")
    if value < low or (high is not None and value > high):
        raise SpecError(f"{name} is {value}; give a whole number of at least {low}{top}.")
    return int(value)


def flag(name: str, value) -> bool:
    """Return `value` as a bool; raise SpecError for anything but True and False (a text such as "off" is true)."""
    if value not in (True, False):
        raise SpecError(f"{name} is {value!r}; give True or False.")
    return bool(value)


def as_number(value) -> float:
    """`value` as a float, NaN for what is not a number."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def positive(name: str, value, zero: bool = False) -> float:
    """Return `value` as a finite float above 0 (or at least 0); raise SpecError otherwise."""
    number = as_number(value)
    if not math.isfinite(number) or number < 0 or (number == 0 and not zero):
        raise SpecError(f"{name} is {value}; give a finite number {'of at least' if zero else 'above'} 0.")
    return number


def fraction(name: str, value) -> float:
    """Return `value` as a float in [0, 1); raise SpecError otherwise."""
    number = as_number(value)
    if not 0 <= number < 1:
        raise SpecError(f"{name} is {value}; give a fraction in [0, 1).")
    return number


def checked_sparsity(value) -> float:
    """Return `value` as a float in [0, 1); raise SpecError with the remedy otherwise."""
    number = as_number(value)
    if not math.isfinite(number) or not 0 <= number < 1:
        hint = f" For {number:g} % write {number / 100:g}." if 1 < number < 100 else ""
        raise SpecError(f"sparsity is {value}; it is the fraction of weights removed, in [0, 1).{hint}")
    return number
