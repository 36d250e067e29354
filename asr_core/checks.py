"""Checks of single values: each returns the normalised value or raises an error with the value, the rule and the
remedy."""

import math
import re
from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from fnmatch import fnmatchcase
from numbers import Real
from typing import Any

from asr_core.errors import SpecError, UnknownName

MOST_LISTED = 40  # layers that a message names
LARGEST = 2**53 - 1  # whole number that JSON, a browser and a float hold exactly


def choose(kind: str, name: Any, choices: Collection[Any]) -> Any:
    """Return `name` if it is among `choices`; raise UnknownName otherwise."""
    if name not in choices:
        raise UnknownName(kind, name, choices)
    return name


def whole(name: str, value: Any, low: int, high: int | None = None) -> int:
    """Return `value` as an int from `low` to `high` (LARGEST, which is not named); raise SpecError otherwise."""
    top = f" and at most {high}" if high is not None else ""
    rule = f"give a whole number of at least {low}{top}."
    number = as_number(value)
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(number) or number != int(number):
        raise SpecError(f"{name} is {said(value)}; {rule}")
    if not low <= number <= (LARGEST if high is None else high):
        raise SpecError(f"{name} is {said(value)}; {rule}")
    return int(number)


def said(value: Any) -> str:
    """A value in a message; of a number that is longer than a line only that it is large."""
    if isinstance(value, int) and abs(value) > LARGEST:
        return f"beyond {'-' * (value < 0)}{LARGEST}"
    return (str(value) if isinstance(value, Real) else repr(value))[:60]


def flag(name: str, value: Any) -> bool:
    """Return `value` as a bool; raise SpecError for anything but True and False (a text such as "off" is true)."""
    if value not in (True, False):
        raise SpecError(f"{name} is {value!r}; give True or False.")
    return bool(value)


def as_number(value: Any) -> float:
    """`value` as a float, NaN for what is not a number."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan
    except OverflowError:  # of a whole number beyond all floats
        return math.inf if value > 0 else -math.inf


def positive(name: str, value: Any, zero: bool = False) -> float:
    """Return `value` as a finite float above 0 (or at least 0); raise SpecError otherwise."""
    number = as_number(value)
    if not math.isfinite(number) or number < 0 or (number == 0 and not zero):
        raise SpecError(f"{name} is {value}; give a finite number {'of at least' if zero else 'above'} 0.")
    return number


def fraction(name: str, value: Any) -> float:
    """Return `value` as a float in [0, 1); raise SpecError otherwise."""
    number = as_number(value)
    if not 0 <= number < 1:
        raise SpecError(f"{name} is {value}; give a fraction in [0, 1).")
    return number


def checked_sparsity(value: Any) -> float:
    """Return `value` as a float in [0, 1); raise SpecError with the remedy otherwise."""
    number = as_number(value)
    if not math.isfinite(number) or not 0 <= number < 1:
        hint = f" For {number:g} % write {number / 100:g}." if 1 < number < 100 else ""
        raise SpecError(f"sparsity is {value}; it is the fraction of weights removed, in [0, 1).{hint}")
    return number


def nearest_layer(layer: str, layers: list[str]) -> str:
    """One line about an unknown layer: the nearest names (same beginning first), and how many there are."""
    similar = get_close_matches(layer, layers, n=len(layers), cutoff=0.3)
    near = sorted(similar, key=lambda name: -sum(name.startswith(layer[: i + 1]) for i in range(len(layer))))
    hint = f" Did you mean {' or '.join(near[:3])}?" if near else ""
    return f"unknown layer {layer[:80]!r}.{hint} The network has {len(layers)} layers, {layers[0]} to {layers[-1]}."


def left_out(layers: Iterable[str], ignore: str | None) -> set[str]:
    """The layers whose names match one of the patterns in `ignore` (fnmatch, between commas).

    Raises SpecError for a pattern that matches none, and where nothing else is left.

    >>> sorted(left_out(["conv1", "layer1.0.conv1", "layer2.0.conv1"], "conv1,layer1.*"))
    ['conv1', 'layer1.0.conv1']
    """
    layers, found = list(layers), set()
    if ignore is not None and not isinstance(ignore, str):
        raise SpecError(f"ignore is a {type(ignore).__name__}; give patterns in one text, as 'conv1,layer1.*'.")
    for pattern in map(str.strip, ignore.split(",") if ignore else []):
        matching = {name for name in layers if fnmatchcase(name, pattern)}
        if not matching:
            raise SpecError(
                f"no layer is called {pattern}; the {len(layers)} layers are {', '.join(layers[:MOST_LISTED])}"
                f"{', ...' if len(layers) > MOST_LISTED else ''}."
            )
        found |= matching
    if found and found == set(layers):
        raise SpecError(f"ignore {ignore} leaves no layer to prune; leave some of the {len(layers)} layers in.")
    return found


def digest(name: str, value: Any) -> str:
    """Return `value` if it is 8 to 64 hexadecimal digits; raise SpecError otherwise."""
    if not isinstance(value, str) or not re.fullmatch("[0-9a-f]{8,64}", value):
        raise SpecError(f"{name} is {str(value)[:60]!r}; it is a digest of content, 8 to 64 hexadecimal digits.")
    return value


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values without those that are None or NaN."""
    return {n: v for n, v in values.items() if v is not None and not (isinstance(v, float) and math.isnan(v))}
