"""Everything this library raises on purpose.

    AsrError
    ├── SpecError        a value breaks a rule (sparsity 90, N >= M, ...)
    │   └── UnknownName  a name that no registry knows; lists the choices
    ├── DataError        images are missing, unreadable or too few
    │   └── ImagesAbsent the images of a folder are not on this machine
    ├── ModelError       a network that cannot be built, pruned or repaired
    │   └── WeightsError a weights file that does not fit its network
    ├── StoreError       the cache directory cannot be read or written
    │   └── Gone         a stored stage went while others were built on it
    └── QueueFull        as many computations wait as may; nothing is wrong with what was asked

Each message is one line that carries the value, the rule, the choices and the remedy; the
command line prints it as it is and exits with 2.
"""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any


class AsrError(Exception):
    """Base of all errors that are the caller's to mend."""


class SpecError(AsrError, ValueError):
    """A value of an experiment breaks a rule."""


class UnknownName(SpecError):
    """A name that is not registered.

    The message lists the choices and suggests the nearest one.
    """

    def __init__(self, kind: str, name: str, choices: Iterable[Any]) -> None:
        choices = sorted(choices)
        near = get_close_matches(str(name).lower(), choices, n=1, cutoff=0.5)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        super().__init__(f"unknown {kind} {name!r}.{hint} Choices: {', '.join(choices) or 'none'}.")


class DataError(AsrError):
    """Images are missing, unreadable or too few."""


class ImagesAbsent(DataError):
    """The images of a folder are not on this machine: nothing is wrong with what was asked."""


class ModelError(AsrError):
    """A network cannot be built, pruned, repaired or recalibrated."""


class WeightsError(ModelError):
    """A weights file does not fit its network."""


class StoreError(AsrError):
    """The cache directory cannot be read or written."""


class Gone(StoreError):
    """A stored stage that others are built on went meanwhile: trimmed, cleared or damaged. It can be computed again."""


class QueueFull(AsrError):
    """As many computations wait as may: nothing is wrong with what was asked."""
