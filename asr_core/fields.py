"""Values of a setting, each declared once: label, help, unit, choices, check and default.

From a `Field` alone the command line's option, the sidebar's control, the address and the words in labels are made.
Spec parts declare theirs with `declared(...)`; rules, methods and sources in their dict `parameters`.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from asr_core import checks
from asr_core.errors import SpecError

ON, OFF = "on", "off"


@dataclass(frozen=True, kw_only=True)
class Field:
    """One declared value.

    kind: whole | number | choice | flag | text. check: (name, value) -> normalised value, raising SpecError.
    unit stands behind the label. low, high: bounds of a number's control. choices: of a choice, or a function that
    lists them. many: several of the choices, as a tuple; `one` is what messages call one of
    them. optional: None is allowed, and `none` says what it means.
    words: how a value that is not the default reads in a label ("{}" is the value); without it, label and value.
    derived: known from images or weights, so without option and control. silent: left out of keys at its default, so
    that a field can be added without renaming what is stored. offered: usual values of a number, to choose from.
    named: how a choice reads. when: (other parameter, value) under which alone this one says something, such as
    ("prior", "fixed").
    """

    kind: str
    default: Any
    label: str
    help: str
    check: Callable[[str, Any], Any]
    unit: str = ""
    low: float | None = None
    high: float | None = None
    choices: Sequence[str] | Callable[[], Sequence[str]] = ()
    many: bool = False
    one: str = ""
    optional: bool = False
    none: str = "none"
    words: str | None = None
    derived: bool = False
    silent: bool = False
    offered: tuple = ()
    when: tuple[str, Any] | None = None
    named: Callable[[str], str] | None = None

    @property
    def options(self) -> list[str]:
        """The choices, listed now."""
        return list(self.choices() if callable(self.choices) else self.choices)

    def checked(self, name: str, value: Any) -> Any:
        """`value` normalised; raises SpecError, which names `name`."""
        if value is None:
            if self.optional:
                return None
            raise SpecError(f"{name} is missing: {self.help}")
        if not self.many:
            return self.check(name, value)
        if not (found := tuple(dict.fromkeys(self.check(name, one) for one in value))):
            raise SpecError(f"{name} is empty; give at least one of {', '.join(map(str, self.options))}.")
        return found

    def read(self, name: str, text: str) -> Any:
        """The value that `text` of an address or option stands for, checked; raises SpecError."""
        if self.many:
            return self.checked(name, [self._one(name, part.strip()) for part in text.split(",") if part.strip()])
        return self.checked(name, self._one(name, text))

    def _one(self, name: str, text: str) -> Any:
        if self.kind == "flag":
            return checks.choose(name, text, (ON, OFF)) == ON
        if self.kind not in ("whole", "number"):
            return text
        try:
            return int(text) if self.kind == "whole" else float(text)
        except ValueError:
            raise SpecError(f"{name} is {text[:60]!r}; give a {'whole ' * (self.kind == 'whole')}number.") from None

    def text(self, value: Any) -> str:
        """The value as `read` takes it; empty for None."""
        if value is None:
            return ""
        if isinstance(value, tuple | list):
            return ",".join(map(self.text, value))
        return {True: ON, False: OFF}[value] if self.kind == "flag" else str(value)

    def said(self, value: Any) -> str:
        """The value for a reader: '95 %', 'on', 'all'."""
        if value is None:
            return self.none
        if self.named is not None:
            return self.named(value)
        if self.unit == "%":
            return f"{100 * value:.6g} %"
        short = f"{value:g}" if isinstance(value, float) else ""
        return short if short and float(short) == value else self.text(value)  # two values never read the same

    def worded(self, value: Any) -> str:
        """The value in a label of a setting: 'linear layers too', 'image side 44'."""
        if self.words is None:
            return f"{self.label[:1].lower()}{self.label[1:]} {self.said(value)}"
        return self.words.format(self.said(value))


def whole(default: Any, label: str, help: str, low: int = 0, high: int | None = None, **more: Any) -> Field:
    """A whole number in [low, high]."""
    check = lambda name, value: checks.whole(name, value, low, high)  # noqa: E731
    return Field(kind="whole", default=default, label=label, help=help, check=check, low=low, high=high, **more)


def number(
    default: Any, label: str, help: str, check: Callable[[str, Any], float] = checks.positive, **more: Any
) -> Field:
    """A number that `check` accepts."""
    return Field(kind="number", default=default, label=label, help=help, check=check, **more)


def flag(label: str, help: str, default: bool = False, **more: Any) -> Field:
    """On or off."""
    return Field(kind="flag", default=default, label=label, help=help, check=checks.flag, **more)


def choice(
    default: Any, label: str, help: str, choices: Sequence[str] | Callable[[], Sequence[str]], **more: Any
) -> Field:
    """One of `choices`; with many=True several of them."""

    def check(name: str, value: Any) -> Any:
        return checks.choose(
            more.get("one") or name.replace("_", " "), value, choices() if callable(choices) else choices
        )

    return Field(kind="choice", default=default, label=label, help=help, check=check, choices=choices, **more)


def text(default: Any, label: str, help: str, check: Callable[[str, Any], str], **more: Any) -> Field:
    """A text that `check` accepts."""
    return Field(kind="text", default=default, label=label, help=help, check=check, **more)


def declared(field: Field) -> Any:
    """A dataclass field with the default and the declaration of `field`."""
    return dataclasses.field(default=field.default, metadata={"declared": field})


def declarations(part: type) -> dict[str, Field]:
    """The declared fields of a part by name."""
    return {f.name: f.metadata["declared"] for f in dataclasses.fields(part) if "declared" in f.metadata}


class Part:
    """Base of the frozen dataclasses that make up an experiment: each declared field is checked and normalised."""

    def __post_init__(self) -> None:
        for name, field in declarations(type(self)).items():
            object.__setattr__(self, name, field.checked(name, getattr(self, name)))
        self.check_together()

    def check_together(self) -> None:
        """Rules that involve more than one field; raise SpecError."""

    def values(self) -> dict[str, Any]:
        """Name -> value of every field (and parameter)."""
        return {name: getattr(self, name) for name in declarations(type(self))}

    def canonical(self) -> dict[str, Any]:
        """What a key is made of: all values but silent ones at their default."""
        known = declarations(type(self))
        return {
            n: v for n, v in self.values().items() if not (n in known and known[n].silent and v == known[n].default)
        }

    @classmethod
    def pick(cls, **values: Any) -> Self:
        """The part of those `values` that are its fields; None takes the default, others are left."""
        return cls(**{name: values[name] for name in declarations(cls) if values.get(name) is not None})


def applies(field: Field, params: Mapping[str, Any]) -> bool:
    """Whether a parameter says something beside the others."""
    return field.when is None or params.get(field.when[0]) == field.when[1]


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values without those that are None or NaN."""
    return {n: v for n, v in values.items() if v is not None and not (isinstance(v, float) and math.isnan(v))}
