"""python -m benchmarks: measure, print one table, say which targets were met."""

import json
import platform
import tempfile
from pathlib import Path

import click
import psutil
import torch

from asr_core.errors import SpecError
from asr_core.fields import declarations
from asr_core.spec.experiment import setting_fields
from asr_core.spec.recalibration import BUDGETS, Recalibration
from asr_core.spec.repairs import RepairChoice, parameters
from asr_core.store import Store, results
from asr_core.store.entries import versions
from benchmarks import cold, memory, repairability, report, setting, speed

QUICK = {"epochs": 1, "eval_images": 120, "methods": ("bn_only", "lw_bn", "asr_bn"), "budgets": (2, 4)}
FIELDS = {name: field for name, field in setting_fields().items() if not field.derived}
FIELDS |= declarations(RepairChoice) | parameters() | {"momentum": declarations(Recalibration)["momentum"]}
REPAIRABILITY = (64, 32)  # images of as many pixels
MEMORY, MEMORY_QUICK = ("resnet50", 224, 64), ("resnet18", 64, 16)


def say(text: str) -> None:
    """Progress, on stderr."""
    click.echo(text, err=True)


def _budgets(context, parameter, value) -> tuple[int, ...]:
    return tuple(int(b) for b in value.split(","))


def _also(context, parameter, values) -> dict:
    """{name: value} as the fields read it."""
    found = {}
    for name, _, text in (value.partition("=") for value in values):
        field = FIELDS.get(name := name.replace("-", "_"))
        if field is None:
            raise click.BadParameter(f"{name}; `asr_core run` has {', '.join(FIELDS)}.")
        try:
            found[name] = field.read(name, text)
        except SpecError as error:
            raise click.BadParameter(str(error)) from None
    return found


@click.command(context_settings={"show_default": True})
@click.option(
    "--dataset",
    default="digits",
    metavar="NAME",
    help="digits, or folder:PATH (an ImageFolder tree; CIFAR-10's is what the target of 3 is about).",
)
@click.option("--architecture", default=None, metavar="NAME", help="Which network [default: that of `asr_core run`].")
@click.option("--stem", default=None, metavar="NAME", help="imagenet | half | small, of torchvision's networks.")
@click.option(
    "--eval-images", default=None, type=int, metavar="N", help="Subset of the test split [default: all of it]."
)
@click.option(
    "--budgets",
    default=",".join(map(str, BUDGETS)),
    callback=_budgets,
    metavar="B,B,...",
    help="Recalibration budgets in batches.",
)
@click.option("--epochs", default=5, metavar="N", help="Training epochs of the dense network.")
@click.option(
    "--also",
    multiple=True,
    callback=_also,
    metavar="NAME=VALUE",
    help="Any other option of `asr_core run`, e.g. precision=bfloat16; may be repeated.",
)
@click.option("--repeats", default=3, metavar="N", help="How often each side runs; medians are shown.")
@click.option(
    "--cache-dir",
    default=None,
    metavar="DIR",
    help="Take the dense network stored there; the cold run is then left out.",
)
@click.option(
    "--quick",
    is_flag=True,
    help="Digits, one epoch, few methods, budgets and images, one repeat: to see that it works.",
)
@click.option("--json", "json_file", default=None, metavar="FILE", help="Also keep the numbers here.")
def main(dataset, architecture, stem, eval_images, budgets, epochs, also, repeats, cache_dir, quick, json_file):
    """Speed against a straightforward script and against the bare forward passes; peak memory."""
    given = {"architecture": architecture, "stem": stem, "eval_images": eval_images}
    options = {"dataset": dataset, "budgets": budgets, "epochs": epochs, **also}
    options |= {name: value for name, value in given.items() if value is not None}
    options |= QUICK if quick else {}
    if options.get("pruning", "global_l1") != "global_l1":
        raise click.UsageError("the straightforward script prunes by global_l1 only.")
    if json_file and not versions()["commit"]:
        raise click.UsageError("git tells no commit here, and numbers are kept with theirs; run it in a checkout.")
    repeats = 1 if quick else repeats
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        lines = measured(setting.Asked(options), Path(folder), cache_dir, repeats, MEMORY_QUICK if quick else MEMORY)
    machine = {
        "processor": platform.processor() or platform.machine(),
        "cores": psutil.cpu_count(),
        "threads": torch.get_num_threads(),
    }
    click.echo(report.table(lines))
    click.echo(f"{options}; medians of {repeats}; {machine}")
    if json_file:
        named = options | {"dataset": options.get("dataset", "digits").partition(":")[0]}  # no path of this machine
        found = {
            "options": named,
            "repeats": repeats,
            "machine": machine,
            "versions": versions(),
            "lines": report.as_json(lines),
        }
        Path(json_file).write_text(json.dumps(found, indent=1))


def measured(
    asked: setting.Asked, scratch: Path, cache_dir: str | None, repeats: int, sizes: tuple
) -> list[report.Line]:
    """All lines of the table."""
    cold_cache = scratch / "cold"
    if cache_dir is None:
        say("cold run by the command line, training included")
        seconds = cold.command(asked, cold_cache)
    store = Store(cache_dir or cold_cache)
    spec = asked.spec(store)
    dense_id = results.dense_here(store, spec)
    if dense_id is None:
        raise click.UsageError(
            f"{cache_dir} holds no dense network of this setting; leave --cache-dir out to train one."
        )
    folder = asked.options["dataset"].partition(":")[2] or None
    bench = speed.Bench(spec, store, dense_id, folder, scratch)
    say(f"{repeats} x ours with a bare pass beside each of its passes, then straightforward")
    times, last, outcome = bench.measure(repeats)
    lines = speed.lines(bench, times, last, outcome)
    if cache_dir is None:
        lines.append(cold.cold_line(bench, times, seconds, repeats))
    lines.append(cold.warm_line(asked, last.root, repeats))
    say("repairability of each layer")
    lines.append(repairability.line(*REPAIRABILITY, repeats))
    say("peak memory")
    return [*lines, memory.statistics_line(*sizes), memory.grid_line(bench, asked)]


if __name__ == "__main__":
    main(prog_name="python -m benchmarks")
