"""docs/reliability.md: what the last runs of each fault said. Every number in it stands in docs/reliability.json."""

import json
import time
from pathlib import Path
from typing import Any

import psutil
from tabulate import tabulate

from asr_core.store.entries import PROJECT, versions
from benchmarks.chaos.tally import Tally

JSON, PAGE = PROJECT / "docs" / "reliability.json", PROJECT / "docs" / "reliability.md"
Row = dict[str, Any]
SAID = 10  # things that were broken, of each fault


def line(tally: Tally) -> str:
    """One fault in words, with what must not be."""
    if tally.skipped:
        return f"{tally.fault}: skipped, {tally.skipped}"
    said = f"{tally.fault}: {tally.tries} tries, {tally.lost} lost, {tally.wrong} wrong, {tally.debris} left behind"
    return "\n  ".join([f"{said}, {tally.seconds:.0f} s", *tally.broken[:20]])


def row(name: str, fault: Any, tally: Tally) -> Row:
    """A tally with where, when and of which count it was made."""
    cores, memory = psutil.cpu_count(), round(psutil.virtual_memory().total / 2**30)
    machine = {"cores": cores, "memory_gib": memory, "load": round(psutil.getloadavg()[0], 1)}
    known = {name: value for name, value in versions().items() if name in ("python", "torch", "commit")}
    run = {
        "name": name,
        "full": fault.count,
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "survived": tally.survived,
    }
    return run | tally.as_dict() | {"machine": machine, "versions": known}


def keep(path: Path, rows: list[Row]) -> None:
    """Put these rows into the file, each in the place of the last one of its fault."""
    known = {one["name"]: one for one in (json.loads(path.read_text()) if path.exists() else [])}
    known |= {one["name"]: one for one in rows}
    path.write_text(json.dumps([known[name] for name in sorted(known)], indent=1) + "\n")


def table(rows: list[Row]) -> str:
    """The rows as Markdown."""
    names = ("fault", "tries", "results lost", "wrong shown", "left behind", "else broken", "seconds")
    return tabulate([_cells(one) for one in rows], names, tablefmt="github", disable_numparse=True)


def _cells(one: Row) -> list[str]:
    if one["skipped"]:
        return [one["fault"], f"skipped: {one['skipped']}", "", "", "", "", ""]
    tries = f"{one['tries']:,}" if one["tries"] >= one["full"] else f"{one['tries']:,} (of {one['full']:,})"
    numbers = [f"{one[name]:,}" for name in ("lost", "wrong", "debris")]
    return [one["fault"], tries, *numbers, f"{len(one['broken']):,}", f"{one['seconds']:,.0f}"]


HEAD = """# Reliability

What goes wrong in real life, done for real on a small store of the embedded digits, and what was lost by it. Made by
`make chaos` (`python -m benchmarks.chaos --write`; one fault: `--only NAME`, fewer tries: `--count N`); every number is
from `reliability.json`, which the runs wrote. *Lost*: results or finished stages that were there and are not, or that
could not be had in the end. *Wrong shown*: results that differ in any cell from those of an undisturbed run, or a
changed file that was used. *Left behind*: files that nobody owns. *Else broken*: an error shown to a user, an orphan, a
stage computed twice.

"""


def page(rows: list[Row]) -> str:
    """docs/reliability.md."""
    whole = [one for one in rows if not one["skipped"]]
    held = next((one for one in rows if one["name"] == "sessions" and not one["skipped"]), None)
    total = {name: sum(one[name] for one in whole) for name in ("tries", "lost", "wrong", "debris")}
    parts = [HEAD, table(rows), "\n"]
    parts += [
        f"\nFaults tried: {total['tries']:,} of {len(whole)} kinds. Results lost: {total['lost']:,}. "
        f"Wrong results shown: {total['wrong']:,}. Left behind: {total['debris']:,}.\n"
    ]
    parts += [f"\nLoad held: {held['tries']} sessions (a full run: 30 for 300 s); {_counted(held)}.\n"] if held else []
    parts += ["\n", *(f"- `{one['name']}`: {_run(one)}\n" for one in rows)]
    parts += ["\n## What was broken\n\n" * any(one["broken"] for one in rows)]
    parts += [f"- {one['fault']}: {_plain(said)}\n" for one in rows for said in one["broken"][:SAID]]
    return "".join(parts)


def _counted(one: Row) -> str:
    return ", ".join(f"{name} {value:,}" for name, value in one["counted"].items())


def _run(one: Row) -> str:
    """When and where a fault was tried, and what else was counted."""
    machine, known = one["machine"], one["versions"]
    said = f"{one['date']}, {machine['cores']} cores, {machine['memory_gib']} GiB, load {machine['load']}, "
    said += f"Python {known['python']}, torch {known['torch']}, commit {known['commit']}"
    return said + (f"; {_counted(one)}" if one["counted"] else "")


def _plain(text: str) -> str:
    """A text as one line of code."""
    return "`" + " ".join(text.replace("`", "'").split())[:300] + "`"
