"""The command line's options, made from the fields that a spec declares; each with its help, unit, choices and
default."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import click

from asr_core import registry
from asr_core.errors import SpecError
from asr_core.fields import Chosen, Field, choice, declarations
from asr_core.images import class_maps
from asr_core.pipeline import allocations
from asr_core.runtime import DEVICES, EXECUTORS, SCHEDULER, Runtime
from asr_core.spec import dense, model, parts, recalibration, repairs, samples

MOST_LISTED = 8  # choices that a help text lists


def together(*decorators: Callable) -> Callable:
    """Apply click options so that --help lists them in the order written."""

    def apply(function: Callable) -> Callable:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return apply


def option(name: str, field: Field, help: str | None = None) -> Callable:
    """`--name` of a declared field; its value is None where it is not given, else checked."""
    flags = "--" + name.replace("_", "-")
    words = help or _help(field)
    if field.kind == "flag" and not field.default:
        return click.option(flags, is_flag=True, default=None, help=words)
    if field.kind == "flag":
        return click.option(f"{flags}/--no-{flags[2:]}", default=None, help=words)

    def read(context: click.Context, parameter: click.Parameter, value: str | None) -> Any:
        return None if value is None else field.read(name, value)

    return click.option(flags, name, default=None, metavar=_metavar(field), callback=read, help=words)


def _metavar(field: Field) -> str:
    one = {"whole": "N", "number": "X"}.get(field.kind, "NAME")
    return f"{one},{one},..." if field.many else one


def _help(field: Field) -> str:
    """Help with unit, choices and default: a click text. `\\b`-free, so click wraps it."""
    choices = field.options
    listed = f" One of {', '.join(choices)}." if 0 < len(choices) <= MOST_LISTED and not field.many else ""
    listed = f" Of {', '.join(choices)}." if field.many else listed
    unit = f" [{field.unit}]" if field.unit not in ("", "%") else ""
    default = field.text(field.default) if field.default is not None else field.none
    shown = f" [default: {default}]" if field.kind != "flag" or field.default else ""
    return f"{field.help}{unit}{listed}{shown}"


def fields_of(part: type, *but: str) -> list[Callable]:
    """Options of all fields of a spec part and of the parameters of what it chooses; derived ones and `but` have
    none."""
    found = declarations(part)
    found |= registry.parameters(part.kind) if issubclass(part, Chosen) else {}
    return [option(name, field) for name, field in found.items() if not field.derived and name not in but]


def numbers(kind: type, what: str) -> Callable:
    """A callback that reads `0.5,0.9` as a tuple of `kind`; raises SpecError."""

    def read(context: click.Context, parameter: click.Parameter, value: str) -> tuple:
        try:
            return tuple(kind(part) for part in value.split(","))
        except ValueError:
            raise SpecError(f"{parameter.name} are {value!r}; give {what}.") from None

    return read


DATASET = click.option(
    "--dataset",
    default="digits",
    show_default=True,
    metavar="NAME",
    help=" | ".join(name for name in registry.names("image source") if name != "folder")
    + " | folder:PATH (an ImageFolder tree with train/ and test/).",
)

ARCHITECTURE = click.option(
    "--architecture", default=None, metavar="NAME", help=_help(declarations(model.ModelSpec)["architecture"])
)
CLASS_MAP = click.option(
    "--class-map",
    default=None,
    metavar="FILE",
    help=f"{class_maps.FORM[:1].upper()}{class_maps.FORM[1:]}: the output of each class, of a head with more outputs "
    f"(--outputs, {class_maps.IMAGENET} if not given); or a word: {', '.join(class_maps.BUILT_IN)}.",
)

NETWORK = together(
    DATASET,
    click.option("--data-dir", metavar="DIR", help="Where downloads go [default: ASR_DATA_DIR, or data/ here]."),
    *fields_of(parts.DataSpec, "dataset"),
    ARCHITECTURE,
    *fields_of(model.ModelSpec, "architecture", "class_map"),
    CLASS_MAP,
    *fields_of(dense.DenseSpec),
    click.option("--weights", metavar="FILE", help="A state_dict of the dense network (.safetensors, .pt, .pth)."),
)

PRUNING = together(*fields_of(parts.PruneSpec))
BUDGET = together(
    *(
        option(name, field)
        for name, field in registry.parameters("pruning rule").items()
        if any(name in registry.get("pruning rule", rule).parameters for rule in allocations.rules())
    )
)
CALIBRATION = together(*fields_of(samples.CalibrationSpec))

SETTING = together(NETWORK, PRUNING, CALIBRATION, *fields_of(samples.EvalSpec))

MACHINE = together(
    click.option("--device", default="auto", metavar="NAME", help=" | ".join(DEVICES) + "."),
    click.option("--threads", default=None, type=int, metavar="N", help="CPU threads [default: torch's]."),
)

EXECUTOR = together(
    click.option(
        "--executor",
        type=click.Choice(EXECUTORS),
        default="local",
        show_default=True,
        help="Where it is computed: processes of this machine, or a Dask cluster (docs/cluster.md).",
    ),
    click.option("--workers", type=click.IntRange(1), default=1, show_default=True, help="Local processes."),
    click.option("--scheduler", metavar="ADDRESS", help=f"Of the Dask cluster [default: {SCHEDULER}]."),
)

PRESETS = choice(
    (),
    "Presets",
    "Further ways of recalibration: pseudo (pseudo-count 16 at each budget), forgetting, tuning.",
    recalibration.PRESETS,
    many=True,
    one="preset",
)

GRID = together(
    *fields_of(repairs.RepairChoice),
    *(option(name, field) for name, field in registry.parameters("repair method").items()),
    click.option(
        "--budgets",
        default=",".join(map(str, recalibration.BUDGETS)),
        show_default=True,
        callback=numbers(int, "whole numbers of batches, for example 10,20,30,50"),
        metavar="B,B,...",
        help="Recalibration budgets b in batches; b = 0 is always there.",
    ),
    option("presets", PRESETS),
    option("momentum", declarations(recalibration.Recalibration)["momentum"]),
    MACHINE,
)


def state(calib_batches: int = recalibration.REPORTED_STATE.calib_batches) -> Callable:
    """Options of one recalibration but its momentum, which stands in GRID; `calib_batches` is the default budget."""
    known = {n: f for n, f in declarations(recalibration.Recalibration).items() if n != "momentum"}
    known["calib_batches"] = replace(known["calib_batches"], default=calib_batches)
    return together(*(option(name, field) for name, field in known.items()))


JSON = click.option("--json", "as_json", is_flag=True, help="Print the tables as one JSON object on stdout.")


def runtime(values: dict[str, Any]) -> Runtime:
    """Where to compute: what MACHINE and NETWORK ask of it, taken out of `values`; the weights stay, for they say
    what too."""
    machine = {name: values.pop(name) for name in ("device", "threads", "data_dir")}
    return Runtime(**machine, weights=values.get("weights"))
