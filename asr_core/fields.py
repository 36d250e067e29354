"""Values of a setting, each declared once: label, help, unit, choices, check and default.

From a `Field` alone the option, the sidebar's control, the address and the words in labels are made. Spec parts declare
theirs with `declared(...)`; rules, methods and sources in their dict `parameters`.
"""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from asr_core import checks, registry
from asr_core.errors import SpecError, UnknownName

ON, OFF = "on", "off"


@dataclass(frozen=True, kw_only=True)
class Field:
    """One declared value.

    kind: whole | number | choice | flag | text. check: (name, value) -> normalised value, raising SpecError. unit:
    behind the label. low, high: bounds of a number's control. choices: of a choice, or a function that lists them.
    many: several of the choices, as a tuple; `one` is what messages call one of them. optional: None is allowed, and
    `none` says what it means. words: how a value that is not the default reads in a label ("{}" is the value); without
    it, label and value. derived: known from images or weights, so without option and control. silent: left out of keys
    at its default, so that a field can be added without renaming what is stored. offered: usual values of a number, to
    choose from. named: how a choice reads. when: (other parameter, value) under which alone it says something.
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
        what = more.get("one") or name.replace("_", " ")
        return checks.choose(what, value, choices() if callable(choices) else choices)

    return Field(kind="choice", default=default, label=label, help=help, check=check, choices=choices, **more)


def text(default: Any, label: str, help: str, check: Callable[[str, Any], str], **more: Any) -> Field:
    """A text that `check` accepts."""
    return Field(kind="text", default=default, label=label, help=help, check=check, **more)


def declared(field: Field) -> Any:
    """A dataclass field with the default and the declaration of `field`."""
    return dataclasses.field(default=field.default, metadata={"declared": field})


_DECLARED: dict[type, dict[str, Field]] = {}  # asked for thousands of times per click


def declarations(part: type) -> dict[str, Field]:
    """The declared fields of a part by name."""
    if part not in _DECLARED:
        _DECLARED[part] = {f.name: f.metadata["declared"] for f in dataclasses.fields(part) if "declared" in f.metadata}
    return _DECLARED[part].copy()  # some put parameters to them


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
        own = declarations(type(self))
        return {n: v for n, v in self.values().items() if not (n in own and own[n].silent and v == own[n].default)}

    @classmethod
    def pick(cls, **values: Any) -> Self:
        """The part of those `values` that are its fields; None takes the default, others are left."""
        return cls(**{name: values[name] for name in declarations(cls) if values.get(name) is not None})


class Chosen(Part):
    """A part whose first field names something registered, which may declare parameters of its own: `params` holds
    them as sorted (name, value) pairs, `parameters` as a dict."""

    kind: ClassVar[str]
    params: tuple[tuple[str, Any], ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        named = self.chosen.named(**dict(self.params))
        object.__setattr__(self, "params", tuple(sorted(named.items())))

    @property
    def chosen(self) -> type[Any]:
        """The registered class."""
        return registry.get(self.kind, getattr(self, next(iter(declarations(type(self))))))

    @property
    def parameters(self) -> dict[str, Any]:
        """All parameters with their values."""
        return self.chosen.defaults() | dict(self.params)

    def values(self) -> dict[str, Any]:
        return super().values() | self.parameters

    def canonical(self) -> dict[str, Any]:
        own = {name: value for name, value in super().canonical().items() if name in declarations(type(self))}
        return own | {"params": self.params}

    @classmethod
    def of(cls, chosen: str | None = None, /, **values: Any) -> Self:
        """The part of a registered name and further fields or parameters; raises UnknownName for any other.

        >>> from asr_core.spec.parts import PruneSpec
        >>> PruneSpec.of("erk", sparsity=0.5).words
        'ERK 50 %'
        """
        if chosen is not None:
            values = {next(iter(declarations(cls))): chosen} | values
        part = cls.pick(**values)
        for name in values:
            if name not in declarations(cls) and name not in part.chosen.parameters:
                raise UnknownName(f"parameter of {part.chosen.name}", name, part.chosen.parameters)
        return part

    @classmethod
    def pick(cls, **values: Any) -> Self:
        """The part of those `values` that are its fields or parameters of what they choose; None is not given."""
        part = super().pick(**values)
        given = {name: values[name] for name in part.chosen.parameters if values.get(name) is not None}
        return cls(**Part.values(part) | {"params": tuple(given.items())})

    @classmethod
    def foreign(cls, **values: Any) -> list[str]:
        """Names of given `values` that only other registered choices know."""
        known = super().pick(**values).chosen.parameters
        return [n for n in registry.parameters(cls.kind) if values.get(n) is not None and n not in known]


def worded(part: Part, but: tuple[str, ...] = ()) -> list[str]:
    """What of a part is not at its default, in words: ['linear head']. What a part chooses is named elsewhere."""
    known = declarations(type(part)) | (part.chosen.parameters if isinstance(part, Chosen) else {})
    skip = {*but, *(list(known)[:1] if isinstance(part, Chosen) else ())}
    given = {n: v for n, v in part.values().items() if n not in skip and v != known[n].default}
    return [known[n].worded(v) for n, v in given.items() if not known[n].derived]
